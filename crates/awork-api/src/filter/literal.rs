//! awork's literals. Each function gives none for a value that awork has no safe literal for.

use uuid::Uuid;

use crate::rows::time;

/// The longest text that is sent as part of a condition.
const LONGEST_TEXT: usize = 300;

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;

/// Microseconds in a day.
pub(super) const DAY: i64 = 86_400 * SECOND;

/// `guid'…'`; a plain string is refused.
pub(super) fn guid(bytes: &[u8; 16]) -> String {
    format!("guid'{}'", Uuid::from_bytes(*bytes).hyphenated())
}

/// `'…'` with quotes doubled. A backslash may start an escape, control characters may not pass.
pub(super) fn text(text: &str) -> Option<String> {
    let safe = text.len() <= LONGEST_TEXT && !text.chars().any(|c| c == '\\' || c.is_control());
    safe.then(|| format!("'{}'", text.replace('\'', "''")))
}

/// A whole number, with the suffix of 64-bit numbers where it needs one.
pub(super) fn whole(number: i64) -> String {
    match i32::try_from(number) {
        Ok(number) => number.to_string(),
        Err(_) => format!("{number}L"),
    }
}

/// A number with a decimal point and no exponent.
pub(super) fn float(number: f64) -> Option<String> {
    if !number.is_finite() || number.abs() > 1e15 {
        return None;
    }
    let text = format!("{number}");
    Some(if text.contains('.') { text } else { text + ".0" })
}

/// `datetime'YYYY-MM-DDTHH:MM:SS'`, without a zone, of a time that is a whole second.
pub(super) fn datetime(microseconds: i64) -> Option<String> {
    let text = time::show_timestamp(microseconds)?;
    // SQL Server's and .NET's dates begin with year 1; a fraction may not be understood.
    (text.len() == "YYYY-MM-DDTHH:MM:SS".len() && !text.starts_with("0000"))
        .then(|| format!("datetime'{text}'"))
}

/// The last whole second that is not later.
pub(super) fn floor_second(microseconds: i64) -> Option<i64> {
    microseconds.div_euclid(SECOND).checked_mul(SECOND)
}

/// The first whole second that is not earlier.
pub(super) fn ceil_second(microseconds: i64) -> Option<i64> {
    floor_second(microseconds.checked_add(SECOND - 1)?)
}

/// The beginning of the day (UTC or wall clock).
pub(super) fn floor_day(microseconds: i64) -> Option<i64> {
    microseconds.div_euclid(DAY).checked_mul(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        assert_eq!(text("O'Hara & Söhne").as_deref(), Some("'O''Hara & Söhne'"));
        assert_eq!(text(r"C:\x"), None);
        assert_eq!(text("a\nb"), None);
        assert_eq!(text(&"x".repeat(301)), None);
        assert_eq!(whole(-5), "-5");
        assert_eq!(whole(5_000_000_000), "5000000000L");
        assert_eq!(float(3.0).as_deref(), Some("3.0"));
        assert_eq!(float(-0.25).as_deref(), Some("-0.25"));
        assert_eq!(float(f64::NAN), None);
        assert_eq!(float(1e300), None);
        assert_eq!(datetime(0).as_deref(), Some("datetime'2000-01-01T00:00:00'"));
        assert_eq!(datetime(1), None);
        assert_eq!(datetime(i64::MAX), None);
        assert_eq!(guid(&[0; 16]), "guid'00000000-0000-0000-0000-000000000000'");
    }

    #[test]
    fn rounding_goes_outwards_before_the_epoch_too() {
        assert_eq!(floor_second(-1), Some(-SECOND));
        assert_eq!(ceil_second(-1), Some(0));
        assert_eq!(ceil_second(1), Some(SECOND));
        assert_eq!(ceil_second(SECOND), Some(SECOND));
        assert_eq!(floor_day(-1), Some(-DAY));
        assert_eq!(ceil_second(i64::MAX), None);
        assert_eq!(floor_second(i64::MIN), None);
    }
}
