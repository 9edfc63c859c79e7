//! The hand-written half of the catalogue: names, groups, evidence and descriptions.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `overrides.toml`: what the specification cannot tell.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Overrides {
    /// A path segment as written by awork → its words, singular and plural.
    pub(crate) words: BTreeMap<String, [String; 2]>,
    /// Path, or else its first segment → import group.
    pub(crate) groups: BTreeMap<String, String>,
    /// Path → table name, where the rule gives a poor or ambiguous one.
    pub(crate) tables: BTreeMap<String, String>,
    /// Path of a single object → path of the list that it is a row of, and the property that
    /// the path's last parameter equals; for those that the rule does not find.
    pub(crate) lookups: BTreeMap<String, (String, String)>,
    /// Path → why it is no table.
    pub(crate) excluded: BTreeMap<String, String>,
    /// Query parameter → why it is no column.
    pub(crate) excluded_parameters: BTreeMap<String, String>,
    /// `table.parameter` → why it is required though the specification does not say so.
    pub(crate) required_parameters: BTreeMap<String, String>,
    /// `table.parameter` or parameter → column, where awork's spelling hides the words.
    pub(crate) parameter_columns: BTreeMap<String, String>,
    /// `table.parameter` or parameter → where its values are listed, for those that the rule
    /// does not find; empty where they are listed nowhere.
    pub(crate) parents: BTreeMap<String, ParentOf>,
    /// Table → `table.property` of the rows that its own rows are inside of.
    pub(crate) embedded: BTreeMap<String, String>,
    /// `Model.property` or property → the table whose `id` it is, or that the object is a row of,
    /// for those that the rule does not find; empty where it is of none.
    pub(crate) references: BTreeMap<String, String>,
    /// Table → why its single-object paths may find what the list leaves out, for those that
    /// the rule does not find.
    pub(crate) wider_lookups: BTreeMap<String, String>,
    /// Table → how many rows it is assumed to have.
    pub(crate) rows: BTreeMap<String, u64>,
    /// What is assumed of all other tables.
    pub(crate) default_rows: DefaultRows,
    /// The dates and times that have whole seconds.
    pub(crate) whole_seconds: WholeSeconds,
    /// What `filterby` is known to take and not to take.
    pub(crate) filter: Evidence,
    /// What `orderby` is known to take and not to take.
    pub(crate) order: Evidence,
}

/// `table.property`, alone or with the property that tells where there is nothing below.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum ParentOf {
    Always(String),
    If { of: String, only_if: String },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DefaultRows {
    /// A list that needs no key.
    pub(crate) list: u64,
    /// A list below something, for each of that.
    pub(crate) keyed: u64,
    /// A single object.
    pub(crate) object: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WholeSeconds {
    /// `Model.property`.
    pub(crate) properties: Vec<String>,
}

/// `Model.property` for one model, a bare property name for all models.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Evidence {
    pub(crate) yes: Vec<String>,
    pub(crate) no: Vec<String>,
}

/// `descriptions.toml`: comments for tables and columns, in the project's own words.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Descriptions {
    /// Table → what it holds.
    #[serde(default)]
    pub(crate) tables: BTreeMap<String, String>,
    /// `Model.property`, or a bare property name for every model that has no entry of its own.
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, String>,
    /// `table.parameter`, or a bare parameter name for every table.
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, String>,
}

/// The entry for `owner.name`, else the one for `name` alone.
pub(crate) fn specific<'m, V>(
    map: &'m BTreeMap<String, V>,
    owner: &str,
    name: &str,
) -> Option<&'m V> {
    map.get(&format!("{owner}.{name}")).or_else(|| map.get(name))
}
