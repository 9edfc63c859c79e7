//! `awork-catalogue`: writes the catalogue of awork-api anew from the vendor's specification
//! files and the hand-written `overrides.toml` and `descriptions.toml`.
//!
//! ```sh
//! cargo run -p catalogue-tool -- openapi-v1.json openapi-v2.json
//! cargo run -p catalogue-tool -- --drift openapi-v1.json
//! ```
#![forbid(unsafe_code)]

mod drift;
mod generate;
mod naming;
mod overrides;
mod specification;
mod write;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use awork_api::catalogue::Catalogue;
use clap::Parser;

use overrides::{Descriptions, Overrides};
use specification::Specification;

/// Writes the catalogue of awork-api from the vendor's specification files.
#[derive(Parser)]
struct Arguments {
    /// The OpenAPI file of version 1.
    v1: PathBuf,
    /// The OpenAPI file of version 2; only --drift can do without.
    #[arg(required_unless_present = "drift")]
    v2: Option<PathBuf>,
    /// The folder with overrides.toml and descriptions.toml, where catalogue.json is written.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../awork-api/catalogue"))]
    folder: PathBuf,
    /// Lists what has no description yet instead of writing.
    #[arg(long)]
    undescribed: bool,
    /// Lists in what the files differ from catalogue.json instead of writing: table, column, field,
    /// kind and message, separated by tabs.
    #[arg(long, conflicts_with = "undescribed")]
    drift: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let overrides: Overrides = toml::from_str(&read(&arguments.folder.join("overrides.toml"))?)?;
    let descriptions: Descriptions =
        toml::from_str(&read(&arguments.folder.join("descriptions.toml"))?)?;
    let mut specifications = vec![Specification::parse(1, &read(&arguments.v1)?)?];
    if let Some(v2) = &arguments.v2 {
        specifications.push(Specification::parse(2, &read(v2)?)?);
    }
    let target = arguments.folder.join("catalogue.json");
    if arguments.drift {
        let known: Catalogue = serde_json::from_str(&read(&target)?)?;
        for difference in drift::differences(&known, &specifications, &overrides)? {
            println!("{difference}");
        }
        return Ok(());
    }
    let catalogue = generate::catalogue(&specifications, &overrides, &descriptions)?;
    if arguments.undescribed {
        for resource in catalogue.resources.iter().filter(|r| r.description.is_empty()) {
            println!("{}\t{}", resource.name, resource.path);
        }
        return Ok(());
    }
    fs::write(&target, write::json(&catalogue)?)
        .map_err(|e| format!("cannot write {}: {e}", target.display()))?;
    println!(
        "{}: {} tables, {} models, {} paths excluded",
        target.display(),
        catalogue.resources.len(),
        catalogue.models.len(),
        catalogue.excluded.len()
    );
    Ok(())
}

fn read(path: &Path) -> Result<String, Box<dyn Error>> {
    fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()).into())
}
