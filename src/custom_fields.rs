//! Custom fields as columns: their definitions, and their comments on the way to the import's event
//! trigger.

use std::cell::RefCell;

use awork_api::custom_fields::{self, Definition, Shown, What};
use deunicode::deunicode;
use pgrx::prelude::*;
use pgrx::spi::{quote_identifier, quote_literal};

use crate::{error, options, pg};

thread_local! {
    /// The definitions that the last import made columns of, for the comments that follow it.
    static IMPORTED: RefCell<Vec<Definition>> = const { RefCell::new(Vec::new()) };
}

/// The custom fields of a server's workspace, as the current user sees them.
pub(crate) fn definitions(server: &str) -> Vec<Definition> {
    pg::client_for_server(server)
        .and_then(|client| pg::block_on(async move { custom_fields::definitions(&client).await }))
        .unwrap_or_else(|error| error::raise(error))
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
    TableIterator::new(definitions.into_iter().map(|definition| {
        (definition.id.hyphenated().to_string(), in_database(&definition.comment()))
    }))
}

/// Text of awork's as the database can have it: all of it in UTF-8, else what ASCII has for it.
pub(crate) fn in_database(text: &str) -> String {
    if pg::is_utf8() { text.to_owned() } else { deunicode(text) }
}

/// What `awork_fdw_sync_columns` is to do, for a table of this resource and server with these columns,
/// of which each shows a custom field or has an empty text for it.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)]
fn awork_fdw_custom_field_changes(
    server: &str,
    resource: &str,
    columns: Vec<String>,
    shown: Vec<String>,
    comments: Vec<Option<String>>,
) -> TableIterator<
    'static,
    (
        name!(change, &'static str),
        name!(column_name, String),
        name!(awork_name, Option<String>),
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
    let shown = shown.iter().map(|id| (!id.is_empty()).then(|| options::custom_field(id)));
    let table: Vec<Shown> = columns
        .into_iter()
        .zip(shown)
        .zip(comments)
        .map(|((name, custom_field), comment)| Shown { name, custom_field, comment })
        .collect();
    let mut definitions = definitions(server);
    for definition in &mut definitions {
        // As the comments of the table have it.
        definition.name = in_database(&definition.name);
        definition.options.iter_mut().for_each(|option| *option = in_database(option));
    }
    let changes = custom_fields::changes(entity, &definitions, &table);
    let rows: Vec<_> = changes
        .into_iter()
        .map(|change| {
            let is_new = change.what == What::Added;
            (
                change.what.as_str(),
                change.column.clone(),
                change.name,
                change.id.hyphenated().to_string(),
                change.definition.filter(|_| is_new).map(|d| column(&change.column, d)),
                change.definition.map(Definition::comment),
            )
        })
        .collect();
    TableIterator::new(rows)
}
