//! Decides what of a condition awork may check. What comes back is a condition that every row
//! satisfies that the query wants, so that no wanted row is left out; whether it is exact says
//! whether any other row can come as well. Looks at no value but constants; sends nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::condition::{Comparison, Condition, Leaf, Operand, Value};
use super::field::{ColumnType, Field, FieldSource};
use super::pattern;
use crate::catalogue::{Support, Type};

/// How the rows that satisfy the remote condition relate to those that the query wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Exactness {
    /// Others may come too.
    Superset,
    /// They are the same.
    Exact,
}

/// A condition that can be said in `filterby`. It has no negation: each test says it itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Remote {
    /// All of them.
    And(Vec<Remote>),
    /// At least one of them.
    Or(Vec<Remote>),
    /// A test of one property.
    Leaf(Leaf),
}

/// Why a condition is left to PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The column, where it is about one.
    pub column: Option<String>,
    /// A clause without a full stop.
    pub why: String,
}

/// What becomes of a condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Classified {
    /// What can be sent; none where all of it is local.
    pub remote: Option<Remote>,
    /// Of the rows that satisfy `remote`.
    pub exactness: Exactness,
    /// Why parts of it are local.
    pub reasons: Vec<Reason>,
}

/// How a property is compared.
enum Kind {
    Uuid,
    Boolean,
    Whole,
    Float,
    Moment {
        whole_seconds: bool,
    },
    Text,
    /// Made of two properties: a day and a time of day.
    DayAndTime,
    /// Made of two properties: one is there and the other is not.
    SetWithout,
    /// Known to be null or not, and nothing else.
    NullOnly,
}

/// Classifies a condition that must be true.
pub fn classify(condition: &Condition) -> Classified {
    let mut reasons = Vec::new();
    let (remote, exactness) = match convert(condition, false, &mut reasons) {
        Some((remote, exactness)) => (Some(remote), exactness),
        None => (None, Exactness::Superset),
    };
    Classified { remote, exactness, reasons }
}

fn convert(
    condition: &Condition,
    negated: bool,
    reasons: &mut Vec<Reason>,
) -> Option<(Remote, Exactness)> {
    match condition {
        Condition::Not(inner) => convert(inner, !negated, reasons),
        Condition::Local(reason) => {
            reasons.push(reason.clone());
            None
        }
        Condition::And(parts) | Condition::Or(parts) => {
            let is_and = matches!(condition, Condition::And(_)) != negated;
            let mut exactness = Exactness::Exact;
            let mut remote = Vec::new();
            for part in parts {
                match convert(part, negated, reasons) {
                    Some((part, of_part)) => {
                        exactness = exactness.min(of_part);
                        remote.push(part);
                    }
                    // Without one of the conditions more rows satisfy the rest.
                    None if is_and => exactness = Exactness::Superset,
                    None => return None,
                }
            }
            match remote.len() {
                0 => None,
                1 => Some((remote.remove(0), exactness)),
                _ if is_and => Some((Remote::And(remote), exactness)),
                _ => Some((Remote::Or(remote), exactness)),
            }
        }
        Condition::Leaf(leaf) => {
            let leaf = if negated { leaf.negated() } else { Some(leaf.clone()) };
            let outcome = match &leaf {
                Some(leaf) => exactness(leaf),
                None => Err(NEGATED_TEXT),
            };
            match (outcome, leaf) {
                (Ok(exactness), Some(leaf)) => Some((Remote::Leaf(leaf), exactness)),
                (Err(why), leaf) => {
                    let column = match (&leaf, condition) {
                        (Some(leaf), _) => Some(leaf.field().name()),
                        (None, Condition::Leaf(leaf)) => Some(leaf.field().name()),
                        _ => None,
                    };
                    reasons.push(Reason { column, why: why.to_owned() });
                    None
                }
                (Ok(_), None) => None,
            }
        }
    }
}

