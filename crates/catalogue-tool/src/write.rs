//! Writes a catalogue as JSON with one entry a line, so that a change of the API reads as a
//! short diff.

use awork_api::catalogue::{Catalogue, Model};
use serde::Serialize;

pub(crate) fn json(catalogue: &Catalogue) -> serde_json::Result<String> {
    let models: Vec<String> = catalogue.models.iter().map(model).collect::<Result<_, _>>()?;
    Ok(format!(
        "{{\n\"resources\": [\n{}\n],\n\"excluded\": [\n{}\n],\n\"models\": [\n{}\n]\n}}\n",
        lines(&catalogue.resources)?,
        lines(&catalogue.excluded)?,
        models.join(",\n"),
    ))
}

fn model(model: &Model) -> serde_json::Result<String> {
    Ok(format!(
        "{{\"name\": {}, \"properties\": [\n{}\n]}}",
        serde_json::to_string(&model.name)?,
        lines(&model.properties)?
    ))
}

fn lines<T: Serialize>(entries: &[T]) -> serde_json::Result<String> {
    let lines: Vec<String> = entries.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    Ok(lines.join(",\n"))
}
