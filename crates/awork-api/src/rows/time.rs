//! Dates and times as awork writes them (0 to 7 fractional digits, `Z`, an offset or no zone)
//! to PostgreSQL's units. Rounds to microseconds as PostgreSQL does (`ParseFractionalSecond`
//! in `datetime.c`), so that a value here equals a cast of the text.

use jiff::civil::Time;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

/// 2000-01-01 00:00 UTC in Unix seconds.
const EPOCH: i64 = 946_684_800;

const SECONDS_PER_DAY: i64 = 86_400;

/// Microseconds since 2000-01-01 00:00 UTC. Text without a zone is UTC.
pub fn instant(text: &str) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    timestamp(&pieces, offset)
}

/// Microseconds since 2000-01-01 00:00 on the wall clock; a zone is not looked at.
pub fn local_timestamp(text: &str) -> Option<i64> {
    timestamp(&Pieces::parse(text).ok()?, Offset::UTC)
}

/// Days since 2000-01-01; a time of day is not looked at.
pub fn date(text: &str) -> Option<i32> {
    let midnight = Pieces::parse(text).ok()?.date().at(0, 0, 0, 0);
    let seconds = Offset::UTC.to_timestamp(midnight).ok()?.as_second() - EPOCH;
    i32::try_from(seconds.div_euclid(SECONDS_PER_DAY)).ok()
}

/// Microseconds since midnight.
pub fn time_of_day(text: &str) -> Option<i64> {
    let time: Time = text.parse().ok()?;
    Some(microseconds(seconds_of(time), time))
}

/// The day of a date and time (UTC) at a time of day, as an instant.
pub fn instant_at(day: i64, time_of_day: i64) -> Option<i64> {
    const DAY: i64 = SECONDS_PER_DAY * 1_000_000;
    (day.div_euclid(DAY) * DAY).checked_add(time_of_day)
}

fn timestamp(pieces: &Pieces<'_>, offset: Offset) -> Option<i64> {
    let time = pieces.time().unwrap_or_else(Time::midnight);
    let whole = time.with().subsec_nanosecond(0).build().ok()?;
    let seconds = offset.to_timestamp(pieces.date().to_datetime(whole)).ok()?.as_second() - EPOCH;
    Some(microseconds(seconds, time))
}

fn seconds_of(time: Time) -> i64 {
    i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second())
}

fn microseconds(seconds: i64, time: Time) -> i64 {
    let fraction = f64::from(time.subsec_nanosecond()) / 1e9;
    seconds * 1_000_000 + (fraction * 1e6).round_ties_even() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_in_every_form() {
        assert_eq!(instant("2000-01-01T00:00:00Z"), Some(0));
        assert_eq!(instant("2000-01-01T00:00:01.0000001Z"), Some(1_000_000));
        assert_eq!(instant("2000-01-01T00:00:01.0000005Z"), Some(1_000_000));
        assert_eq!(instant("2000-01-01T00:00:01.0000006Z"), Some(1_000_001));
        assert_eq!(instant("2000-01-01T00:00:00.08Z"), Some(80_000));
        assert_eq!(instant("2000-01-01T00:00:59.9999999Z"), Some(60_000_000));
        assert_eq!(instant("2000-01-01T02:00:00+02:00"), Some(0));
        assert_eq!(instant("2000-01-01T00:00:00.5"), Some(500_000));
        assert_eq!(instant("1999-12-31T23:59:59.25Z"), Some(-750_000));
        assert_eq!(instant("2000-01-02"), Some(86_400_000_000));
        assert_eq!(instant("0001-01-01T00:00:00"), Some(-63_082_281_600_000_000));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["2026-02-31T00:00:00Z", "2026-02-31", "", "soon", "12:00", "2026-13-01"] {
            assert_eq!(instant(text), None, "{text}");
            assert_eq!(date(text), None, "{text}");
            assert_eq!(local_timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn local_timestamps_keep_the_wall_clock() {
        assert_eq!(local_timestamp("2000-01-01T10:00:00"), Some(36_000_000_000));
        assert_eq!(local_timestamp("2000-01-01T10:00:00Z"), Some(36_000_000_000));
        assert_eq!(local_timestamp("2000-01-01T10:00:00+05:00"), Some(36_000_000_000));
    }

    #[test]
    fn dates_and_times_of_day() {
        assert_eq!(date("2000-01-31"), Some(30));
        assert_eq!(date("1999-12-31T00:00:00Z"), Some(-1));
        assert_eq!(time_of_day("13:08:51.8220632"), Some(47_331_822_063));
        assert_eq!(time_of_day("07:00:00"), Some(25_200_000_000));
        assert_eq!(time_of_day("25:00:00"), None);
        assert_eq!(instant_at(-1, 5), Some(-86_400_000_000 + 5));
    }
}
