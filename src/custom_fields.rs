//! Custom fields as columns: their definitions, and their comments on the way to the import's event
//! trigger.

use std::cell::RefCell;

use awork_api::custom_fields::{self, Definition, Shown, What};
use deunicode::deunicode;
use pgrx::prelude::*;
use pgrx::spi::{quote_identifier, quote_literal};

use crate::pg::{self, Text};
use crate::{error, options};

thread_local! {
    /// The definitions that the last import made columns of, for the comments that follow it.
    static IMPORTED: RefCell<Vec<Definition>> = const { RefCell::new(Vec::new()) };
}

/// The custom fields of a server's workspace, as the current user sees them. Where the database does
/// not have all characters, comments get what ASCII has for them.
pub(crate) fn definitions(server: &str) -> Vec<Definition> {
    let mut definitions = pg::client_for_server(server)
        .and_then(|client| pg::block_on(async move { custom_fields::definitions(&client).await }))
        .unwrap_or_else(|error| error::raise(error));
    if !pg::is_utf8() {
        for definition in &mut definitions {
            let texts = std::iter::once(&mut definition.label).chain(&mut definition.options);
            texts.for_each(|text| *text = deunicode(text));
        }
    }
    definitions
}

/// The same for an import, whose comments will be asked for.
pub(crate) fn imported(server: &str) -> Vec<Definition> {
    let definitions = definitions(server);
    IMPORTED.replace(definitions.clone());
    definitions
}

/// The column of a definition, as CREATE and ALTER FOREIGN TABLE have it.
pub(crate) fn column(name: &str, definition: &Definition) -> String {
    format!(
        "{} {} OPTIONS (custom_field {})",
        quote_identifier(name),
        definition.sql_type(),
        quote_literal(definition.id.hyphenated().to_string())
    )
}

/// The comments for the custom fields that the import at hand made columns of. They are handed over
/// once.
#[pg_extern(volatile, parallel_unsafe)]
fn awork_fdw_imported_comments()
-> TableIterator<'static, (name!(custom_field, String), name!(comment, String))> {
    let definitions = IMPORTED.take();
    TableIterator::new(
        definitions
            .into_iter()
            .map(|definition| (definition.id.hyphenated().to_string(), definition.comment())),
    )
}

/// What `awork_fdw_sync_columns` is to do, for a table of this resource and server with these columns,
/// of which some show a custom field.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)]
fn awork_fdw_custom_field_changes(
    server: Text,
    resource: &str,
    columns: Vec<Option<Text>>,
    shown: Vec<Option<Text>>,
    comments: Vec<Option<Text>>,
) -> TableIterator<
    'static,
    (
        name!(change, &'static str),
        name!(column_name, Text),
        name!(awork_name, Option<Text>),
        name!(custom_field, String),
        name!(definition, Option<String>),
        name!(comment, Option<String>),
    ),
> {
    let resource = options::resource(resource);
    let Some(entity) = custom_fields::entity(resource) else {
        error::invalid_value(
            format!("rows of resource \"{}\" are neither projects nor tasks", resource.name),
            Some("Only projects and tasks have custom fields that become columns.".into()),
        )
    };
    let table: Vec<Shown> = columns
        .into_iter()
        .flatten()
        .zip(shown.iter().map(|id| id.as_ref().map(|id| options::custom_field(&id.0))))
        .zip(comments.into_iter().map(|comment| comment.map(|text| text.0)))
        .map(|((name, custom_field), comment)| Shown { name: name.0, custom_field, comment })
        .collect();
    let definitions = definitions(&server.0);
    let changes = custom_fields::changes(entity, &definitions, &table);
    let rows: Vec<_> = changes
        .into_iter()
        .map(|change| {
            let is_new = change.what == What::Added;
            (
                change.what.as_str(),
                Text(change.column.clone()),
                change.name.map(Text),
                change.id.hyphenated().to_string(),
                change.definition.filter(|_| is_new).map(|d| column(&change.column, d)),
                change.definition.map(Definition::comment),
            )
        })
        .collect();
    TableIterator::new(rows)
}