const COMPUTED: &str = "awork cannot filter by it";
const NEGATED_TEXT: &str = "awork may compare text without regard to case";
const ORDER: &str = "awork orders such values by rules of its own";
const FRACTION: &str = "awork stores more digits than PostgreSQL shows";
const NESTED_NULL: &str = "null may also mean that the object around it is missing";
const NEVER_NULL: &str = "awork has no null there to look for";
const STRUCTURE: &str = "awork cannot compare such values";

/// Whether a test can be sent, and what comes of it.
fn exactness(leaf: &Leaf) -> Result<Exactness, &'static str> {
    let field = leaf.field();
    if field.filter == Support::No {
        return Err(COMPUTED);
    }
    let kind = kind(field)?;
    let exactness = match leaf {
        Leaf::Null(_, null) => null_test(field, &kind, *null)?,
        Leaf::Compare(_, Comparison::Eq, _) | Leaf::Same(_, _, true) | Leaf::AnyOf(..) => {
            equality(&kind)?
        }
        Leaf::Same(_, _, false) if field.is_nested() => return Err(NESTED_NULL),
        Leaf::Compare(_, Comparison::Ne, _) | Leaf::Same(_, _, false) | Leaf::NoneOf(..) => {
            inequality(&kind)?
        }
        Leaf::Compare(..) => range(&kind)?,
        Leaf::Like(_, operand) | Leaf::StartsWith(_, operand) => {
            let Kind::Text = kind else { return Err(STRUCTURE) };
            if let (Leaf::Like(..), Operand::Constant(Value::Text(pattern))) = (leaf, operand)
                && pattern::tests(pattern).is_none_or(|tests| tests.is_empty())
            {
                return Err("the pattern has no part that awork could look for");
            }
            Exactness::Superset
        }
    };
    // What is not known to be filtered by, or reached through another object, is trusted to
    // narrow the rows down and no further.
    let trusted = field.filter == Support::Yes && !field.is_nested();
    Ok(if trusted { exactness } else { Exactness::Superset })
}

fn kind(field: &Field) -> Result<Kind, &'static str> {
    use ColumnType as Column;
    Ok(match (&field.source, &field.ty, field.column) {
        (FieldSource::InstantOf { .. }, _, Column::Timestamp) => Kind::DayAndTime,
        (FieldSource::SetWithout { .. }, _, Column::Boolean) => Kind::SetWithout,
        (FieldSource::InstantOf { .. } | FieldSource::SetWithout { .. }, ..) => {
            return Err(STRUCTURE);
        }
        (_, Type::Json | Type::Model(_) | Type::List(_), _) => return Err(STRUCTURE),
        (_, Type::Uuid, Column::Uuid) => Kind::Uuid,
        (_, Type::Boolean, Column::Boolean) => Kind::Boolean,
        (_, Type::Integer | Type::Bigint, Column::Integer | Column::Numeric) => Kind::Whole,
        (_, Type::Double, Column::Float) => Kind::Float,
        (
            _,
            Type::Instant | Type::LocalTimestamp | Type::Date,
            Column::Timestamp | Column::Date,
        ) => Kind::Moment { whole_seconds: field.has_whole_seconds() },
        (_, Type::Text, Column::Text) => Kind::Text,
        _ => Kind::NullOnly,
    })
}

fn null_test(field: &Field, kind: &Kind, null: bool) -> Result<Exactness, &'static str> {
    match (kind, null) {
        (Kind::SetWithout, _) => Ok(Exactness::Exact),
        (Kind::DayAndTime, false) => Ok(Exactness::Superset),
        (Kind::DayAndTime, true) => Err(STRUCTURE),
        _ if !field.nullable && null => Err(NEVER_NULL),
        // By awork's account; but where it leaves the property out, the column is null.
        _ if !field.nullable => Ok(Exactness::Superset),
        _ if field.is_nested() && null => Err(NESTED_NULL),
        _ => Ok(Exactness::Exact),
    }
}

fn equality(kind: &Kind) -> Result<Exactness, &'static str> {
    match kind {
        Kind::Uuid | Kind::Boolean | Kind::Whole | Kind::SetWithout => Ok(Exactness::Exact),
        Kind::Moment { whole_seconds: true } => Ok(Exactness::Exact),
        Kind::Moment { .. } | Kind::Float | Kind::Text | Kind::DayAndTime => {
            Ok(Exactness::Superset)
        }
        Kind::NullOnly => Err(STRUCTURE),
    }
}

