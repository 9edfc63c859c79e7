//! Custom fields: which there are ([`definitions`]), and the columns that show them ([`columns`]).
//! Their values are read by `rows`.

mod changes;
mod slug;

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use uuid::Uuid;

use crate::catalogue::columns::{self as catalogue_columns, ATTRS};
use crate::catalogue::{Catalogue, Resource, Type};
use crate::client::Client;
use crate::credentials::redacted;
use crate::error::{Error, ErrorKind};
use crate::rows::time;

pub use changes::{Change, Shown, What, changes};

/// The property of a row that has the values.
pub const PROPERTY: &str = "customFields";

/// Where the definitions are listed.
const PATH: &str = "/customfielddefinitions";

/// The models whose rows have custom fields, and what the definitions call these.
const ENTITIES: &[(&str, &str)] = &[("Project", "project"), ("TaskModel", "task")];

/// Columns that every table has, without being told.
const SYSTEM_COLUMNS: &[&str] = &["tableoid", "cmax", "xmax", "cmin", "xmin", "ctid"];

/// How long a comment's list of options may become, in characters.
const MOST_OF_OPTIONS: usize = 500;

/// A custom field of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its id, which stays when it is renamed.
    pub id: Uuid,
    /// What people call it, which may be what they call another one.
    pub name: String,
    /// The same for comments, as far as a database can have it.
    pub label: String,
    /// What has it: `project`, `task`.
    pub entity: String,
    /// Its type in awork's word; a new one may come.
    pub ty: String,
    /// What can be chosen, in awork's order, where the type is one of choices; for comments.
    pub options: Vec<String>,
    /// When it was made, in microseconds since 2000.
    created: Option<i64>,
}

/// A definition as awork sends it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    id: Uuid,
    name: Option<String>,
    entity: Option<String>,
    #[serde(rename = "type")]
    ty: Option<String>,
    created_on: Option<String>,
    selection_options: Option<Vec<SentOption>>,
}

#[derive(Deserialize)]
struct SentOption {
    value: Option<String>,
    order: Option<f64>,
}

/// All custom fields of the workspace, the oldest first, so that a new one is the last.
pub async fn definitions(client: &Client) -> Result<Vec<Definition>, Error> {
    let answer = client.get(1, PATH, &[]).await?;
    parse(answer.body.as_deref().unwrap_or_default(), answer.page.total)
}

/// The definitions in an answer, which must have as many as it says that there are: columns may be
/// dropped for what is missing.
fn parse(body: &[u8], total: Option<u64>) -> Result<Vec<Definition>, Error> {
    let sent: Vec<Sent> = serde_json::from_slice(body).map_err(|e| {
        // Its message would quote the answer.
        let (line, column) = (e.line(), e.column());
        let message = format!("malformed answer to GET {PATH}, at line {line}, column {column}");
        Error::new(ErrorKind::BadReply, message)
    })?;
    let count = sent.len() as u64;
    if let Some(total) = total.filter(|&total| total > count) {
        let message = format!("awork announced {total} custom fields and sent {count}");
        return Err(Error::new(ErrorKind::BadReply, message));
    }
    let mut definitions: Vec<Definition> = sent.into_iter().map(Definition::from).collect();
    definitions.sort_by_key(|definition| (definition.created, definition.id));
    definitions.dedup_by_key(|definition| definition.id);
    Ok(definitions)
}

impl From<Sent> for Definition {
    fn from(sent: Sent) -> Self {
        let mut options = sent.selection_options.unwrap_or_default();
        let order = |option: &SentOption| option.order.unwrap_or(f64::INFINITY);
        options.sort_by(|a, b| order(a).total_cmp(&order(b)));
        let name = shown(&sent.name.unwrap_or_default());
        Self {
            id: sent.id,
            label: name.clone(),
            name,
            entity: sent.entity.unwrap_or_default(),
            ty: shown(&sent.ty.unwrap_or_default()),
            options: options.into_iter().filter_map(|o| Some(shown(&o.value?))).collect(),
            created: sent.created_on.and_then(|at| time::instant(at.as_bytes())),
        }
    }
}

/// Text of awork's as it may stand in a comment: without control characters, and without a secret,
/// which awork may have echoed.
fn shown(text: &str) -> String {
    redacted(&text.replace(char::is_control, " "))
}

