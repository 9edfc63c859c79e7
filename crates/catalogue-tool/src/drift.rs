//! What a specification has that is other than the catalogue at hand: paths, columns, and
//! properties inside nested objects. Needs no words for new path segments, so that it runs on a
//! specification of today.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use awork_api::catalogue::columns::{Column, Source, columns};
use awork_api::catalogue::{Catalogue, Model, Property, Resource, Shape, Type};
use awork_api::drift::Drift;

use crate::generate::{reachable, versioned};
use crate::overrides::Overrides;
use crate::specification::{Get, Specification};

/// A difference, as `awork_fdw_drift` has them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    /// The table; the path where there is no table, or the model of a nested object.
    pub(crate) place: String,
    /// The column or nothing.
    pub(crate) column: String,
    /// The property or parameter, as the column option `field` has it, or nothing.
    pub(crate) field: String,
    /// `new`, `gone` or `changed`.
    pub(crate) kind: &'static str,
    /// What is different.
    pub(crate) message: String,
}

/// The columns of a line, separated by tabs; nothing is a hyphen.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let (column, field) = (or_none(&self.column), or_none(&self.field));
        write!(f, "{}\t{column}\t{field}\t{}\t{}", self.place, self.kind, self.message)
    }
}

/// Everything in which the specifications differ from the catalogue, sorted by place. What is of a
/// version without a specification is not looked at.
pub(crate) fn differences(
    catalogue: &Catalogue,
    specifications: &[Specification],
    overrides: &Overrides,
) -> Result<Vec<Difference>, String> {
    let mut found = Found::default();
    for specification in specifications {
        found.of_version(catalogue, specification, overrides)?;
    }
    let Found(mut differences) = found;
    differences.sort();
    differences.dedup();
    Ok(differences)
}

#[derive(Default)]
struct Found(Vec<Difference>);

impl Found {
    fn add(&mut self, place: &str, of: (&str, &str), drift: Drift, message: impl Into<String>) {
        self.0.push(Difference {
            place: place.to_owned(),
            column: of.0.to_owned(),
            field: of.1.to_owned(),
            kind: drift.as_str(),
            message: message.into(),
        });
    }

    fn of_version(
        &mut self,
        catalogue: &Catalogue,
        specification: &Specification,
        overrides: &Overrides,
    ) -> Result<(), String> {
        let version = specification.version;
        let gets = specification.gets()?;
        let mut left = Left::new(&gets, catalogue, version);
        let mut now = Catalogue::default();
        let mut pairs = Vec::new();
        for old in catalogue.resources.iter().filter(|r| r.version == version) {
            match left.take(&old.path) {
                Some(get) => {
                    let new = as_now(old, get, overrides);
                    now.resources.push(new.clone());
                    pairs.push((old, new));
                }
                None => self.add(&old.name, ("", ""), Drift::Gone, format!("GET {}", old.path)),
            }
            for lookup in &old.lookups {
                if left.take(&lookup.path).is_none() {
                    let message = format!("GET {}, which finds a row", lookup.path);
                    self.add(&old.name, ("", ""), Drift::Gone, message);
                }
            }
        }
        for excluded in &catalogue.excluded {
            let Some(path) = of_version(version, &excluded.path) else { continue };
            if left.take(path).is_none() {
                let message = format!("GET {path}, which is no table: {}", excluded.reason);
                self.add(&excluded.path, ("", ""), Drift::Gone, message);
            }
        }
        for get in left.gets.values() {
            let message = format!("GET {} answers with {}", get.path, answer(get.shape, &get.item));
            self.add(&versioned(version, &get.path), ("", ""), Drift::New, message);
        }
        now.models = reachable(specification, &now.resources);
        for (old, new) in &pairs {
            self.of_resource(catalogue, old, &now, new);
        }
        self.of_nested(catalogue, &now, &pairs);
        Ok(())
    }

