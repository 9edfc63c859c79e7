//! The columns of a foreign table that are read, and how a row of a batch becomes their values.

use awork_api::catalogue::Resource;
use awork_api::catalogue::columns::Source;
use awork_api::request::Bindings;
use awork_api::rows::{Batch, Target};
use pgrx::pg_sys;

use super::datum::Converter;
use super::foreign::ForeignTable;
use crate::columns::{kind, known, only_kind, source};
use crate::error;

/// The columns that are read.
pub(super) struct Output {
    columns: Vec<Column>,
    targets: Vec<Target>,
    /// Whether a row needs memory beside its batch.
    pub(super) allocates: bool,
}

struct Column {
    /// Position in the tuple, from 0.
    position: usize,
    from: From,
    /// Whether PostgreSQL plans as if there were no null.
    not_null: bool,
    converter: Converter,
}

enum From {
    /// The cell at this position of a batch's row.
    Cell(usize),
    /// The value of a parameter: of the request, or else what the API assumes.
    Parameter(usize),
}

impl Output {
    /// The columns to which `position` gives a position in the tuple, by their attribute
    /// numbers. What they need is put into the current memory context.
    pub(super) fn new(table: &ForeignTable, position: impl Fn(i16) -> Option<usize>) -> Self {
        let known = known(table.resource);
        let mut output = Self { columns: Vec::new(), targets: Vec::new(), allocates: false };
        for attribute in &table.attributes {
            let Some(position) = position(attribute.number) else { continue };
            let converter = Converter::new(&table.name, attribute);
            let from = match source(table.resource, &known, attribute) {
                None if attribute.custom_field.is_some() => error::column_not_found(
                    format!(
                        "resource \"{}\" has no custom fields, of which column \"{}\" is to show one",
                        table.resource.name, attribute.name
                    ),
                    "Projects and tasks have custom fields; drop the column or its option \"custom_field\".",
                ),
                None => error::column_not_found(
                    format!(
                        "resource \"{}\" has no column \"{}\"",
                        table.resource.name, attribute.name
                    ),
                    "Give the column the option \"field\" with the name of the property in awork.",
                ),
                Some(Source::Parameter(i)) => From::Parameter(i),
                Some(source) => {
                    let kind = kind(attribute);
                    let plain = attribute.type_oid == attribute.base_type && attribute.typmod < 0;
                    if only_kind(&source).is_some_and(|only| only != kind || !plain) {
                        error::wrong_type(
                            format!(
                                "column \"{}\" of foreign table \"{}\" must have the type that IMPORT FOREIGN SCHEMA gives it",
                                attribute.name, table.name
                            ),
                            "Its values are worked out: an instant is timestamptz, is_running is boolean.".into(),
                        );
                    }
                    output.targets.push(Target { name: attribute.name.clone(), source, kind });
                    output.allocates |= converter.allocates();
                    From::Cell(output.targets.len() - 1)
                }
            };
            let not_null = attribute.not_null;
            output.columns.push(Column { position, from, not_null, converter });
        }
        output
    }

    /// What is wanted of each row.
    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The cell of a row in which the value at this position of the tuple comes, if in one.
    pub(super) fn cell(&self, position: usize) -> Option<usize> {
        self.columns.iter().find(|column| column.position == position).and_then(|column| {
            match column.from {
                From::Cell(cell) => Some(cell),
                From::Parameter(_) => None,
            }
        })
    }

    /// The values of the columns that show parameters, in the current memory context.
    pub(super) fn parameters(
        &self,
        resource: &Resource,
        bindings: &Bindings,
    ) -> Vec<Option<pg_sys::Datum>> {
        let value = |column: &Column| match column.from {
            From::Cell(_) => None,
            From::Parameter(i) => {
                let assumed = resource.parameters[i].default.as_deref();
                let text = bindings.get(i).and_then(|value| value.as_deref()).or(assumed);
                text.map(|text| column.converter.parameter(text))
            }
        };
        self.columns.iter().map(value).collect()
    }

    /// Writes a row of a batch to the values of a tuple, which may point into the batch. What
    /// else they need is put into the current memory context.
    pub(super) fn fill(
        &mut self,
        batch: &Batch,
        row: usize,
        parameters: &[Option<pg_sys::Datum>],
        values: &mut [pg_sys::Datum],
        nulls: &mut [bool],
    ) {
        nulls.fill(true);
        let (words, are_null) = batch.row(row);
        for (column, parameter) in self.columns.iter_mut().zip(parameters) {
            let datum = match column.from {
                From::Cell(cell) if !are_null[cell] => {
                    column.converter.datum(batch, row, words[cell])
                }
                From::Parameter(_) if let Some(datum) = *parameter => datum,
                _ if column.not_null => column.converter.refuse_null(),
                _ => continue,
            };
            values[column.position] = datum;
            nulls[column.position] = false;
        }
    }
}