impl Definition {
    /// The PostgreSQL type of its column.
    pub fn sql_type(&self) -> &'static str {
        match self.ty.as_str() {
            "number" => "numeric",
            "date" => "date",
            "datetime" => "timestamp with time zone",
            "boolean" => "boolean",
            "user" | "client" => "uuid",
            _ => "text",
        }
    }

    /// The comment of its column. `is_commented_by` reads it.
    pub fn comment(&self) -> String {
        let ty = match self.ty.as_str() {
            "user" => "user: users.id".to_owned(),
            "client" => "client: companies.id".to_owned(),
            ty if self.options.is_empty() => ty.to_owned(),
            ty => {
                let mut options = self.options.join(", ");
                if let Some((end, _)) = options.char_indices().nth(MOST_OF_OPTIONS) {
                    options.truncate(end);
                    options.push('…');
                }
                format!("{ty}: {options}")
            }
        };
        format!("{}{ty}).", self.beginning())
    }

    /// Whether this comment was made of a definition with the same name.
    fn is_commented_by(&self, comment: &str) -> bool {
        comment.starts_with(&self.beginning())
    }

    fn beginning(&self) -> String {
        format!("{COMMENT}{}\" (", self.label)
    }
}

/// How the comment of every column that shows a custom field begins.
const COMMENT: &str = "Custom field \"";

/// Whether a comment was made of a definition, and not by people.
fn is_ours(comment: &str) -> bool {
    comment.starts_with(COMMENT)
}

/// Whether rows of a resource have custom fields, of whatever kind.
pub fn has(resource: &Resource) -> bool {
    resource.properties().contains(&PROPERTY)
}

/// The entity whose custom fields the rows of a resource have, where a column can be made of each.
pub fn entity(resource: &Resource) -> Option<&'static str> {
    let Type::Model(model) = &resource.item else { return None };
    ENTITIES.iter().find(|(name, _)| name == model).map(|(_, entity)| *entity)
}

/// The definitions of an entity with the names of their columns, which are the same in all tables
/// of the entity and whatever order the definitions come in. A name of several fields, or one that
/// is taken, ends with the beginning of the field's id.
pub fn columns<'d>(entity: &str, definitions: &'d [Definition]) -> Vec<(String, &'d Definition)> {
    let definitions: Vec<&Definition> =
        definitions.iter().filter(|definition| definition.entity == entity).collect();
    let taken = taken(entity);
    let mut names: Vec<String> = Vec::new();
    let mut digits = vec![0; definitions.len()];
    loop {
        names.clear();
        names.extend(definitions.iter().zip(&digits).map(|(d, digits)| name(d, *digits, &taken)));
        let mut counts: HashMap<&str, usize> = HashMap::new();
        names.iter().for_each(|name| *counts.entry(name).or_default() += 1);
        let clashes = |name: &str| counts[name] > 1 || taken.contains(name);
        let mut is_done = true;
        for (name, digits) in names.iter().zip(&mut digits) {
            if clashes(name) && *digits < slug::ID_DIGITS {
                *digits += 4;
                is_done = false;
            }
        }
        if is_done {
            return names.into_iter().zip(definitions).collect();
        }
    }
}

/// A name for a column of this definition that is none of `names`.
fn free_name(wanted: &str, definition: &Definition, names: &HashSet<String>) -> String {
    let mut digits = (0..=slug::ID_DIGITS).step_by(4);
    let free = digits.find_map(|digits| {
        let name = slug::with_id(wanted, &definition.id, digits);
        (!names.contains(&name)).then_some(name)
    });
    free.unwrap_or_else(|| wanted.to_owned())
}

fn name(definition: &Definition, digits: usize, taken: &HashSet<String>) -> String {
    let plain = slug::slug(&definition.name, &definition.id);
    let free = if taken.contains(&plain) { format!("custom_{plain}") } else { plain };
    slug::with_id(&free, &definition.id, digits)
}

/// The names of all columns that tables of an entity have.
fn taken(entity: &str) -> HashSet<String> {
    let catalogue = Catalogue::bundled();
    let resources = catalogue.resources.iter().filter(|r| self::entity(r) == Some(entity));
    let columns = resources.flat_map(|resource| catalogue_columns::columns(catalogue, resource));
    let others = [&[ATTRS], SYSTEM_COLUMNS].concat();
    columns.map(|column| column.name).chain(others.into_iter().map(str::to_owned)).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
