//! `awork_fdw_drift(server)`: what awork sends that is other than the catalogue and the user's
//! foreign tables have it.

use std::collections::BTreeMap;

use awork_api::catalogue::{Catalogue, Location, Resource, Shape};
use awork_api::credentials::redacted;
use awork_api::drift::{self, Finding, Shown};
use awork_api::sampling;
use pgrx::prelude::*;
use pgrx::spi::{quote_identifier, quote_literal};

use crate::columns::{kind, known, only_kind, source};
use crate::error;
use crate::pg::{self, ListedTable, Text};

/// A table, its resource and its columns.
struct Compared {
    table: String,
    resource: &'static Resource,
    columns: Vec<Shown>,
    /// Whether the user has made it.
    exists: bool,
}

/// A row of the result: table, column, field, kind and message.
type DriftRow = (Text, Option<Text>, Option<Text>, &'static str, Text);

/// Asks for one page of each resource that the current user has foreign tables of on this server,
/// or of each list that can be imported and needs no key where there are none, and lists what is
/// new, gone or changed, and what could not be looked at. A server that is not set up or not
/// reachable, and a refused credential, are errors.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)]
fn awork_fdw_drift(
    server: Text,
) -> TableIterator<
    'static,
    (
        name!(table_name, Text),
        name!(column_name, Option<Text>),
        name!(field, Option<Text>),
        name!(kind, &'static str),
        name!(message, Text),
    ),
> {
    let listed = pg::tables_of_server(&server.0);
    let client = pg::client_for_server(&server.0).unwrap_or_else(|error| error::raise(error));
    let mut rows = Vec::new();
    let mut compared = Vec::new();
    for table in listed {
        let name = table.resource.as_deref().unwrap_or_default();
        match Catalogue::bundled().resource(name) {
            Some(resource) => compared.push(Compared::existing(table, resource)),
            None => rows.push(row(&table.name, true, drift::unknown_resource(name))),
        }
    }
    if compared.is_empty() && rows.is_empty() {
        let lists = Catalogue::bundled().resources.iter().filter(|r| is_plain_list(r));
        compared.extend(lists.map(Compared::importable));
    }
    let mut wanted: BTreeMap<&str, (&'static Resource, Vec<Vec<Shown>>)> = BTreeMap::new();
    for table in &compared {
        let (_, tables) = wanted
            .entry(table.resource.name.as_str())
            .or_insert_with(|| (table.resource, Vec::new()));
        tables.push(table.columns.clone());
    }
    let wanted = wanted.into_values().collect();
    let mut found =
        pg::block_on(sampling::drift(client, wanted)).unwrap_or_else(|error| error::raise(error));
    // The tables of a resource come in the order in which they were handed over.
    for table in compared.iter().rev() {
        let of_resource = found.get_mut(table.resource.name.as_str());
        let findings = of_resource.and_then(Vec::pop).unwrap_or_default();
        rows.extend(findings.into_iter().rev().map(|f| row(&table.table, table.exists, f)));
    }
    rows.reverse();
    // Stable, so that the findings of a table stay in their order.
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    TableIterator::new(rows)
}

/// Whether a resource is a list that can be asked for as it is.
fn is_plain_list(resource: &Resource) -> bool {
    let needs_value =
        |p: &awork_api::catalogue::Parameter| p.required || p.location == Location::Path;
    resource.shape == Shape::List && !resource.parameters.iter().any(needs_value)
}

impl Compared {
    fn existing(table: ListedTable, resource: &'static Resource) -> Self {
        let known = known(resource);
        let shown = |attribute: &crate::columns::Attribute| {
            let source = source(resource, &known, attribute);
            // What is worked out has one type, whatever the column's is.
            let only = source.as_ref().and_then(only_kind);
            let kind = only.unwrap_or_else(|| kind(attribute));
            Shown { name: attribute.name.clone(), source, kind }
        };
        let columns = table.attributes.iter().map(shown).collect();
        Self { table: table.name, resource, columns, exists: true }
    }

    fn importable(resource: &'static Resource) -> Self {
        let columns = drift::imported(resource);
        Self { table: quote_identifier(&resource.name), resource, columns, exists: false }
    }
}

fn row(table: &str, exists: bool, finding: Finding) -> DriftRow {
    let Finding { drift, column, field, ty, message } = finding;
    // awork may have echoed a secret, as a value or as a name, of which no column is made.
    let is_secret = field.as_ref().is_some_and(|field| redacted(field) != *field);
    let column = column.filter(|_| !is_secret);
    let advice = match (&column, &field, ty) {
        (Some(column), Some(field), Some(ty)) => format!(
            "; {}ALTER FOREIGN TABLE {table} ADD COLUMN {} {} OPTIONS (field {}) shows it",
            if exists { "" } else { "after the import, " },
            quote_identifier(column),
            ty.sql(),
            quote_literal(field)
        ),
        _ => String::new(),
    };
    (
        Text(table.to_owned()),
        column.map(Text),
        field.as_deref().map(redacted).map(Text),
        drift.as_str(),
        Text(redacted(&(message + &advice))),
    )
}
