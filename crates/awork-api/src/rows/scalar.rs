//! One JSON value to the word of a batch. The text of the value comes straight from the answer
//! and is already known to be well-formed JSON, but for its encoding.

use std::borrow::Cow;

use uuid::Uuid;

use super::Batch;
use super::json::Token;
use super::projection::Kind;
use super::{escape, time};

/// Why a value does not fit, in words that follow "the value".
type Refusal = &'static str;

const FORM: Refusal = "does not have the form of the column's type";

/// Decodes a value as `kind`; text goes into the arena of `batch`. None for null.
pub(super) fn decode(
    token: Token<'_>,
    kind: Kind,
    batch: &mut Batch,
) -> Result<Option<u64>, Refusal> {
    if token.is_null() {
        return Ok((kind == Kind::Presence).then_some(0));
    }
    let value = match kind {
        Kind::Presence => Some(1),
        Kind::Bool => match token.raw {
            b"true" => Some(1),
            b"false" => Some(0),
            _ => None,
        },
        Kind::Int { bits } => Some(integer(token.raw, bits)?),
        Kind::Float { bits } => Some(float(token.raw, bits)?),
        Kind::Uuid => ascii(token)?
            .and_then(|s| Uuid::try_parse_ascii(&s).ok())
            .map(|uuid| batch.push_uuid(uuid.as_bytes())),
        Kind::Instant => ascii(token)?.and_then(|s| time::instant(&s)).map(word),
        Kind::LocalTimestamp => ascii(token)?.and_then(|s| time::local_timestamp(&s)).map(word),
        Kind::Date => ascii(token)?.and_then(|s| time::date(&s)).map(|days| word(days.into())),
        Kind::TimeOfDay => ascii(token)?.and_then(|s| time::time_of_day(&s)).map(word),
        Kind::Text => {
            let start = batch.begin_text();
            let inner = utf8(token.inner().unwrap_or(token.raw))?;
            if token.escaped {
                escape::unescape(inner, batch.text_end())?;
            } else {
                batch.text_end().extend_from_slice(inner.as_bytes());
            }
            batch.end_text(start)
        }
        Kind::Json => {
            let raw = utf8(token.raw)?;
            escape::check(raw)?;
            batch.push_text(raw)
        }
    };
    value.map(Some).ok_or(FORM)
}

fn word(value: i64) -> u64 {
    value as u64
}

fn utf8(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| escape::NO_TEXT)
}

/// The characters of a JSON string that should have only those of ASCII; none where the value is
/// no string.
fn ascii(token: Token<'_>) -> Result<Option<Cow<'_, [u8]>>, Refusal> {
    match token.inner() {
        Some(inner) if token.escaped => {
            let mut text = Vec::new();
            escape::unescape(utf8(inner)?, &mut text)?;
            Ok(Some(Cow::Owned(text)))
        }
        inner => Ok(inner.map(Cow::Borrowed)),
    }
}

fn integer(raw: &[u8], bits: u32) -> Result<u64, Refusal> {
    let value = match short_integer(raw) {
        Some(value) => value,
        None => long_integer(utf8(raw)?)?,
    };
    // Shifted out and back, what does not fit is another number.
    let unused = i64::BITS - bits;
    if value << unused >> unused != value {
        return Err("is out of range for the column's type");
    }
    Ok(value as u64)
}

/// A number of so few digits and nothing else that it cannot overflow.
fn short_integer(raw: &[u8]) -> Option<i64> {
    let (digits, sign) = match raw {
        [b'-', digits @ ..] => (digits, -1),
        digits => (digits, 1),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value = 0;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    Some(sign * value)
}

fn long_integer(raw: &str) -> Result<i64, Refusal> {
    if let Ok(value) = raw.parse() {
        return Ok(value);
    }
    // A whole number may come as 5.0 or 6.4e17.
    let float: f64 = number(raw)?;
    // 2^63 as a float is the first value past the range; infinity has no fraction to look at.
    if float.abs() >= 9_223_372_036_854_775_808.0 {
        return Err("is out of range for the column's type");
    }
    if float.fract() != 0.0 {
        return Err("is no whole number");
    }
    Ok(float as i64)
}

fn float(raw: &[u8], bits: u32) -> Result<u64, Refusal> {
    let value: f64 = number(utf8(raw)?)?;
    if bits == 32 && value.abs() > f64::from(f32::MAX) || value.is_infinite() {
        return Err("is out of range for the column's type");
    }
    Ok(match bits {
        32 => word(i64::from((value as f32).to_bits() as i32)),
        _ => value.to_bits(),
    })
}

fn number(raw: &str) -> Result<f64, Refusal> {
    // JSON numbers begin so; Rust would also take "inf" and "nan".
    if !raw.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return Err("is no number");
    }
    raw.parse().map_err(|_| "is no number")
}

#[cfg(test)]
#[path = "scalar_tests.rs"]
mod tests;
