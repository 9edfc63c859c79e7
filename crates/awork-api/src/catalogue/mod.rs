//! The resources that can be read from awork, as data: one entry per readable path of the
//! vendor's specification. Which columns a table gets follows from an entry by the rules
//! in [`columns`]; this file only holds the entries' shape and how to find one.

pub mod columns;
pub mod names;
mod types;

use once_cell::sync::Lazy;
use serde::{Deserialize, Serialize};

pub use types::Type;

/// Written by `awork-catalogue` from the vendor's specification, `overrides.toml` and
/// `descriptions.toml`; never edited by hand.
static DATA: &str = include_str!("../../catalogue/catalogue.json");

static CATALOGUE: Lazy<Catalogue> =
    Lazy::new(|| serde_json::from_str(DATA).expect("the bundled catalogue is valid"));

/// The whole catalogue: resources (tables) and the models (JSON objects) they answer with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalogue {
    /// One entry per table, sorted by name.
    pub resources: Vec<Resource>,
    /// Every JSON object that a resource answers with or nests, sorted by name.
    pub models: Vec<Model>,
    /// The readable paths that are no table, each with the reason.
    pub excluded: Vec<Exclusion>,
}

/// A path of the specification that is deliberately no table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exclusion {
    /// The path, with parameters in braces. Version 2 paths begin with `v2:`.
    pub path: String,
    /// Why it is left out.
    pub reason: String,
}

/// A readable path of the API, which is one foreign table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// The table's name and the value of the table option `resource`, e.g. `project_members`.
    pub name: String,
    /// The group that `IMPORT FOREIGN SCHEMA "group"` selects, e.g. `projects`.
    pub group: String,
    /// Which version of the API serves the path: 1 or 2.
    pub version: u8,
    /// Path below the version's base, with parameters in braces:
    /// `/projects/{projectId}/members`.
    pub path: String,
    /// Whether the answer is an array or one object.
    pub shape: Shape,
    /// The type of one row: a model, or a scalar where the API lists plain strings.
    pub item: Type,
    /// Whether the specification declares `page`, `pageSize`, `orderby` and `filterby`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paged: bool,
    /// Path and query parameters other than those of paging, in the path's order first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// Constant headers that the path requires.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Single-object paths that answer with one row of this list, e.g. `/projects/{projectId}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lookups: Vec<Lookup>,
    /// The list whose rows have this one's rows inside, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<Embedded>,
    /// How many rows one request brings, all its pages together, where nothing better is
    /// known: of the whole list, or for one set of keys where the path has parameters. An
    /// assumption from `overrides.toml`, for a planner's first guess.
    pub rows: u64,
    /// What the table holds, in a sentence or two, for `COMMENT ON`.
    pub description: String,
}

/// How a path answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// A bare JSON array of rows.
    List,
    /// One JSON value, which is the only row.
    Object,
}

/// A parameter of a path, shown as a column that binds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// The name on the wire, e.g. `projectId`.
    pub name: String,
    /// Where it goes.
    #[serde(rename = "in")]
    pub location: Location,
    /// The type of its column.
    #[serde(rename = "type")]
    pub ty: Type,
    /// Whether a request without it is refused. Always true in a path.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// What the API assumes where it is left out, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Its column, where that is not simply the name in snake_case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Where its values are listed. Only a parameter of the path has one, and only where a
    /// list has them that needs no keys but those of the same path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// For `COMMENT ON`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// The list that has a parameter's values, `projects` for the `projectId` of
/// `/projects/{projectId}/members`. Its own path parameters all occur in the path of the
/// parameter, by the same name on the wire, and have the same values there. Like any list it
/// has what awork shows of it: without a parameter to say otherwise no archived rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The name of the list's resource.
    pub resource: String,
    /// The property of its rows that has the values, mostly `id`.
    pub property: String,
    /// A property of its rows by which it is known without asking that there is nothing
    /// below: where it is 0 or false. Null, or its absence, says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_if: Option<String>,
}

