//! The statements of IMPORT FOREIGN SCHEMA, and the comments that follow them.

use awork_api::catalogue::columns::field_option;
use awork_api::catalogue::{Catalogue, Resource};
use pgrx::spi::{quote_identifier, quote_literal};

use crate::columns::known;
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

/// One CREATE FOREIGN TABLE per wanted table of the remote schema.
pub(crate) fn statements(remote_schema: &str, server: &str, selection: &Selection) -> Vec<String> {
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
        .map(|resource| create_table(resource, server))
        .collect()
}

fn create_table(resource: &Resource, server: &str) -> String {
    let columns: Vec<String> = known(resource)
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
    format!(
        "CREATE FOREIGN TABLE {} (\n{}\n) SERVER {} OPTIONS (resource {})",
        quote_identifier(&resource.name),
        columns.join(",\n"),
        quote_identifier(server),
        quote_literal(&resource.name)
    )
}
