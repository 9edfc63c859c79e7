//! What the columns of a foreign table stand for: each is matched with a column of the
//! resource, by its option `field` or else by its name, or with a custom field by its option
//! `custom_field`.

use awork_api::catalogue::columns::{Column, Source, columns, resolve};
use awork_api::catalogue::{Catalogue, Location, Resource};
use awork_api::custom_fields;
use awork_api::filter::ColumnType;
use awork_api::rows::Kind;
use pgrx::pg_sys;
use uuid::Uuid;

/// A column of a foreign table as the relation describes it.
#[derive(Debug, Clone)]
pub(crate) struct Attribute {
    pub(crate) number: i16,
    pub(crate) name: String,
    pub(crate) type_oid: pg_sys::Oid,
    /// The type itself, or what a domain is over.
    pub(crate) base_type: pg_sys::Oid,
    pub(crate) typmod: i32,
    pub(crate) not_null: bool,
    pub(crate) field: Option<String>,
    /// The custom field that it shows, by its definition.
    pub(crate) custom_field: Option<Uuid>,
}

/// Where the values of `attribute` come from; none where the resource has nothing for it.
pub(crate) fn source(
    resource: &Resource,
    known: &[Column],
    attribute: &Attribute,
) -> Option<Source> {
    match attribute.custom_field {
        Some(id) => custom_fields::has(resource).then_some(Source::CustomField(id)),
        None => resolve(resource, known, &attribute.name, attribute.field.as_deref()),
    }
}

/// The columns that a table of this resource has when it is imported.
pub(crate) fn known(resource: &Resource) -> Vec<Column> {
    columns(Catalogue::bundled(), resource)
}

/// The parameters of a resource that a request cannot do without.
pub(crate) fn required_keys(resource: &Resource) -> impl Iterator<Item = usize> + '_ {
    let parameters = resource.parameters.iter().enumerate();
    parameters.filter(|(_, p)| p.required || p.location == Location::Path).map(|(i, _)| i)
}

/// How a value for this column is decoded. Types that are not listed get the text of the
/// value, which their input function reads.
pub(crate) fn kind(attribute: &Attribute) -> Kind {
    // An instant without a zone is UTC, which an input function would not know.
    if attribute.base_type == pg_sys::TIMESTAMPTZOID {
        return Kind::Instant;
    }
    match attribute.type_oid {
        pg_sys::BOOLOID => Kind::Bool,
        pg_sys::INT2OID => Kind::Int { bits: 16 },
        pg_sys::INT4OID => Kind::Int { bits: 32 },
        pg_sys::INT8OID => Kind::Int { bits: 64 },
        pg_sys::FLOAT4OID => Kind::Float { bits: 32 },
        pg_sys::FLOAT8OID => Kind::Float { bits: 64 },
        pg_sys::UUIDOID => Kind::Uuid,
        pg_sys::JSONOID | pg_sys::JSONBOID => Kind::Json,
        // A precision rounds, which the input function knows how to do.
        pg_sys::TIMESTAMPOID if attribute.typmod < 0 => Kind::LocalTimestamp,
        pg_sys::TIMEOID if attribute.typmod < 0 => Kind::TimeOfDay,
        pg_sys::DATEOID => Kind::Date,
        _ => Kind::Text,
    }
}

/// How conditions see this column. A precision rounds values, and a domain over a type of dates
/// reads them by its own input function, so that awork would compare others.
pub(crate) fn column_type(attribute: &Attribute) -> ColumnType {
    let is_domain = attribute.type_oid != attribute.base_type;
    match attribute.base_type {
        _ if attribute.typmod >= 0 => ColumnType::Other,
        pg_sys::UUIDOID => ColumnType::Uuid,
        pg_sys::BOOLOID => ColumnType::Boolean,
        pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID => ColumnType::Integer,
        pg_sys::TEXTOID | pg_sys::VARCHAROID => ColumnType::Text,
        _ if is_domain => ColumnType::Other,
        pg_sys::FLOAT8OID => ColumnType::Float,
        pg_sys::NUMERICOID => ColumnType::Numeric,
        pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => ColumnType::Timestamp,
        pg_sys::DATEOID => ColumnType::Date,
        _ => ColumnType::Other,
    }
}

/// The only kind that a source has values of, where it is worked out and not read.
pub(crate) fn only_kind(source: &Source) -> Option<Kind> {
    match source {
        Source::InstantOf { .. } => Some(Kind::Instant),
        Source::SetWithout { .. } => Some(Kind::Bool),
        Source::Field(_) | Source::Parameter(_) | Source::CustomField(_) => None,
    }
}
