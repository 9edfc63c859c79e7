//! Writes a remote condition as `filterby` text for the values that a query has when it runs.
//! Widens what awork cannot say exactly, and leaves out what it cannot say at all.

use super::classify::Remote;
use super::condition::{Comparison, Leaf, Operand, Value};
use super::field::{ColumnType, Field, FieldSource};
use super::literal::{self, DAY};
use super::pattern::{self, Test};
use crate::catalogue::Type;

/// One of the conditions that all must hold, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conjunct {
    /// What it is remembered by, should awork refuse it.
    pub signature: String,
    /// The texts at least one of which must hold; several where a column may have several
    /// values, so that they can be asked for one after another.
    pub alternatives: Vec<String>,
    /// Whether a row may satisfy several of the alternatives in awork's eyes.
    pub overlapping: bool,
}

/// What a condition says for given values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// No row satisfies it.
    Never,
    /// Every row does.
    Always,
    /// Those that satisfy this.
    Text(Conjunct),
    /// It cannot be said for these values.
    Unsaid,
}

/// What a part of a condition says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Never,
    Always,
    Text(String),
    Unsaid,
}

/// Writes a condition. The second result is false where rows may come that do not satisfy the
/// condition although it was classified as exact, since a value could not be said.
pub fn render(remote: &Remote, values: &[Value]) -> (Said, bool) {
    let mut complete = true;
    let said = match remote {
        Remote::Leaf(Leaf::AnyOf(field, operand)) => any_of(field, value(operand, values)),
        other => match part(other, values, &mut complete) {
            Part::Never => Said::Never,
            Part::Always => Said::Always,
            Part::Unsaid => Said::Unsaid,
            Part::Text(text) => Said::Text(Conjunct {
                signature: other.signature(),
                alternatives: vec![text],
                overlapping: false,
            }),
        },
    };
    complete &= said != Said::Unsaid;
    (said, complete)
}

fn any_of(field: &Field, array: &Value) -> Said {
    let Some(mut texts) = alternatives(field, array) else { return Said::Unsaid };
    texts.sort_unstable();
    texts.dedup();
    let one = Leaf::Compare(field.clone(), Comparison::Eq, Operand::Constant(Value::Null));
    let many = Leaf::AnyOf(field.clone(), Operand::Constant(Value::Null));
    match texts.len() {
        0 => Said::Never,
        count => Said::Text(Conjunct {
            signature: Remote::Leaf(if count == 1 { one } else { many }).signature(),
            alternatives: texts,
            overlapping: !is_told_apart(field),
        }),
    }
}

/// Whether no row satisfies the equality with two values in awork's eyes: not where text may
/// compare without regard to case, nor where an equality is widened.
fn is_told_apart(field: &Field) -> bool {
    match (&field.source, &field.ty) {
        (FieldSource::InstantOf { .. }, _) => false,
        (_, Type::Uuid | Type::Boolean | Type::Integer | Type::Bigint) => true,
        (_, Type::Instant | Type::LocalTimestamp | Type::Date) => {
            field.has_whole_seconds() || field.column == ColumnType::Date
        }
        _ => false,
    }
}

/// The text of `field = element` for each element that is not null; none where one of them
/// cannot be said.
fn alternatives(field: &Field, array: &Value) -> Option<Vec<String>> {
    let elements = match array {
        Value::Null => &[],
        Value::Array(elements) => elements.as_slice(),
        _ => return None,
    };
    let mut texts = Vec::new();
    for element in elements {
        match compare(field, Comparison::Eq, element) {
            Part::Text(text) => texts.push(text),
            Part::Never => {}
            Part::Always | Part::Unsaid => return None,
        }
    }
    Some(texts)
}

fn part(remote: &Remote, values: &[Value], complete: &mut bool) -> Part {
    match remote {
        Remote::And(parts) => {
            let parts: Vec<Part> = parts.iter().map(|p| part(p, values, complete)).collect();
            all(parts, complete)
        }
        Remote::Or(parts) => {
            let mut ignored = true;
            let parts: Vec<Part> = parts.iter().map(|p| part(p, values, &mut ignored)).collect();
            *complete &= ignored;
            any(parts)
        }
        Remote::Leaf(leaf) => self::leaf(leaf, values, complete),
    }
}

fn all(parts: Vec<Part>, complete: &mut bool) -> Part {
    let mut texts = Vec::new();
    let mut unsaid = false;
    for part in parts {
        match part {
            Part::Never => return Part::Never,
            Part::Always => {}
            Part::Unsaid => unsaid = true,
            Part::Text(text) => texts.push(text),
        }
    }
    *complete &= !unsaid;
    match texts.len() {
        0 if unsaid => Part::Unsaid,
        0 => Part::Always,
        1 => Part::Text(texts.remove(0)),
        _ => Part::Text(format!("({})", texts.join(" and "))),
    }
}