fn inequality(kind: &Kind) -> Result<Exactness, &'static str> {
    match kind {
        Kind::Uuid | Kind::Boolean | Kind::Whole | Kind::SetWithout => Ok(Exactness::Exact),
        Kind::Moment { whole_seconds: true } => Ok(Exactness::Exact),
        Kind::Moment { .. } | Kind::Float | Kind::DayAndTime => Err(FRACTION),
        Kind::Text => Err(NEGATED_TEXT),
        Kind::NullOnly => Err(STRUCTURE),
    }
}

fn range(kind: &Kind) -> Result<Exactness, &'static str> {
    match kind {
        Kind::Whole | Kind::Moment { whole_seconds: true } => Ok(Exactness::Exact),
        Kind::Moment { .. } | Kind::Float | Kind::DayAndTime => Ok(Exactness::Superset),
        Kind::Uuid | Kind::Boolean | Kind::Text | Kind::SetWithout => Err(ORDER),
        Kind::NullOnly => Err(STRUCTURE),
    }
}

impl Remote {
    /// The tests in it.
    pub fn leaves(&self) -> Vec<&Leaf> {
        match self {
            Remote::Leaf(leaf) => vec![leaf],
            Remote::And(parts) | Remote::Or(parts) => {
                parts.iter().flat_map(Remote::leaves).collect()
            }
        }
    }

    /// Whether it is a test for null that awork's account of the property makes needless.
    pub fn is_needless(&self) -> bool {
        matches!(self, Remote::Leaf(Leaf::Null(field, false)) if !field.nullable)
    }

    /// The property whose value it fixes, and to what: `property = value`.
    pub fn fixed(&self) -> Option<(&str, &Operand)> {
        match self {
            Remote::Leaf(Leaf::Compare(field, Comparison::Eq, operand)) => {
                Some((field.path()?, operand))
            }
            _ => None,
        }
    }

    /// Whether no row with a null in this property satisfies it.
    pub fn excludes_null(&self, property: &str) -> bool {
        match self {
            Remote::Leaf(leaf) => {
                let strict = match leaf {
                    Leaf::Same(..) | Leaf::Null(_, true) => false,
                    // Null is unequal to all of no values.
                    Leaf::NoneOf(_, Operand::Constant(Value::Array(values))) => !values.is_empty(),
                    Leaf::NoneOf(..) => false,
                    _ => true,
                };
                strict && leaf.field().path() == Some(property)
            }
            Remote::And(parts) => parts.iter().any(|part| part.excludes_null(property)),
            Remote::Or(parts) => parts.iter().all(|part| part.excludes_null(property)),
        }
    }

    /// What tells it from others, values apart: it is by this that a refusal is remembered.
    pub fn signature(&self) -> String {
        match self {
            Remote::Leaf(leaf) => signature(leaf),
            Remote::And(parts) => joined(parts, " and "),
            Remote::Or(parts) => joined(parts, " or "),
        }
    }
}

fn joined(parts: &[Remote], word: &str) -> String {
    let mut parts: Vec<String> = parts.iter().map(Remote::signature).collect();
    parts.sort_unstable();
    parts.dedup();
    format!("({})", parts.join(word))
}

fn signature(leaf: &Leaf) -> String {
    let name = leaf.field().name();
    let test = match leaf {
        Leaf::Compare(_, comparison, _) => comparison.word(),
        Leaf::Same(_, _, true) => "same",
        Leaf::Same(_, _, false) => "distinct",
        Leaf::AnyOf(..) => "in",
        Leaf::NoneOf(..) => "not in",
        Leaf::Null(_, true) => "null",
        Leaf::Null(_, false) => "not null",
        Leaf::Like(..) => "like",
        Leaf::StartsWith(..) => "startswith",
    };
    format!("{name} {test}")
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "{column}: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
