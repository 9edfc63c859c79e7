//! Points in time as awork writes them: ticks of 100 ns, shown with up to seven fractional
//! digits whose trailing zeros are trimmed.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// 100 ns since 1970-01-01T00:00:00Z, the resolution of SQL Server's `datetime2`.
pub(crate) type Ticks = i64;

/// Ticks of a second.
pub(crate) const SECOND: Ticks = 10_000_000;
/// Ticks of a minute.
pub(crate) const MINUTE: Ticks = 60 * SECOND;
/// Ticks of an hour.
pub(crate) const HOUR: Ticks = 60 * MINUTE;
/// Ticks of a day.
pub(crate) const DAY: Ticks = 24 * HOUR;
/// What .NET counts from year 1 to 1970; the base of `resourceVersion`.
const DOTNET_EPOCH: i64 = 621_355_968_000_000_000;

/// The zones that the invented users work in.
pub(crate) const ZONES: [&str; 5] =
    ["Europe/Berlin", "Europe/London", "Europe/Zurich", "America/New_York", "Asia/Kolkata"];

/// The `resourceVersion` that belongs to a change at `at`.
pub(crate) fn version(at: Ticks) -> i64 {
    at + DOTNET_EPOCH
}

/// The zones of [`ZONES`], loaded once per generation.
pub(crate) fn zones() -> Vec<TimeZone> {
    ZONES.iter().map(|name| TimeZone::get(name).unwrap_or(TimeZone::UTC)).collect()
}

/// The instant at which a wall clock of the zone shows `local` (ticks read as if UTC).
pub(crate) fn to_utc(local: Ticks, zone: &TimeZone) -> Ticks {
    let (days, rest) = (local.div_euclid(DAY), local.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let seconds = rest / SECOND;
    let clock = DateTime::new(
        year as i16,
        month as i8,
        day as i8,
        (seconds / 3600) as i8,
        (seconds / 60 % 60) as i8,
        (seconds % 60) as i8,
        0,
    );
    let instant = clock.ok().and_then(|c| zone.to_timestamp(c).ok());
    instant.map_or(local, |i| i.as_second() * SECOND + rest % SECOND)
}

/// The zone's distance from UTC at an instant, in minutes.
pub(crate) fn offset_minutes(at: Ticks, zone: &TimeZone) -> i16 {
    jiff::Timestamp::from_second(at.div_euclid(SECOND))
        .map_or(0, |t| (zone.to_offset(t).seconds() / 60) as i16)
}

/// The calendar date of a count of days since 1970-01-01.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// The count of days since 1970-01-01 of a calendar date.
pub(crate) fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = (month + 9) % 12;
    let doy = (153 * mp + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// 0 for Monday up to 6 for Sunday.
pub(crate) fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7)
}

fn two(out: &mut Vec<u8>, n: i64) {
    out.push(b'0' + (n / 10 % 10) as u8);
    out.push(b'0' + (n % 10) as u8);
}

/// Appends `YYYY-MM-DD`.
pub(crate) fn write_date(out: &mut Vec<u8>, day: i64) {
    let (year, month, day) = civil(day);
    two(out, year / 100);
    two(out, year % 100);
    out.push(b'-');
    two(out, month);
    out.push(b'-');
    two(out, day);
}

/// Appends `HH:MM:SS` and the fraction that is left without its trailing zeros.
pub(crate) fn write_time(out: &mut Vec<u8>, of_day: Ticks) {
    let seconds = of_day / SECOND;
    two(out, seconds / 3600);
    out.push(b':');
    two(out, seconds / 60 % 60);
    out.push(b':');
    two(out, seconds % 60);
    let mut fraction = of_day % SECOND;
    if fraction != 0 {
        out.push(b'.');
        let mut unit = SECOND / 10;
        while fraction != 0 {
            out.push(b'0' + (fraction / unit) as u8);
            fraction %= unit;
            unit /= 10;
        }
    }
}