fn any(parts: Vec<Part>) -> Part {
    let mut texts = Vec::new();
    let mut unsaid = false;
    for part in parts {
        match part {
            Part::Always => return Part::Always,
            Part::Never => {}
            Part::Unsaid => unsaid = true,
            Part::Text(text) => texts.push(text),
        }
    }
    match texts.len() {
        _ if unsaid => Part::Unsaid,
        0 => Part::Never,
        1 => Part::Text(texts.remove(0)),
        _ => Part::Text(format!("({})", texts.join(" or "))),
    }
}

fn leaf(leaf: &Leaf, values: &[Value], complete: &mut bool) -> Part {
    match leaf {
        Leaf::Compare(field, comparison, operand) => {
            compare(field, *comparison, value(operand, values))
        }
        Leaf::Same(field, operand, same) => match (value(operand, values), same) {
            // Of what is nested, null may also mean that the object around it is missing.
            (Value::Null, true) if field.is_nested() => Part::Unsaid,
            (Value::Null, same) => null(field, *same),
            (value, true) => compare(field, Comparison::Eq, value),
            // A field made of two properties says both sides of each test itself.
            (value, false) if field.path().is_none() => compare(field, Comparison::Ne, value),
            (value, false) if !field.nullable => unequal(field, value),
            (value, false) => match (unequal(field, value), null(field, true)) {
                (Part::Text(unequal), Part::Text(null)) => {
                    Part::Text(format!("({unequal} or {null})"))
                }
                (Part::Always, _) => Part::Always,
                _ => Part::Unsaid,
            },
        },
        Leaf::AnyOf(field, operand) => match alternatives(field, value(operand, values)) {
            Some(texts) => any(texts.into_iter().map(Part::Text).collect()),
            None => Part::Unsaid,
        },
        Leaf::NoneOf(field, operand) => match value(operand, values) {
            Value::Null => Part::Never,
            Value::Array(elements) if elements.contains(&Value::Null) => Part::Never,
            Value::Array(elements) => {
                let parts = elements.iter().map(|e| compare(field, Comparison::Ne, e)).collect();
                all(parts, complete)
            }
            _ => Part::Unsaid,
        },
        Leaf::Null(field, is_null) => null(field, *is_null),
        Leaf::Like(field, operand) => match (field.path(), value(operand, values)) {
            (Some(path), Value::Text(pattern)) => match pattern::tests(pattern) {
                Some(tests) => {
                    all(tests.iter().map(|test| text_test(path, test)).collect(), complete)
                }
                None => Part::Unsaid,
            },
            (_, Value::Null) => Part::Never,
            _ => Part::Unsaid,
        },
        Leaf::StartsWith(field, operand) => match (field.path(), value(operand, values)) {
            (Some(path), Value::Text(prefix)) => match prefix.trim_end_matches(' ') {
                "" => null(field, false),
                prefix => text_test(path, &Test::Prefix(prefix.to_owned())),
            },
            (_, Value::Null) => Part::Never,
            _ => Part::Unsaid,
        },
    }
}

fn value<'v>(operand: &'v Operand, values: &'v [Value]) -> &'v Value {
    match operand {
        Operand::Constant(value) => value,
        Operand::Expression(number) => values.get(*number).unwrap_or(&Value::Other),
    }
}

fn text_test(path: &str, test: &Test) -> Part {
    let (Test::Equals(text) | Test::Prefix(text) | Test::Suffix(text) | Test::Contains(text)) =
        test;
    let Some(literal) = literal::text(text) else { return Part::Unsaid };
    Part::Text(match test {
        Test::Equals(_) => format!("{path} eq {literal}"),
        Test::Prefix(_) => format!("startswith({path},{literal})"),
        Test::Suffix(_) => format!("endswith({path},{literal})"),
        Test::Contains(_) => format!("substringof({literal},{path})"),
    })
}

/// `IS NULL` or `IS NOT NULL`.
fn null(field: &Field, is_null: bool) -> Part {
    match &field.source {
        FieldSource::SetWithout { .. } if is_null => Part::Never,
        FieldSource::SetWithout { .. } => Part::Always,
        FieldSource::InstantOf { .. } if is_null => Part::Unsaid,
        FieldSource::InstantOf { time, .. } => Part::Text(format!("{time} ne null")),
        FieldSource::Property(_) if !field.nullable && !is_null => Part::Always,
        // Not by awork's account; but where it leaves the property out, the column is null.
        FieldSource::Property(_) if !field.nullable => Part::Unsaid,
        FieldSource::Property(path) if is_null => Part::Text(format!("{path} eq null")),
        FieldSource::Property(path) => Part::Text(format!("{path} ne null")),
    }
}

