//! Dates and times as awork writes them (0 to 7 fractional digits, `Z`, an offset or no zone)
//! to PostgreSQL's units. Rounds to microseconds as PostgreSQL does (`ParseFractionalSecond`
//! in `datetime.c`), so that a value here equals a cast of the text.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::Pieces;

use super::fixed;

/// Where PostgreSQL's dates and times begin.
const EPOCH: Date = Date::constant(2000, 1, 1);

const SECONDS_PER_DAY: i64 = 86_400;

/// Microseconds since 2000-01-01 00:00 UTC. Text without a zone is UTC.
pub fn instant(text: &[u8]) -> Option<i64> {
    match text {
        [common @ .., b'Z'] if let Some(instant) = fixed::timestamp(common) => Some(instant),
        _ => {
            let pieces = pieces(text)?;
            let offset = pieces.to_numeric_offset().map_or(0, |o| i64::from(o.seconds()));
            Some(microseconds(pieces.date(), pieces.time()) - offset * 1_000_000)
        }
    }
}

/// Microseconds since 2000-01-01 00:00 on the wall clock; a zone is not looked at.
pub fn local_timestamp(text: &[u8]) -> Option<i64> {
    let common = text.strip_suffix(b"Z").unwrap_or(text);
    fixed::timestamp(common).or_else(|| {
        let pieces = pieces(text)?;
        Some(microseconds(pieces.date(), pieces.time()))
    })
}

/// Days since 2000-01-01; a time of day is not looked at.
pub fn date(text: &[u8]) -> Option<i32> {
    let days = match fixed::date(text) {
        Some(days) => days,
        None => days(pieces(text)?.date()),
    };
    i32::try_from(days).ok()
}

/// Microseconds since midnight.
pub fn time_of_day(text: &[u8]) -> Option<i64> {
    fixed::time(text).or_else(|| {
        let time: Time = std::str::from_utf8(text).ok()?.parse().ok()?;
        Some(microseconds(EPOCH, Some(time)))
    })
}

fn pieces(text: &[u8]) -> Option<Pieces<'_>> {
    Pieces::parse(text).ok()
}

/// The day of a date and time (UTC) at a time of day, as an instant.
pub fn instant_at(day: i64, time_of_day: i64) -> Option<i64> {
    const DAY: i64 = SECONDS_PER_DAY * 1_000_000;
    (day.div_euclid(DAY) * DAY).checked_add(time_of_day)
}

/// Microseconds since 2000-01-01 00:00 as `YYYY-MM-DDTHH:MM:SS[.ffffff]`, without a zone; none
/// for infinity and for years that have more than four digits.
pub fn show_timestamp(microseconds: i64) -> Option<String> {
    show(SignedDuration::from_micros(microseconds)).map(|timestamp| timestamp.to_string())
}

/// Days since 2000-01-01 as `YYYY-MM-DD`; none as for [`show_timestamp`].
pub fn show_date(days: i32) -> Option<String> {
    let since = SignedDuration::from_secs(i64::from(days) * SECONDS_PER_DAY);
    show(since).map(|timestamp| timestamp.date().to_string())
}

fn show(since: SignedDuration) -> Option<DateTime> {
    let timestamp = EPOCH.at(0, 0, 0, 0).checked_add(since).ok()?;
    (timestamp.year() >= 0).then_some(timestamp)
}

fn days(date: Date) -> i64 {
    date.duration_since(EPOCH).as_secs() / SECONDS_PER_DAY
}

fn microseconds(date: Date, time: Option<Time>) -> i64 {
    let time = time.unwrap_or_else(Time::midnight);
    let seconds = i64::from(time.hour()) * 3600
        + i64::from(time.minute()) * 60
        + i64::from(time.second())
        + days(date) * SECONDS_PER_DAY;
    seconds * 1_000_000 + rounded(time.subsec_nanosecond().into())
}

/// The nanoseconds of a second as microseconds.
pub(super) fn rounded(nanoseconds: i64) -> i64 {
    let fraction = nanoseconds as f64 / 1e9;
    (fraction * 1e6).round_ties_even() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_in_every_form() {
        assert_eq!(instant(b"2000-01-01T00:00:00Z"), Some(0));
        assert_eq!(instant(b"2000-01-01T00:00:01.0000001Z"), Some(1_000_000));
        assert_eq!(instant(b"2000-01-01T00:00:01.0000005Z"), Some(1_000_000));
        assert_eq!(instant(b"2000-01-01T00:00:01.0000006Z"), Some(1_000_001));
        assert_eq!(instant(b"2000-01-01T00:00:00.08Z"), Some(80_000));
        assert_eq!(instant(b"2000-01-01T00:00:59.9999999Z"), Some(60_000_000));
        assert_eq!(instant(b"2000-01-01T02:00:00+02:00"), Some(0));
        assert_eq!(instant(b"2000-01-01T00:00:00.5"), Some(500_000));
        assert_eq!(instant(b"1999-12-31T23:59:59.25Z"), Some(-750_000));
        assert_eq!(instant(b"2000-01-02"), Some(86_400_000_000));
        assert_eq!(instant(b"0001-01-01T00:00:00"), Some(-63_082_281_600_000_000));
    }

    #[test]
    fn the_last_date_of_dotnet_is_a_date() {
        let end = 252_455_616_000_000_000;
        assert_eq!(instant(b"9999-12-31T23:59:59.9999999Z"), Some(end));
        assert_eq!(date(b"9999-12-31"), Some(2_921_939));
        assert_eq!(show_timestamp(end - 1).as_deref(), Some("9999-12-31T23:59:59.999999"));
        assert_eq!(show_timestamp(i64::MAX), None);
    }

    #[test]
    fn dates_and_times_are_shown_as_they_are_read() {
        assert_eq!(show_timestamp(0).as_deref(), Some("2000-01-01T00:00:00"));
        assert_eq!(show_timestamp(-500_000).as_deref(), Some("1999-12-31T23:59:59.5"));
        assert_eq!(show_date(-1).as_deref(), Some("1999-12-31"));
        assert_eq!(show_date(i32::MAX), None);
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["2026-02-31T00:00:00Z", "2026-02-31", "", "soon", "12:00", "2026-13-01"] {
            assert_eq!(instant(text.as_bytes()), None, "{text}");
            assert_eq!(date(text.as_bytes()), None, "{text}");
            assert_eq!(local_timestamp(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn local_timestamps_keep_the_wall_clock() {
        assert_eq!(local_timestamp(b"2000-01-01T10:00:00"), Some(36_000_000_000));
        assert_eq!(local_timestamp(b"2000-01-01T10:00:00Z"), Some(36_000_000_000));
        assert_eq!(local_timestamp(b"2000-01-01T10:00:00+05:00"), Some(36_000_000_000));
    }

    #[test]
    fn dates_and_times_of_day() {
        assert_eq!(date(b"2000-01-31"), Some(30));
        assert_eq!(date(b"1999-12-31T00:00:00Z"), Some(-1));
        assert_eq!(time_of_day(b"13:08:51.8220632"), Some(47_331_822_063));
        assert_eq!(time_of_day(b"07:00:00"), Some(25_200_000_000));
        assert_eq!(time_of_day(b"25:00:00"), None);
        assert_eq!(instant_at(-1, 5), Some(-86_400_000_000 + 5));
    }
}