/// Appends `YYYY-MM-DDTHH:MM:SS.fffffff`, without a zone.
pub(crate) fn write_stamp(out: &mut Vec<u8>, at: Ticks) {
    write_date(out, at.div_euclid(DAY));
    out.push(b'T');
    write_time(out, at.rem_euclid(DAY));
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::with_capacity(32);
    write(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// An instant with its `Z`.
pub(crate) fn instant(at: Ticks) -> String {
    text(|out| {
        write_stamp(out, at);
        out.push(b'Z');
    })
}

/// A wall clock reading, or an instant whose zone the service leaves out.
pub(crate) fn stamp(at: Ticks) -> String {
    text(|out| write_stamp(out, at))
}

/// A calendar date.
pub(crate) fn date(day: i64) -> String {
    text(|out| write_date(out, day))
}

/// Reads what the writers above write, and a numeric offset.
pub(crate) fn parse(text: &str) -> Option<Ticks> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let part = text.get(range)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if text.get(4..5)? != "-" || text.get(7..8)? != "-" {
        return None;
    }
    let date = days(year, month, day);
    if !(1..=12).contains(&month) || civil(date) != (year, month, day) {
        return None;
    }
    let mut at = date * DAY;
    if text.len() == 10 {
        return Some(at);
    }
    let (hour, minute) = (number(11..13)?, number(14..16)?);
    if !matches!(text.get(10..11)?, "T" | " ") || text.get(13..14)? != ":" {
        return None;
    }
    let mut rest = text.get(16..)?;
    let mut second = 0;
    if rest.starts_with(':') {
        second = number(17..19)?;
        rest = text.get(19..)?;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    at += hour * HOUR + minute * MINUTE + second * SECOND;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let mut unit = SECOND / 10;
        for digit in fraction.bytes().take(digits.min(7)) {
            at += i64::from(digit - b'0') * unit;
            unit /= 10;
        }
        rest = &fraction[digits..];
    }
    match rest {
        "" | "Z" | "z" => Some(at),
        _ => {
            let sign = if rest.starts_with('+') {
                1
            } else if rest.starts_with('-') {
                -1
            } else {
                return None;
            };
            let (h, m) = rest[1..].split_once(':')?;
            let minutes = h.parse::<i64>().ok()? * 60 + m.parse::<i64>().ok()?;
            Some(at - sign * minutes * MINUTE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_lose_their_trailing_zeros() {
        let at = parse("2021-08-20T09:22:27.08Z").unwrap();
        assert_eq!(instant(at), "2021-08-20T09:22:27.08Z");
        assert_eq!(instant(at + 1), "2021-08-20T09:22:27.0800001Z");
        assert_eq!(stamp(days(2022, 4, 8) * DAY), "2022-04-08T00:00:00");
    }

    #[test]
    fn dates_round_trip() {
        for day in [-1, 0, 59, 60, 11_016, 20_000, 20_741] {
            let (y, m, d) = civil(day);
            assert_eq!(days(y, m, d), day);
        }
        assert_eq!(weekday(days(2026, 10, 15)), 3);
        assert_eq!(parse("2026-02-31T00:00:00Z"), None);
        assert_eq!(parse("2026-02-28T10:00:00+02:00"), parse("2026-02-28T08:00:00Z"));
    }

    #[test]
    fn zones_follow_daylight_saving() {
        let berlin = &zones()[0];
        let winter = to_utc(parse("2026-03-29T01:30:00").unwrap(), berlin);
        assert_eq!(instant(winter), "2026-03-29T00:30:00Z");
        let summer = to_utc(parse("2026-03-29T03:30:00").unwrap(), berlin);
        assert_eq!(instant(summer), "2026-03-29T01:30:00Z");
        assert_eq!(offset_minutes(summer, berlin), 120);
        assert_eq!(offset_minutes(winter, berlin), 60);
    }
}
