//! The statements of IMPORT FOREIGN SCHEMA, and the comments that follow them.

use awork_api::catalogue::columns::field_option;
use awork_api::catalogue::{Catalogue, Resource};
use awork_api::custom_fields::{self, Definition, entity};
use pgrx::spi::{quote_identifier, quote_literal};

use crate::columns::known;
use crate::custom_fields::column;
use crate::error;

/// The remote schema with every table.
const EVERYTHING: &str = "awork";

/// Which tables of a remote schema are wanted.
#[derive(Debug)]
pub(crate) enum Selection {
    All,
    LimitTo(Vec<String>),
    Except(Vec<String>),
}

impl Selection {
    fn contains(&self, table: &str) -> bool {
        match self {
            Selection::All => true,
            Selection::LimitTo(tables) => tables.iter().any(|t| t == table),
            Selection::Except(tables) => tables.iter().all(|t| t != table),
        }
    }
}

/// The resources of the wanted tables of the remote schema.
pub(crate) fn resources(remote_schema: &str, selection: &Selection) -> Vec<&'static Resource> {
    let catalogue = Catalogue::bundled();
    let groups = catalogue.groups();
    if remote_schema != EVERYTHING && !groups.contains(&remote_schema) {
        error::schema_not_found(
            format!("awork has no schema \"{remote_schema}\""),
            format!(
                "\"{EVERYTHING}\" has every table; groups of tables are: {}.",
                groups.join(", ")
            ),
        );
    }
    catalogue
        .resources
        .iter()
        .filter(|r| remote_schema == EVERYTHING || r.group == remote_schema)
        .filter(|r| selection.contains(&r.name))
        .collect()
}

/// What the option `custom_fields` wants: whether custom fields become columns.
pub(crate) fn wants_custom_fields(value: &str) -> bool {
    match value {
        "columns" => true,
        "none" => false,
        _ => error::invalid_value(
            format!("value \"{value}\" of option \"custom_fields\" must be columns or none"),
            None,
        ),
    }
}

/// The CREATE FOREIGN TABLE of a resource, with columns for those of the custom fields that its rows
/// have.
pub(crate) fn create_table(
    resource: &Resource,
    server: &str,
    custom_fields: &[Definition],
) -> String {
    let mut columns: Vec<String> = known(resource)
        .into_iter()
        .map(|column| {
            // The option keeps the column's meaning when the column is renamed.
            let field = field_option(resource, &column);
            format!(
                "  {} {} OPTIONS (field {}){}",
                quote_identifier(&column.name),
                column.ty.sql(),
                quote_literal(field),
                if column.not_null { " NOT NULL" } else { "" }
            )
        })
        .collect();
    if let Some(entity) = entity(resource) {
        // The last column is the whole row.
        let last = columns.len() - 1;
        let fields = custom_fields::columns(entity, custom_fields);
        let fields =
            fields.iter().map(|(name, definition)| format!("  {}", column(name, definition)));
        columns.splice(last..last, fields);
    }
    format!(
        "CREATE FOREIGN TABLE {} (\n{}\n) SERVER {} OPTIONS (resource {})",
        quote_identifier(&resource.name),
        columns.join(",\n"),
        quote_identifier(server),
        quote_literal(&resource.name)
    )
}