/// Where the rows of a list are found without a request of their own: whole and as the same
/// model, in an array inside the rows of another list. That list is the [`Parent`] of one of
/// the path's parameters and has all the others, so each row says which key its array is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Embedded {
    /// The name of the other list's resource.
    pub resource: String,
    /// The property of its rows that holds the array.
    pub property: String,
}

/// Where a parameter goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Location {
    /// A segment of the path.
    Path,
    /// The query string.
    Query,
}

/// A path that answers with a single row of a list, found by a unique column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lookup {
    /// The path, e.g. `/projects/key/{projectKey}`.
    pub path: String,
    /// The property of the row that its last parameter equals, e.g. `projectKey`.
    pub property: String,
    /// Whether the path may answer with an object that the list leaves out: archived, in the
    /// trash, or beyond what the list is about or shows to the caller. In doubt true.
    #[serde(default, skip_serializing_if = "is_false")]
    pub wider: bool,
}

/// A JSON object of the API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The specification's name of it, e.g. `TimeTracking`. Version 2 models carry the
    /// prefix `V2.`.
    pub name: String,
    /// Its properties in the specification's order.
    pub properties: Vec<Property>,
}

/// A property of a JSON object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Property {
    /// The JSON name, e.g. `startDateUtc`.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: Type,
    /// Whether the specification lets it be null. A reference to another schema always may be:
    /// OpenAPI 3.0 has no place beside it to say so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub nullable: bool,
    /// Whether `filterby` knows the property.
    #[serde(default, skip_serializing_if = "Support::is_unknown")]
    pub filter: Support,
    /// Whether `orderby` knows the property.
    #[serde(default, skip_serializing_if = "Support::is_unknown")]
    pub order: Support,
    /// Whether every value of this date and time is a whole second, being a calendar day's
    /// bound: midnight, noon, or a second before midnight.
    #[serde(default, skip_serializing_if = "is_false")]
    pub whole_seconds: bool,
    /// The resource whose `id` it is, where it is one; of an object, whose `id` the object has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refers_to: Option<String>,
    /// For `COMMENT ON`; absent where the name says it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What is known of a capability of the API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Support {
    /// Seen working or documented.
    Yes,
    /// Known not to work.
    No,
    /// No evidence either way.
    #[default]
    Unknown,
}

impl Support {
    fn is_unknown(&self) -> bool {
        *self == Support::Unknown
    }

    /// The word shown in `awork_fdw_catalog`.
    pub fn as_str(self) -> &'static str {
        match self {
            Support::Yes => "yes",
            Support::No => "no",
            Support::Unknown => "unknown",
        }
    }
}

impl Catalogue {
    /// The bundled catalogue, parsed at its first use.
    pub fn bundled() -> &'static Catalogue {
        &CATALOGUE
    }

    /// The resource of this table name.
    pub fn resource(&self, name: &str) -> Option<&Resource> {
        find(&self.resources, name, |r| &r.name)
    }

    /// The model of this name.
    pub fn model(&self, name: &str) -> Option<&Model> {
        find(&self.models, name, |m| &m.name)
    }

    /// The names of the import groups, sorted.
    pub fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = self.resources.iter().map(|r| r.group.as_str()).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }
}

impl Resource {
    /// Whether the path has parameters, which must be bound to ask for it.
    pub fn is_keyed(&self) -> bool {
        self.parameters.iter().any(|p| p.location == Location::Path)
    }

    /// The names of the properties of a row; none where rows are scalars.
    pub fn properties(&self) -> Vec<&'static str> {
        match &self.item {
            Type::Model(name) => Catalogue::bundled().model(name).map_or_else(Vec::new, |model| {
                model.properties.iter().map(|p| p.name.as_str()).collect()
            }),
            _ => Vec::new(),
        }
    }
}

impl Model {
    /// The property of this JSON name.
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|p| p.name == name)
    }
}

/// Binary search in a list sorted by name.
fn find<'a, T>(list: &'a [T], name: &str, key: impl Fn(&T) -> &str) -> Option<&'a T> {
    list.binary_search_by(|entry| key(entry).cmp(name)).ok().map(|i| &list[i])
}

fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
#[path = "relations_tests.rs"]
mod relations_tests;
