//! `awork_fdw_catalog`: what tables and columns there are, before any is imported.

use awork_api::catalogue::columns::{Reference, Source};
use awork_api::catalogue::{Catalogue, Location, Resource, Support};
use awork_api::filter::{ColumnType, Field};
use pgrx::prelude::*;

use crate::columns::known;

type CatalogRow = (
    &'static str,
    i32,
    String,
    &'static str,
    &'static str,
    &'static str,
    i32,
    Option<String>,
    Option<&'static str>,
    bool,
    Option<&'static str>,
    bool,
    bool,
    Option<String>,
    &'static str,
    &'static str,
    Option<String>,
    Option<String>,
);

/// The rows of the view `awork_fdw_catalog`.
#[pg_extern(immutable, parallel_safe)]
#[allow(clippy::type_complexity)]
fn awork_fdw_catalog_rows() -> TableIterator<
    'static,
    (
        name!(table_name, &'static str),
        name!(ordinal_position, i32),
        name!(column_name, String),
        name!(data_type, &'static str),
        name!(table_group, &'static str),
        name!(api_path, &'static str),
        name!(api_version, i32),
        name!(field, Option<String>),
        name!(parameter, Option<&'static str>),
        name!(required, bool),
        name!(parent_table, Option<&'static str>),
        name!(not_null, bool),
        name!(is_unique, bool),
        name!(refers_to, Option<String>),
        name!(filters, &'static str),
        name!(orders, &'static str),
        name!(column_comment, Option<String>),
        name!(table_comment, Option<String>),
    ),
> {
    TableIterator::new(Catalogue::bundled().resources.iter().flat_map(rows))
}

fn rows(resource: &'static Resource) -> impl Iterator<Item = CatalogRow> {
    known(resource).into_iter().zip(1..).map(move |(column, position)| {
        let parameter = match column.source {
            Source::Parameter(i) => Some(&resource.parameters[i]),
            _ => None,
        };
        // A list that comes in one piece is neither filtered nor ordered.
        let field = Field::new(resource, &column.source, ColumnType::Other);
        let field = field.ok().filter(|_| resource.paged);
        (
            resource.name.as_str(),
            position,
            column.name,
            column.ty.sql(),
            resource.group.as_str(),
            resource.path.as_str(),
            i32::from(resource.version),
            column.source.field(resource),
            parameter.map(|p| match p.location {
                Location::Path => "path",
                Location::Query => "query",
            }),
            parameter.is_some_and(|p| p.required || p.location == Location::Path),
            parameter.and_then(|p| p.parent.as_ref()).map(|parent| parent.resource.as_str()),
            column.not_null,
            column.is_unique,
            column.refers_to.map(|Reference { table, column }| format!("{table}.{column}")),
            known_of(field.as_ref().map(|field| field.filter)),
            known_of(field.as_ref().map(|field| field.order)),
            column.description,
            Some(resource.description.clone()),
        )
    })
}

/// The word for what is known; what has no property of its own can do nothing.
fn known_of(support: Option<Support>) -> &'static str {
    support.unwrap_or(Support::No).as_str()
}
