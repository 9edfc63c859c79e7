//! Datums of a query to values that a filter can be written with.

use awork_api::filter::Value;
use pgrx::{FromDatum, pg_sys};

/// The value of a datum that is not null; [`Value::Other`] where its type means nothing to a
/// filter.
///
/// # Safety
/// `datum` must be a value of the type.
pub(super) unsafe fn read(datum: pg_sys::Datum, ty: pg_sys::Oid) -> Value {
    // SAFETY: as the caller promises; each conversion is that of the type.
    unsafe {
        let element = pg_sys::get_base_element_type(ty);
        if element != pg_sys::InvalidOid {
            let elements = super::datum::elements(datum);
            return Value::Array(
                elements
                    .into_iter()
                    .map(|element_value| match element_value {
                        Some(datum) => read(datum, element),
                        None => Value::Null,
                    })
                    .collect(),
            );
        }
        let value = match pg_sys::getBaseType(ty) {
            pg_sys::BOOLOID => bool::from_datum(datum, false).map(Value::Bool),
            pg_sys::INT2OID => i16::from_datum(datum, false).map(|n| Value::Int(n.into())),
            pg_sys::INT4OID => i32::from_datum(datum, false).map(|n| Value::Int(n.into())),
            pg_sys::INT8OID => i64::from_datum(datum, false).map(Value::Int),
            pg_sys::FLOAT8OID => {
                // A plan's text has no form for infinity and NaN, nor has awork.
                f64::from_datum(datum, false).filter(|n| n.is_finite()).map(Value::Float)
            }
            pg_sys::NUMERICOID => Some(Value::Numeric(super::datum::output(datum, ty))),
            pg_sys::UUIDOID => {
                let bytes = datum.cast_mut_ptr::<[u8; 16]>();
                Some(Value::Uuid(*bytes))
            }
            pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => {
                Some(Value::Timestamp(datum.value() as i64))
            }
            pg_sys::DATEOID => Some(Value::Date(datum.value() as i32)),
            pg_sys::TEXTOID | pg_sys::VARCHAROID => {
                Some(Value::Text(super::datum::output(datum, ty)))
            }
            _ => None,
        };
        value.unwrap_or(Value::Other)
    }
}

/// A date or time as another type, by the session's time zone where one of the two has none;
/// [`Value::Other`] where that type has no such value. The conversions are those of the
/// operators that compare across types (date.c, timestamp.c).
pub(super) fn converted(value: Value, from: pg_sys::Oid, to: pg_sys::Oid) -> Value {
    use pg_sys::{DATEOID, TIMESTAMPOID, TIMESTAMPTZOID};
    let mut overflow = 0;
    // SAFETY: plain functions of their arguments and the session's zone; they report an
    // overflow instead of raising an error.
    let converted = unsafe {
        match (value, from, to) {
            (Value::Date(day), DATEOID, TIMESTAMPTZOID) => {
                Value::Timestamp(pg_sys::date2timestamptz_opt_overflow(day, &mut overflow))
            }
            (Value::Date(day), DATEOID, TIMESTAMPOID) => {
                Value::Timestamp(pg_sys::date2timestamp_opt_overflow(day, &mut overflow))
            }
            (Value::Timestamp(at), TIMESTAMPOID, TIMESTAMPTZOID) => {
                Value::Timestamp(pg_sys::timestamp2timestamptz_opt_overflow(at, &mut overflow))
            }
            (Value::Timestamp(at), TIMESTAMPOID, DATEOID) => day(at),
            (Value::Timestamp(at), TIMESTAMPTZOID, TIMESTAMPOID) => on_the_clock(at),
            (Value::Timestamp(at), TIMESTAMPTZOID, DATEOID) => match on_the_clock(at) {
                Value::Timestamp(at) => day(at),
                other => other,
            },
            (Value::Null, ..) => Value::Null,
            _ => Value::Other,
        }
    };
    if overflow == 0 { converted } else { Value::Other }
}

/// Microseconds in a day.
const DAY: i64 = 86_400_000_000;

/// The years that awork's dates can have, in microseconds since 2000.
const YEARS_1_TO_9999: std::ops::Range<i64> = -63_082_281_600_000_000..252_455_616_000_000_000;

fn day(at: i64) -> Value {
    match YEARS_1_TO_9999.contains(&at) {
        true => i32::try_from(at.div_euclid(DAY)).map_or(Value::Other, Value::Date),
        false => Value::Other,
    }
}

/// What the clock shows in the session's zone at an instant.
fn on_the_clock(at: i64) -> Value {
    if !YEARS_1_TO_9999.contains(&at) {
        return Value::Other;
    }
    // SAFETY: the function takes a timestamp with time zone; those of these years have a
    // clock time everywhere.
    let clock = unsafe {
        pgrx::direct_function_call::<i64>(
            pg_sys::timestamptz_timestamp,
            &[Some(pg_sys::Datum::from(at))],
        )
    };
    clock.map_or(Value::Other, Value::Timestamp)
}

/// A date or time that is so many days later; [`Value::Other`] past the ends of time.
pub(super) fn shifted(value: Value, days: i32) -> Value {
    let shifted = match value {
        _ if days == 0 => return value,
        Value::Timestamp(at) => at.checked_add(DAY * i64::from(days)).map(Value::Timestamp),
        Value::Date(day) => day.checked_add(days).map(Value::Date),
        other => return other,
    };
    shifted.unwrap_or(Value::Other)
}
