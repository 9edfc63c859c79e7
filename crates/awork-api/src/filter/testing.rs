//! What the tests of the filters build conditions with.

use super::{ColumnType, Comparison, Condition, Field, Leaf, Operand, Value};
use crate::catalogue::Catalogue;
use crate::catalogue::columns::Source;

/// The column of a resource that shows the property at this path.
pub(super) fn field(resource: &str, path: &str, column: ColumnType) -> Field {
    let path = path.split('/').map(str::to_owned).collect();
    of(resource, &Source::Field(path), column)
}

/// `started_at` of a time entry.
pub(super) fn started_at() -> Field {
    let source = Source::InstantOf { date: "startDateUtc".into(), time: "startTimeUtc".into() };
    of("time_entries", &source, ColumnType::Timestamp)
}

/// `is_running` of a time entry.
pub(super) fn is_running() -> Field {
    let source = Source::SetWithout { set: "startTimeUtc".into(), unset: "endTimeUtc".into() };
    of("time_entries", &source, ColumnType::Boolean)
}

fn of(resource: &str, source: &Source, column: ColumnType) -> Field {
    let resource = Catalogue::bundled().resource(resource).unwrap();
    Field::new(resource, source, column).unwrap()
}

pub(super) fn uuid(byte: u8) -> Value {
    Value::Uuid([byte; 16])
}

pub(super) fn constant(value: Value) -> Operand {
    Operand::Constant(value)
}

pub(super) fn is(field: &Field, comparison: Comparison, value: Value) -> Condition {
    Condition::Leaf(Leaf::Compare(field.clone(), comparison, constant(value)))
}

pub(super) fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}
