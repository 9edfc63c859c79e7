//! What has become of the custom fields since the columns of a table were made.

use std::collections::HashSet;

use uuid::Uuid;

use super::{COMMENT, Definition, columns, free_name, is_ours};

/// A column of a foreign table.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// The custom field that it shows, where it shows one.
    pub custom_field: Option<Uuid>,
    /// Its comment.
    pub comment: Option<String>,
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// There is a custom field that no column shows.
    Added,
    /// People call it something else, which the column's comment does not say yet.
    Renamed,
    /// Its type or its options are others than the column's comment says.
    Changed,
    /// There is no such custom field any more.
    Removed,
}

impl What {
    /// The word that people read.
    pub fn as_str(self) -> &'static str {
        match self {
            What::Added => "added",
            What::Renamed => "renamed",
            What::Changed => "changed",
            What::Removed => "removed",
        }
    }
}

/// A difference between the custom fields and the columns of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<'d> {
    /// What has happened.
    pub what: What,
    /// The column: a new one, or one of the table's.
    pub column: String,
    /// The id of the custom field.
    pub id: Uuid,
    /// What people call it, or called it when the column's comment was made.
    pub name: Option<String>,
    /// The custom field, unless it is no more.
    pub definition: Option<&'d Definition>,
}

/// The differences: those of the table's columns in their order, then what is to be added. Comments
/// that people have made are left alone.
pub fn changes<'d>(
    entity: &str,
    definitions: &'d [Definition],
    table: &[Shown],
) -> Vec<Change<'d>> {
    let mut names: HashSet<String> = table.iter().map(|column| column.name.clone()).collect();
    let shown: HashSet<Uuid> = table.iter().filter_map(|column| column.custom_field).collect();
    let mut changes: Vec<Change<'d>> =
        table.iter().filter_map(|column| of_column(column, definitions)).collect();
    for (name, definition) in columns(entity, definitions) {
        if shown.contains(&definition.id) {
            continue;
        }
        let column = free_name(&name, definition, &names);
        names.insert(column.clone());
        changes.push(Change {
            what: What::Added,
            column,
            id: definition.id,
            name: Some(definition.label.clone()),
            definition: Some(definition),
        });
    }
    changes
}

fn of_column<'d>(column: &Shown, definitions: &'d [Definition]) -> Option<Change<'d>> {
    let id = column.custom_field?;
    let comment = column.comment.as_deref();
    let definition = definitions.iter().find(|definition| definition.id == id);
    let (what, name) = match definition {
        None => (What::Removed, comment.and_then(name_in).map(str::to_owned)),
        Some(definition) => {
            let comment = comment.filter(|comment| is_ours(comment))?;
            let name = Some(definition.label.clone());
            match definition.is_commented_by(comment) {
                true if comment == definition.comment() => return None,
                true => (What::Changed, name),
                false => (What::Renamed, name),
            }
        }
    };
    Some(Change { what, column: column.name.clone(), id, name, definition })
}

/// The name of a custom field in the comment that was made of it.
fn name_in(comment: &str) -> Option<&str> {
    Some(comment.strip_prefix(COMMENT)?.split_once("\" (")?.0)
}
