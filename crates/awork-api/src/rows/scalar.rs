//! One JSON value to one cell. The text of the value comes straight from the answer and is
//! already known to be well-formed JSON.

use std::borrow::Cow;

use uuid::Uuid;

use super::projection::Kind;
use super::time;
use super::{Batch, Cell};

/// Decodes `raw` as `kind`; text goes into the arena of `batch`. The error says why the value
/// does not fit, in words that follow "the value".
pub(super) fn decode(raw: &str, kind: Kind, batch: &mut Batch) -> Result<Cell, &'static str> {
    if raw == "null" {
        return Ok(match kind {
            Kind::Presence => Cell::Bool(false),
            _ => Cell::Null,
        });
    }
    let cell = match kind {
        Kind::Presence => Some(Cell::Bool(true)),
        Kind::Bool => match raw {
            "true" => Some(Cell::Bool(true)),
            "false" => Some(Cell::Bool(false)),
            _ => None,
        },
        Kind::Int { bits } => return integer(raw, bits),
        Kind::Float { bits } => return float(raw, bits),
        Kind::Uuid => {
            string(raw)?.and_then(|s| Uuid::try_parse(&s).ok()).map(|u| Cell::Uuid(u.into_bytes()))
        }
        Kind::Instant => string(raw)?.and_then(|s| time::instant(&s)).map(Cell::Timestamp),
        Kind::LocalTimestamp => {
            string(raw)?.and_then(|s| time::local_timestamp(&s)).map(Cell::Timestamp)
        }
        Kind::Date => string(raw)?.and_then(|s| time::date(&s)).map(Cell::Date),
        Kind::TimeOfDay => string(raw)?.and_then(|s| time::time_of_day(&s)).map(Cell::Time),
        Kind::Text => {
            let text = string(raw)?.unwrap_or(Cow::Borrowed(raw));
            if text.contains('\0') {
                return Err("contains a NUL character, which PostgreSQL text cannot hold");
            }
            batch.push_text(&text).map(Cell::Text)
        }
        Kind::Json => {
            check_json(raw)?;
            batch.push_text(raw).map(Cell::Text)
        }
    };
    cell.ok_or("does not have the form of the column's type")
}

/// The characters of a JSON string; none where the value is no string.
fn string(raw: &str) -> Result<Option<Cow<'_, str>>, &'static str> {
    let Some(inner) = raw.strip_prefix('"').and_then(|r| r.strip_suffix('"')) else {
        return Ok(None);
    };
    if !inner.contains('\\') {
        return Ok(Some(Cow::Borrowed(inner)));
    }
    match serde_json::from_str::<String>(raw) {
        Ok(text) => Ok(Some(Cow::Owned(text))),
        Err(_) => Err("is no valid Unicode text"),
    }
}

fn integer(raw: &str, bits: u32) -> Result<Cell, &'static str> {
    let value = match raw.parse::<i64>() {
        Ok(value) => value,
        // A whole number may come as 5.0 or 6.4e17.
        Err(_) => {
            let float: f64 = number(raw)?;
            if float.fract() != 0.0 {
                return Err("is no whole number");
            }
            // 2^63 as a float is the first value past the range.
            if float.abs() >= 9_223_372_036_854_775_808.0 {
                return Err("is out of range for the column's type");
            }
            float as i64
        }
    };
    let bound = 1i128 << (bits - 1);
    if (-bound..bound).contains(&i128::from(value)) {
        Ok(Cell::Int(value))
    } else {
        Err("is out of range for the column's type")
    }
}

fn float(raw: &str, bits: u32) -> Result<Cell, &'static str> {
    let value: f64 = number(raw)?;
    if bits == 32 && value.abs() > f64::from(f32::MAX) || value.is_infinite() {
        return Err("is out of range for the column's type");
    }
    Ok(Cell::Float(value))
}

fn number(raw: &str) -> Result<f64, &'static str> {
    // JSON numbers begin so; Rust would also take "inf" and "nan".
    if !raw.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return Err("is no number");
    }
    raw.parse().map_err(|_| "is no number")
}

/// Refuses what is JSON but cannot be jsonb: NUL characters and half surrogate pairs
/// (`jsonapi.c`, `json_lex_string`).
fn check_json(raw: &str) -> Result<(), &'static str> {
    let mut rest = raw;
    let mut high = false;
    while let Some(at) = rest.find('\\') {
        let lone = high && at > 0;
        let escape = &rest.as_bytes()[at..];
        let unit = match escape.get(1) {
            Some(b'u') => {
                rest.get(at + 2..at + 6).and_then(|hex| u16::from_str_radix(hex, 16).ok())
            }
            _ => None,
        };
        let low = matches!(unit, Some(0xDC00..=0xDFFF));
        if lone || (high != low) {
            return Err("is no valid Unicode text");
        }
        if unit == Some(0) {
            return Err("contains a NUL character, which PostgreSQL jsonb cannot hold");
        }
        high = matches!(unit, Some(0xD800..=0xDBFF));
        rest = &rest[at + if unit.is_some() { 6 } else { 2 }..];
    }
    if high { Err("is no valid Unicode text") } else { Ok(()) }
}

#[cfg(test)]
#[path = "scalar_tests.rs"]
mod tests;
