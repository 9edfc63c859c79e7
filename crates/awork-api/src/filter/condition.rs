//! Conditions on a row as a query has them, independent of how PostgreSQL represents them and
//! of what awork can do with them. Plain data, so that a plan can carry it.

use serde::{Deserialize, Serialize};

use super::classify::Reason;
use super::field::Field;

/// A boolean expression over the columns of one table.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All of them.
    And(Vec<Condition>),
    /// At least one of them.
    Or(Vec<Condition>),
    /// SQL's negation: unknown stays unknown.
    Not(Box<Condition>),
    /// A test of one column.
    Leaf(Leaf),
    /// What only PostgreSQL can decide, and why.
    Local(Reason),
}

/// A test of one column against a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Leaf {
    /// `column op value`.
    Compare(Field, Comparison, Operand),
    /// `column IS NOT DISTINCT FROM value`; with `false`, `IS DISTINCT FROM`.
    Same(Field, Operand, bool),
    /// `column = ANY (array)`, also `IN`.
    AnyOf(Field, Operand),
    /// `column <> ALL (array)`, also `NOT IN`.
    NoneOf(Field, Operand),
    /// `column IS NULL`; with `false`, `IS NOT NULL`.
    Null(Field, bool),
    /// `column LIKE pattern`.
    Like(Field, Operand),
    /// `starts_with(column, prefix)`.
    StartsWith(Field, Operand),
}

/// A comparison whose result is unknown where a side is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// The side of a test that is no column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Operand {
    /// Known when the query is planned.
    Constant(Value),
    /// Known when it runs: the value of this number among the plan's expressions.
    Expression(usize),
}

/// A value of a query. Dates and times are in PostgreSQL's units, see [`crate::rows::Batch`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// SQL's null.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A decimal number as PostgreSQL writes it.
    Numeric(String),
    /// A uuid, most significant byte first.
    Uuid([u8; 16]),
    /// Microseconds since 2000-01-01 00:00, in UTC or on the wall clock.
    Timestamp(i64),
    /// Days since 2000-01-01.
    Date(i32),
    /// Text.
    Text(String),
    /// The elements of an array.
    Array(Vec<Value>),
    /// A value that could not be read or has a type that means nothing to awork.
    Other,
}

impl Comparison {
    /// The comparison that holds where this one does not.
    pub fn negated(self) -> Self {
        match self {
            Comparison::Eq => Comparison::Ne,
            Comparison::Ne => Comparison::Eq,
            Comparison::Lt => Comparison::Ge,
            Comparison::Ge => Comparison::Lt,
            Comparison::Gt => Comparison::Le,
            Comparison::Le => Comparison::Gt,
        }
    }

    /// awork's word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Comparison::Eq => "eq",
            Comparison::Ne => "ne",
            Comparison::Lt => "lt",
            Comparison::Le => "le",
            Comparison::Gt => "gt",
            Comparison::Ge => "ge",
        }
    }
}

impl Leaf {
    /// The column that is tested.
    pub fn field(&self) -> &Field {
        match self {
            Leaf::Compare(field, ..)
            | Leaf::Same(field, ..)
            | Leaf::AnyOf(field, _)
            | Leaf::NoneOf(field, _)
            | Leaf::Null(field, _)
            | Leaf::Like(field, _)
            | Leaf::StartsWith(field, _) => field,
        }
    }

    /// What the column is tested against, if it is not only tested for null.
    pub fn operand(&self) -> Option<&Operand> {
        match self {
            Leaf::Compare(_, _, operand)
            | Leaf::Same(_, operand, _)
            | Leaf::AnyOf(_, operand)
            | Leaf::NoneOf(_, operand)
            | Leaf::Like(_, operand)
            | Leaf::StartsWith(_, operand) => Some(operand),
            Leaf::Null(..) => None,
        }
    }

    /// The test that is true exactly where this one is false; none where no test says it.
    pub(super) fn negated(&self) -> Option<Leaf> {
        Some(match self.clone() {
            Leaf::Compare(field, comparison, operand) => {
                Leaf::Compare(field, comparison.negated(), operand)
            }
            Leaf::Same(field, operand, same) => Leaf::Same(field, operand, !same),
            Leaf::AnyOf(field, operand) => Leaf::NoneOf(field, operand),
            Leaf::NoneOf(field, operand) => Leaf::AnyOf(field, operand),
            Leaf::Null(field, null) => Leaf::Null(field, !null),
            Leaf::Like(..) | Leaf::StartsWith(..) => return None,
        })
    }
}