    fn of_resource(
        &mut self,
        catalogue: &Catalogue,
        old: &Resource,
        now: &Catalogue,
        new: &Resource,
    ) {
        let place = old.name.as_str();
        let answers = |r: &Resource| answer(r.shape, &r.item);
        if answers(old) != answers(new) {
            let message = format!("answers with {}, not with {}", answers(new), answers(old));
            self.add(place, ("", ""), Drift::Changed, message);
        }
        if old.path != new.path {
            let message = format!("the path is {}, not {}", new.path, old.path);
            self.add(place, ("", ""), Drift::Changed, message);
        }
        if old.paged != new.paged {
            let message = if new.paged { "has pages now" } else { "has no pages any more" };
            self.add(place, ("", ""), Drift::Changed, message);
        }
        if old.headers != new.headers {
            let message = format!("requires the headers {:?}, not {:?}", new.headers, old.headers);
            self.add(place, ("", ""), Drift::Changed, message);
        }
        let (before, after) = (by_source(catalogue, old), by_source(now, new));
        for (key, (column, field)) in &after {
            let place_of = (column.name.as_str(), field.as_str());
            match before.get(key) {
                None => {
                    let message = format!("a column of type {}", column.ty.sql());
                    self.add(place, place_of, Drift::New, message);
                }
                Some((known, _)) => {
                    // The catalogue's name is a promise, whatever the rule would give now.
                    let place_of = (known.name.as_str(), field.as_str());
                    if let Some(message) = type_change(&known.ty, &column.ty) {
                        self.add(place, place_of, Drift::Changed, message);
                    }
                    let required = |r: &Resource, c: &Column| match c.source {
                        Source::Parameter(i) => r.parameters[i].required,
                        _ => false,
                    };
                    match (required(old, known), required(new, column)) {
                        (false, true) => self.add(
                            place,
                            place_of,
                            Drift::Changed,
                            "a request needs a value for it now",
                        ),
                        (true, false) => self.add(
                            place,
                            place_of,
                            Drift::Changed,
                            "a request needs no value for it any more",
                        ),
                        _ => {}
                    }
                }
            }
        }
        for (key, (column, field)) in &before {
            if !after.contains_key(key) {
                let message = format!("a column of type {}", column.ty.sql());
                self.add(place, (&column.name, field), Drift::Gone, message);
            }
        }
    }

    /// Properties of objects inside rows, of which few are columns; and of all objects whether
    /// they may be null.
    fn of_nested(
        &mut self,
        catalogue: &Catalogue,
        now: &Catalogue,
        pairs: &[(&Resource, Resource)],
    ) {
        let of_rows: BTreeSet<&str> =
            pairs.iter().filter_map(|(_, new)| model_name(&new.item)).collect();
        for model in &now.models {
            // What comes with a new model is said where the model comes.
            let Some(known) = catalogue.model(&model.name) else { continue };
            let is_row = of_rows.contains(model.name.as_str());
            self.of_model(known, model, is_row);
        }
    }

    fn of_model(&mut self, known: &Model, model: &Model, is_row: bool) {
        let place = model.name.as_str();
        for property in &model.properties {
            let of = ("", property.name.as_str());
            let Some(before) = known.property(&property.name) else {
                if !is_row {
                    let message = format!("a property of type {}", property.ty);
                    self.add(place, of, Drift::New, message);
                }
                continue;
            };
            if let Some(message) = type_change(&before.ty, &property.ty).filter(|_| !is_row) {
                self.add(place, of, Drift::Changed, message);
            }
            match (before.nullable, property.nullable) {
                (false, true) => self.add(place, of, Drift::Changed, "may be null now"),
                (true, false) => self.add(place, of, Drift::Changed, "is never null any more"),
                _ => {}
            }
        }
        let is_gone = |property: &&Property| model.property(&property.name).is_none();
        for property in known.properties.iter().filter(is_gone).filter(|_| !is_row) {
            let message = format!("a property of type {}", property.ty);
            self.add(place, ("", &property.name), Drift::Gone, message);
        }
    }
}