fn compare(field: &Field, comparison: Comparison, value: &Value) -> Part {
    if *value == Value::Null {
        return Part::Never;
    }
    match &field.source {
        FieldSource::SetWithout { set, unset } => {
            let Value::Bool(value) = value else { return Part::Unsaid };
            match (comparison, value) {
                (Comparison::Eq, true) | (Comparison::Ne, false) => {
                    Part::Text(format!("({set} ne null and {unset} eq null)"))
                }
                (Comparison::Eq, false) | (Comparison::Ne, true) => {
                    Part::Text(format!("({set} eq null or {unset} ne null)"))
                }
                _ => Part::Unsaid,
            }
        }
        FieldSource::InstantOf { date, .. } => day_and_time(date, comparison, value),
        FieldSource::Property(_) if comparison == Comparison::Ne => {
            if let Value::Bool(value) = value {
                return compare(field, Comparison::Eq, &Value::Bool(!value));
            }
            // Whether awork's `ne` finds nulls is not known; SQL's does not.
            match (unequal(field, value), null(field, false)) {
                (Part::Text(unequal), Part::Text(not_null)) => {
                    Part::Text(format!("({unequal} and {not_null})"))
                }
                (Part::Always, not_null) => not_null,
                (unequal, _) => unequal,
            }
        }
        FieldSource::Property(path) => match field.ty {
            Type::Uuid => match value {
                Value::Uuid(uuid) if comparison == Comparison::Eq => {
                    Part::Text(format!("{path} eq {}", literal::guid(uuid)))
                }
                _ => Part::Unsaid,
            },
            Type::Boolean => match value {
                Value::Bool(value) if comparison == Comparison::Eq => {
                    Part::Text(format!("{path} eq {value}"))
                }
                _ => Part::Unsaid,
            },
            Type::Integer => whole(path, comparison, value, i32::MIN.into(), i32::MAX.into()),
            Type::Bigint => whole(path, comparison, value, i64::MIN, i64::MAX),
            Type::Double => float(path, comparison, value),
            Type::Instant | Type::LocalTimestamp | Type::Date => {
                moment(path, field, comparison, value)
            }
            Type::Text => match value {
                Value::Text(text) if comparison == Comparison::Eq => {
                    text_test(path, &Test::Equals(text.clone()))
                }
                _ => Part::Unsaid,
            },
            _ => Part::Unsaid,
        },
    }
}

/// The rows whose property is another value, or null where awork counts null as another.
fn unequal(field: &Field, value: &Value) -> Part {
    if let Value::Bool(value) = value {
        return compare(field, Comparison::Eq, &Value::Bool(!value));
    }
    match compare(field, Comparison::Eq, value) {
        Part::Text(text) => match text.split_once(" eq ") {
            // A single equality; a widened one has two bounds.
            Some((path, literal)) if field.path() == Some(path) => {
                Part::Text(format!("{path} ne {literal}"))
            }
            _ => Part::Unsaid,
        },
        // Nothing is equal, so that all is unequal.
        Part::Never => Part::Always,
        Part::Always | Part::Unsaid => Part::Unsaid,
    }
}

/// A comparison of whole numbers from `min` to `max` with any number.
fn whole(path: &str, comparison: Comparison, value: &Value, min: i64, max: i64) -> Part {
    // The number rounded down, and whether it is the number itself.
    let Some((floor, is_whole)) = floor(value) else { return Part::Unsaid };
    let (comparison, bound) = match comparison {
        Comparison::Eq | Comparison::Ne if !is_whole => return Part::Never,
        Comparison::Eq | Comparison::Ne => (comparison, floor),
        Comparison::Lt | Comparison::Ge if is_whole => (comparison, floor),
        // Between two whole numbers.
        Comparison::Lt | Comparison::Le => (Comparison::Le, floor),
        Comparison::Gt | Comparison::Ge => (Comparison::Gt, floor),
    };
    let (min, max) = (i128::from(min), i128::from(max));
    match i64::try_from(bound) {
        Ok(bound) if (min..=max).contains(&bound.into()) => {
            Part::Text(format!("{path} {} {}", comparison.word(), literal::whole(bound)))
        }
        // Past what the property is said to hold, which leaves all of its values or none.
        _ => Part::Unsaid,
    }
}

fn floor(value: &Value) -> Option<(i128, bool)> {
    match value {
        Value::Int(number) => Some(((*number).into(), true)),
        Value::Float(number) if number.abs() < 9e15 => {
            Some((number.floor() as i128, number.fract() == 0.0))
        }
        Value::Numeric(text) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let number: i128 = whole.parse().ok()?;
            let is_whole = fraction.bytes().all(|b| b == b'0');
            let below = whole.starts_with('-') && !is_whole;
            Some((if below { number.checked_sub(1)? } else { number }, is_whole))
        }
        _ => None,
    }
}

