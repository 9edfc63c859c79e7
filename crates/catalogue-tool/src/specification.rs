//! Reads the facts the catalogue needs from an OpenAPI 3 file: the GETs that answer with JSON,
//! their parameters, and the schemas they reach. Knows nothing of tables.

use awork_api::catalogue::{Location, Model, Parameter, Property, Shape, Support, Type};
use serde_json::Value;

/// Parameters that mean paging wherever they are declared.
const PAGING: &[&str] = &["page", "pageSize", "orderby", "filterby"];

/// A parsed specification of one version of the API.
pub(crate) struct Specification {
    pub(crate) version: u8,
    root: Value,
}

/// A GET that answers with JSON.
#[derive(Debug)]
pub(crate) struct Get {
    pub(crate) path: String,
    pub(crate) shape: Shape,
    pub(crate) item: Type,
    pub(crate) paged: bool,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) headers: Vec<(String, String)>,
}

impl Specification {
    pub(crate) fn parse(version: u8, text: &str) -> Result<Self, String> {
        let root = serde_json::from_str(text)
            .map_err(|e| format!("the file of version {version}: {e}"))?;
        Ok(Self { version, root })
    }

    /// Every GET with a JSON answer, in the file's order. Answers that are a file's bytes
    /// are not JSON, whatever media type they are declared under.
    pub(crate) fn gets(&self) -> Result<Vec<Get>, String> {
        let paths = self.root["paths"].as_object().ok_or("the specification has no paths")?;
        let mut gets = Vec::new();
        for (path, operations) in paths {
            let get = &operations["get"];
            let schema = get["responses"]["200"]["content"]
                .as_object()
                .and_then(|content| content.iter().find(|(media, _)| media.contains("json")))
                .map(|(_, answer)| &answer["schema"]);
            let Some(schema) = schema else { continue };
            if self.resolve(schema)["format"] == "binary" {
                continue;
            }
            gets.push(self.get(path, get, &operations["parameters"], schema)?);
        }
        Ok(gets)
    }

    fn get(&self, path: &str, get: &Value, shared: &Value, schema: &Value) -> Result<Get, String> {
        let resolved = self.resolve(schema);
        let (shape, item) = match resolved["type"].as_str() {
            Some("array") => (Shape::List, self.ty("", &resolved["items"])),
            _ => (Shape::Object, self.ty("", schema)),
        };
        let mut paged = false;
        let mut parameters = Vec::new();
        let mut headers = Vec::new();
        let declared =
            [&get["parameters"], shared].into_iter().filter_map(Value::as_array).flatten();
        for parameter in declared.map(|p| self.resolve(p)) {
            let name =
                text(parameter, "name").ok_or_else(|| format!("{path}: unnamed parameter"))?;
            let schema = self.resolve(&parameter["schema"]);
            let default = match &schema["default"] {
                Value::Null => None,
                Value::String(s) => Some(s.clone()),
                other => Some(other.to_string()),
            };
            let location = match parameter["in"].as_str() {
                Some("path") => Location::Path,
                Some("query") if PAGING.contains(&name.as_str()) => {
                    paged = true;
                    continue;
                }
                Some("query") => Location::Query,
                Some("header") => {
                    headers.push((name, default.unwrap_or_default()));
                    continue;
                }
                other => return Err(format!("{path}: parameter {name} is in {other:?}")),
            };
            parameters.push(Parameter {
                ty: self.ty(&name, schema),
                name,
                location,
                required: parameter["required"].as_bool().unwrap_or(false),
                default,
                column: None,
                parent: None,
                description: None,
            });
        }
        // In the order in which the path has them, whatever order they are declared in.
        parameters.sort_by_key(|p| match p.location {
            Location::Path => path.find(&format!("{{{}}}", p.name)).unwrap_or(usize::MAX),
            Location::Query => usize::MAX,
        });
        Ok(Get {
            path: path.to_owned(),
            shape,
            item,
            paged: paged && shape == Shape::List,
            parameters,
            headers,
        })
    }

    /// The model of this name as [`Type::Model`] has it.
    pub(crate) fn model(&self, name: &str) -> Option<Model> {
        let schema = &self.root["components"]["schemas"][self.schema_name(name)?];
        let properties = schema["properties"].as_object()?;
        Some(Model {
            name: name.to_owned(),
            properties: properties
                .iter()
                .map(|(property, schema)| Property {
                    name: property.clone(),
                    ty: self.ty(property, schema),
                    // A reference has no place beside it to say so.
                    nullable: schema["nullable"] == true || schema["$ref"].is_string(),
                    filter: Support::Unknown,
                    order: Support::Unknown,
                    whole_seconds: false,
                    refers_to: None,
                    description: None,
                })
                .collect(),
        })
    }

    /// The schema behind a model's name, if the model is of this version.
    fn schema_name<'n>(&self, model: &'n str) -> Option<&'n str> {
        match (self.version, model.strip_prefix("V2.")) {
            (1, None) => Some(model),
            (2, Some(name)) => Some(name),
            _ => None,
        }
    }

    fn ty(&self, name: &str, schema: &Value) -> Type {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.resolve(schema);
            if target["properties"].as_object().is_some_and(|p| !p.is_empty()) {
                let schema = reference.rsplit('/').next().unwrap_or(reference);
                return Type::Model(match self.version {
                    1 => schema.to_owned(),
                    version => format!("V{version}.{schema}"),
                });
            }
            return self.ty(name, target);
        }
        match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("string"), Some("uuid")) => Type::Uuid,
            (Some("string"), Some("date-time")) if name.ends_with("Local") => Type::LocalTimestamp,
            (Some("string"), Some("date-time")) => Type::Instant,
            (Some("string"), Some("date")) => Type::Date,
            (Some("string"), None) if is_time_of_day(name) => Type::TimeOfDay,
            (Some("string"), _) => Type::Text,
            (Some("boolean"), _) => Type::Boolean,
            (Some("integer"), Some("int64")) => Type::Bigint,
            (Some("integer"), _) => Type::Integer,
            (Some("number"), _) => Type::Double,
            (Some("array"), _) => Type::List(Box::new(self.ty("", &schema["items"]))),
            _ => Type::Json,
        }
    }

    fn resolve<'v>(&'v self, value: &'v Value) -> &'v Value {
        match value["$ref"].as_str().and_then(|r| r.strip_prefix('#')) {
            Some(pointer) => self.root.pointer(pointer).unwrap_or(&Value::Null),
            None => value,
        }
    }
}

/// The specification gives times of day as strings without a format; their names tell.
fn is_time_of_day(name: &str) -> bool {
    name.ends_with("TimeUtc") || name.ends_with("TimeLocal")
}

fn text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(str::to_owned)
}