/// The GETs of a specification that nothing in the catalogue has been found to be.
struct Left<'s> {
    gets: BTreeMap<&'s str, &'s Get>,
    /// The paths that the catalogue has letter by letter.
    known: BTreeSet<String>,
}

impl<'s> Left<'s> {
    fn new(gets: &'s [Get], catalogue: &Catalogue, version: u8) -> Self {
        let resources = catalogue.resources.iter().filter(|r| r.version == version);
        let paths = resources
            .flat_map(|r| std::iter::once(&r.path).chain(r.lookups.iter().map(|l| &l.path)))
            .map(String::as_str);
        let excluded = catalogue.excluded.iter().filter_map(|e| of_version(version, &e.path));
        Self {
            gets: gets.iter().map(|get| (get.path.as_str(), get)).collect(),
            known: paths.chain(excluded).map(str::to_owned).collect(),
        }
    }

    /// The GET of a path of the catalogue, or else one that differs in its parameters' names only.
    fn take(&mut self, path: &str) -> Option<&'s Get> {
        self.gets.remove(path).or_else(|| {
            let mut paths = self.gets.keys();
            let is_renamed =
                |new: &&&'s str| wire(new) == wire(path) && !self.known.contains(**new);
            let renamed: &'s str = paths.find(is_renamed)?;
            self.gets.remove(renamed)
        })
    }
}

/// A path of `overrides.toml`, if it is of this version.
fn of_version(version: u8, path: &str) -> Option<&str> {
    match (version, path.strip_prefix("v2:")) {
        (1, None) => Some(path),
        (2, Some(path)) => Some(path),
        _ => None,
    }
}

/// A resource as the specification has it now, with what the specification does not tell.
fn as_now(old: &Resource, get: &Get, overrides: &Overrides) -> Resource {
    let mut new = Resource {
        path: get.path.clone(),
        shape: get.shape,
        item: get.item.clone(),
        paged: get.paged,
        parameters: get.parameters.clone(),
        headers: get.headers.clone(),
        ..old.clone()
    };
    new.parameters.retain(|p| !overrides.excluded_parameters.contains_key(&p.name));
    for parameter in &mut new.parameters {
        let known = old.parameters.iter().find(|p| p.name == parameter.name);
        parameter.column = known.and_then(|p| p.column.clone());
        let place = format!("{}.{}", old.name, parameter.name);
        parameter.required |= overrides.required_parameters.contains_key(&place);
    }
    new
}

/// The columns of a resource with their fields, by what tells their sources apart.
fn by_source(catalogue: &Catalogue, resource: &Resource) -> BTreeMap<String, (Column, String)> {
    let columns = columns(catalogue, resource).into_iter();
    columns
        .map(|column| {
            let field = column.source.field(resource).unwrap_or_default();
            let key = match &column.source {
                Source::Field(_) => format!("field {field}"),
                Source::Parameter(_) => format!("parameter {field}"),
                Source::InstantOf { .. } | Source::SetWithout { .. } | Source::CustomField(_) => {
                    format!("column {}", column.name)
                }
            };
            (key, (column, field))
        })
        .collect()
}