/// A comparison of floating-point numbers, a little wider than asked for: awork may keep them
/// as decimals, and a column of type `real` shows them rounded to 24 binary digits.
fn float(path: &str, comparison: Comparison, value: &Value) -> Part {
    let number = match value {
        Value::Float(number) => *number,
        Value::Int(number) => *number as f64,
        Value::Numeric(text) => match text.parse() {
            Ok(number) => number,
            Err(_) => return Part::Unsaid,
        },
        _ => return Part::Unsaid,
    };
    let margin = number.abs() * 1e-7 + 1e-9;
    let (Some(low), Some(high)) =
        (literal::float(number - margin), literal::float(number + margin))
    else {
        return Part::Unsaid;
    };
    Part::Text(match comparison {
        Comparison::Lt | Comparison::Le => format!("{path} le {high}"),
        Comparison::Gt | Comparison::Ge => format!("{path} ge {low}"),
        Comparison::Eq => format!("({path} ge {low} and {path} le {high})"),
        Comparison::Ne => return Part::Unsaid,
    })
}

/// A comparison of dates and times.
fn moment(path: &str, field: &Field, comparison: Comparison, value: &Value) -> Part {
    let said = match (field.column, value) {
        (ColumnType::Date, Value::Date(days)) => days_said(path, field, comparison, *days),
        (ColumnType::Timestamp, Value::Timestamp(at)) if field.has_whole_seconds() => {
            whole_second(path, comparison, *at)
        }
        (ColumnType::Timestamp, Value::Timestamp(at)) => second(path, comparison, *at),
        _ => None,
    };
    said.unwrap_or(Part::Unsaid)
}

/// Times without a fraction: the bound is rounded to where such times can be.
fn whole_second(path: &str, comparison: Comparison, at: i64) -> Option<Part> {
    let floor = literal::floor_second(at)?;
    let bound = match comparison {
        Comparison::Eq if floor != at => return Some(Part::Never),
        Comparison::Lt | Comparison::Ge => literal::ceil_second(at)?,
        _ => floor,
    };
    Some(Part::Text(format!("{path} {} {}", comparison.word(), literal::datetime(bound)?)))
}

/// Times with seven digits, which PostgreSQL rounds to six: a bound is moved outwards, past
/// what rounding may have moved, to a whole second.
fn second(path: &str, comparison: Comparison, at: i64) -> Option<Part> {
    let low = literal::datetime(literal::floor_second(at.checked_sub(1)?)?);
    let high = literal::datetime(literal::ceil_second(at.checked_add(1)?)?);
    Some(Part::Text(match comparison {
        Comparison::Lt | Comparison::Le => format!("{path} le {}", high?),
        Comparison::Gt | Comparison::Ge => format!("{path} ge {}", low?),
        Comparison::Eq => format!("({path} ge {} and {path} le {})", low?, high?),
        Comparison::Ne => return None,
    }))
}

/// A date column: the day of a property that may have a time of day.
fn days_said(path: &str, field: &Field, comparison: Comparison, days: i32) -> Option<Part> {
    let start = |days: i64| literal::datetime(days.checked_mul(DAY)?);
    let (day, next) = (start(days.into())?, start(i64::from(days) + 1)?);
    Some(Part::Text(match comparison {
        Comparison::Eq if field.ty == Type::Date => format!("{path} eq {day}"),
        Comparison::Eq => format!("({path} ge {day} and {path} lt {next})"),
        Comparison::Lt => format!("{path} lt {day}"),
        Comparison::Le => format!("{path} lt {next}"),
        Comparison::Gt => format!("{path} ge {next}"),
        Comparison::Ge => format!("{path} ge {day}"),
        Comparison::Ne => return None,
    }))
}

/// An instant made of a day and a time of day: the day is compared. Rounding may have moved
/// the instant into the next day.
fn day_and_time(date: &str, comparison: Comparison, value: &Value) -> Part {
    let said = || {
        let Value::Timestamp(at) = value else { return None };
        let low = literal::datetime(literal::floor_day(at.checked_sub(1)?)?);
        let high = literal::datetime(literal::floor_day(*at)?.checked_add(DAY)?);
        Some(match comparison {
            Comparison::Lt | Comparison::Le => format!("{date} lt {}", high?),
            Comparison::Gt | Comparison::Ge => format!("{date} ge {}", low?),
            Comparison::Eq => format!("({date} ge {} and {date} lt {})", low?, high?),
            Comparison::Ne => return None,
        })
    };
    said().map_or(Part::Unsaid, Part::Text)
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