/// A path as a request sees it: the names of parameters change often and mean nothing there.
fn wire(path: &str) -> String {
    let segment = |segment: &str| {
        if segment.starts_with('{') { "{}".to_owned() } else { segment.to_owned() }
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

fn answer(shape: Shape, item: &Type) -> String {
    match shape {
        Shape::List => format!("a list of {item}"),
        Shape::Object => item.to_string(),
    }
}

fn model_name(ty: &Type) -> Option<&str> {
    match ty {
        Type::Model(name) => Some(name),
        _ => None,
    }
}

/// How a type is different; none where only the name of a model is, which no answer has.
fn type_change(before: &Type, after: &Type) -> Option<String> {
    let word = |ty: &Type| match ty {
        Type::Model(_) => "object".to_owned(),
        Type::List(item) if model_name(item).is_some() => "[object]".to_owned(),
        ty => ty.to_string(),
    };
    (word(before) != word(after)).then(|| format!("the type is {after}, not {before}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A specification with lists of things that have an id and an owner.
    fn specification() -> Value {
        json!({
            "paths": {
                "/things": {"get": {
                    "parameters": [
                        {"name": "page", "in": "query", "schema": {"type": "integer"}},
                        {"name": "showArchived", "in": "query", "schema": {"type": "boolean"}},
                    ],
                    "responses": {"200": {"content": {"application/json": {"schema": {
                        "type": "array", "items": {"$ref": "#/components/schemas/Thing"},
                    }}}}},
                }},
                "/things/{thingId}/parts": {"get": {
                    "parameters": [{"name": "thingId", "in": "path", "required": true,
                        "schema": {"type": "string", "format": "uuid"}}],
                    "responses": {"200": {"content": {"application/json": {"schema": {
                        "type": "array", "items": {"$ref": "#/components/schemas/Part"},
                    }}}}},
                }},
            },
            "components": {"schemas": {
                "Thing": {"properties": {
                    "id": {"type": "string", "format": "uuid"},
                    "size": {"type": "integer"},
                    "owner": {"$ref": "#/components/schemas/Owner"},
                }},
                "Part": {"properties": {"id": {"type": "string", "format": "uuid"}}},
                "Owner": {"properties": {
                    "name": {"type": "string", "nullable": true},
                    "email": {"type": "string"},
                }},
            }},
        })
    }

    fn overrides() -> Overrides {
        toml::from_str(
            r#"
            [words]
            things = ["thing", "things"]
            parts = ["part", "parts"]
            [groups]
            things = "things"
            [tables]
            [lookups]
            [excluded]
            [excluded_parameters]
            [required_parameters]
            [parameter_columns]
            [parents]
            [references]
            [embedded]
            [wider_lookups]
            [rows]
            [default_rows]
            list = 1
            keyed = 1
            object = 1
            [whole_seconds]
            properties = []
            [filter]
            yes = []
            no = []
            [order]
            yes = []
            no = []
            "#,
        )
        .unwrap()
    }

    /// The lines about a specification after a change, held against the catalogue from before.
    fn after(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let parsed = |root: &Value| [Specification::parse(1, &root.to_string()).unwrap()];
        let mut root = specification();
        let (overrides, none) = (overrides(), crate::overrides::Descriptions::default());
        let catalogue = crate::generate::catalogue(&parsed(&root), &overrides, &none).unwrap();
        change(&mut root);
        let found = differences(&catalogue, &parsed(&root), &overrides).unwrap();
        found.iter().map(Difference::to_string).collect()
    }

    fn schema<'v>(root: &'v mut Value, model: &str) -> &'v mut Value {
        &mut root["components"]["schemas"][model]["properties"]
    }

    #[test]
    fn the_same_specification_has_no_differences() {
        assert!(after(|_| {}).is_empty());
    }

    #[test]
    fn paths_come_and_go() {
        let lines = after(|root| {
            let paths = root["paths"].as_object_mut().unwrap();
            let parts = paths.remove("/things/{thingId}/parts").unwrap();
            // A segment that overrides.toml has no words for.
            paths.insert("/unheardof".into(), parts);
        });
        assert_eq!(
            lines,
            [
                "/unheardof\t-\t-\tnew\tGET /unheardof answers with a list of Part",
                "thing_parts\t-\t-\tgone\tGET /things/{thingId}/parts",
            ]
        );
    }

    #[test]
    fn a_renamed_parameter_is_the_same_path() {
        let lines = after(|root| {
            let paths = root["paths"].as_object_mut().unwrap();
            let mut parts = paths.remove("/things/{thingId}/parts").unwrap();
            parts["get"]["parameters"][0]["name"] = json!("id");
            paths.insert("/things/{id}/parts".into(), parts);
        });
        let changed = "the path is /things/{id}/parts, not /things/{thingId}/parts";
        assert!(lines.contains(&format!("thing_parts\t-\t-\tchanged\t{changed}")), "{lines:#?}");
        assert!(lines.iter().all(|line| line.starts_with("thing_parts\t")), "{lines:#?}");
    }

    #[test]
    fn columns_come_go_and_change() {
        let lines = after(|root| {
            let thing = schema(root, "Thing");
            thing["newField"] = json!({"type": "boolean"});
            thing["size"] = json!({"type": "string"});
        });
        assert_eq!(
            lines,
            [
                "things\tnew_field\tnewField\tnew\ta column of type boolean",
                "things\tsize\tsize\tchanged\tthe type is text, not integer",
            ]
        );
        let lines =
            after(|root| drop(schema(root, "Thing").as_object_mut().unwrap().remove("size")));
        assert_eq!(lines, ["things\tsize\tsize\tgone\ta column of type integer"]);
    }

    #[test]
    fn nested_properties_and_nulls_are_listed_by_their_model() {
        let lines = after(|root| {
            let owner = schema(root, "Owner");
            owner["phone"] = json!({"type": "string"});
            owner["name"]["nullable"] = json!(false);
            owner.as_object_mut().unwrap().remove("email");
        });
        let expected = [
            "Owner\t-\temail\tgone\ta property of type text",
            "Owner\t-\tname\tchanged\tis never null any more",
            "Owner\t-\tphone\tnew\ta property of type text",
        ];
        for line in expected {
            assert!(lines.iter().any(|known| known == line), "{line}: {lines:#?}");
        }
    }

    #[test]
    fn parameters_and_pages_are_compared() {
        let lines = after(|root| {
            let parameters = &mut root["paths"]["/things"]["get"]["parameters"];
            *parameters = json!([
                {"name": "showArchived", "in": "query", "required": true,
                    "schema": {"type": "boolean"}},
                {"name": "since", "in": "query",
                    "schema": {"type": "string", "format": "date-time"}},
            ]);
        });
        assert_eq!(
            lines,
            [
                "things\t-\t-\tchanged\thas no pages any more",
                "things\tshow_archived\tshowArchived\tchanged\ta request needs a value for it now",
                "things\tsince\tsince\tnew\ta column of type timestamp with time zone",
            ]
        );
    }

    #[test]
    fn a_list_that_became_an_object_is_changed() {
        let lines = after(|root| {
            let answer = &mut root["paths"]["/things"]["get"]["responses"]["200"]["content"]["application/json"]
                ["schema"];
            *answer = json!({"$ref": "#/components/schemas/Thing"});
        });
        let line = "things\t-\t-\tchanged\tanswers with Thing, not with a list of Thing";
        assert!(lines.iter().any(|known| known == line), "{lines:#?}");
    }

    #[test]
    fn an_object_that_is_no_plain_value_any_more_loses_its_columns() {
        let lines = after(|root| schema(root, "Owner")["newField"] = json!({"type": "object"}));
        assert_eq!(
            lines,
            [
                "Owner\t-\tnewField\tnew\ta property of type json",
                "things\towner_email\towner/email\tgone\ta column of type text",
            ]
        );
    }

    #[test]
    fn the_catalogue_is_that_of_the_specification_at_hand() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../awork-api/catalogue");
        let overrides = std::fs::read_to_string(format!("{folder}/overrides.toml")).unwrap();
        let overrides: Overrides = toml::from_str(&overrides).unwrap();
        for version in [1, 2] {
            let root = env!("CARGO_MANIFEST_DIR");
            let path = format!("{root}/../../../shared/api/openapi-v{version}.json");
            let Ok(text) = std::fs::read_to_string(&path) else {
                println!("skipped: the optional vendor specification is not readable");
                return;
            };
            let specifications = [Specification::parse(version, &text).unwrap()];
            let found = differences(Catalogue::bundled(), &specifications, &overrides).unwrap();
            assert!(found.is_empty(), "{found:#?}");
        }
    }
}
