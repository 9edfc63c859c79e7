//! Dates and times of the whole range in every form, against jiff's own arithmetic and parsers.

use awork_api::rows::time::{
    date, instant, instant_at, local_timestamp, show_date, show_timestamp, time_of_day,
};
use jiff::civil::{self, Date, DateTime, Time};
use proptest::prelude::*;

use super::hold;

const EPOCH: DateTime = civil::datetime(2000, 1, 1, 0, 0, 0, 0);

/// Seconds from 1970 to 2000.
const SECONDS_TO_2000: i128 = 946_684_800;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

fn civil_days() -> impl Strategy<Value = Date> {
    (-9999_i16..=9999, 1_i8..=12, 1_i8..=31)
        .prop_map(|(year, month, day)| civil::date(year, month, 1).with().day(day).build())
        .prop_filter_map("is no date", Result::ok)
}

fn civil_times() -> impl Strategy<Value = Time> {
    (0_i8..24, 0_i8..60, 0_i8..60, 0_i32..1_000_000_000)
        .prop_map(|(hour, minute, second, nanos)| civil::time(hour, minute, second, nanos))
}

/// A date as ISO 8601 has it: with a sign and six digits where four do not do.
fn written(date: Date) -> String {
    let (year, month, day) = (date.year(), date.month(), date.day());
    match year {
        0.. => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("-{:06}-{month:02}-{day:02}", year.unsigned_abs()),
    }
}

/// A time with so many digits of its fraction, and the time that this is.
fn cut(time: Time, digits: usize) -> (String, Time) {
    let unit = 10_i32.pow(9 - digits as u32);
    let nanos = time.subsec_nanosecond() / unit * unit;
    let text = format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    let fraction = format!("{nanos:09}");
    let text = if digits == 0 { text } else { format!("{text}.{}", &fraction[..digits]) };
    (text, civil::time(time.hour(), time.minute(), time.second(), nanos))
}

/// PostgreSQL's microseconds since 2000, rounded as it rounds.
fn microseconds(at: DateTime) -> i64 {
    rounded(at.duration_since(EPOCH).as_nanos())
}

fn rounded(nanos: i128) -> i64 {
    let (seconds, nanos) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    let fraction = nanos as f64 / 1e9;
    seconds as i64 * 1_000_000 + (fraction * 1e6).round_ties_even() as i64
}

#[test]
fn dates_and_times_of_the_whole_range_are_read() {
    let inputs = (civil_days(), civil_times(), 0_usize..=9, -1439_i64..=1439, any::<bool>());
    hold("times: the whole range", 5000, inputs, |(day, time, digits, offset, blank)| {
        let (time_text, time) = cut(time, digits);
        let day_text = written(day);
        let separator = if blank { ' ' } else { 'T' };
        let text = format!("{day_text}{separator}{time_text}");
        let at = microseconds(day.to_datetime(time));
        prop_assert_eq!(instant(text.as_bytes()), Some(at), "{}", text);
        prop_assert_eq!(local_timestamp(text.as_bytes()), Some(at), "{}", text);
        let utc = format!("{text}Z");
        prop_assert_eq!(instant(utc.as_bytes()), Some(at), "{}", utc);
        prop_assert_eq!(local_timestamp(utc.as_bytes()), Some(at), "{}", utc);
        let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs());
        let other = format!("{text}{sign}{:02}:{:02}", minutes / 60, minutes % 60);
        prop_assert_eq!(instant(other.as_bytes()), Some(at - offset * 60_000_000), "{}", other);
        prop_assert_eq!(local_timestamp(other.as_bytes()), Some(at), "{}", other);
        let days = day.duration_since(EPOCH.date()).as_hours() / 24;
        prop_assert_eq!(date(day_text.as_bytes()).map(i64::from), Some(days), "{}", day_text);
        prop_assert_eq!(date(text.as_bytes()).map(i64::from), Some(days), "{}", text);
        let of_day = microseconds(EPOCH.date().to_datetime(time));
        prop_assert_eq!(time_of_day(time_text.as_bytes()), Some(of_day), "{}", time_text);
        prop_assert_eq!(instant_at(days * DAY + of_day, of_day), Some(days * DAY + of_day));
        Ok(())
    });
}

#[test]
fn what_is_nearly_a_date_is_judged_as_by_jiff() {
    let form = "[0-9]{4}-?[01][0-9]-?[0-3][0-9]([Tt ][0-2][0-9](:?[0-6][0-9](:?[0-6][0-9]([.,][0-9]{0,10})?)?)?)?";
    hold("times: nearly a date", 5000, (form, ".{0,2}", any::<prop::sample::Index>()), |input| {
        let (mut text, insert, at) = input;
        text.insert_str(at.index(text.len() + 1), &insert);
        let bytes = text.as_bytes();
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            let since = at.as_nanosecond() - SECONDS_TO_2000 * 1_000_000_000;
            prop_assert_eq!(instant(bytes), Some(rounded(since)), "{}", text);
        }
        let pieces = jiff::fmt::temporal::Pieces::parse(bytes);
        if let Ok(at) = text.parse::<DateTime>() {
            prop_assert_eq!(local_timestamp(bytes), Some(microseconds(at)), "{}", text);
            // jiff passes over an offset here.
            if pieces.as_ref().is_ok_and(|pieces| pieces.offset().is_none()) {
                prop_assert_eq!(instant(bytes), Some(microseconds(at)), "{}", text);
            }
        }
        let known = pieces.is_ok();
        prop_assert_eq!(instant(bytes).is_some(), known, "{}", text);
        prop_assert_eq!(local_timestamp(bytes).is_some(), known, "{}", text);
        prop_assert_eq!(date(bytes).is_some(), known, "{}", text);
        prop_assert_eq!(time_of_day(bytes).is_some(), text.parse::<Time>().is_ok(), "{}", text);
        Ok(())
    });
}

#[test]
fn any_bytes_are_no_danger() {
    hold("times: any bytes", 5000, prop::collection::vec(any::<u8>(), 0..40), |bytes| {
        let _ = (instant(&bytes), local_timestamp(&bytes), date(&bytes), time_of_day(&bytes));
        Ok(())
    });
}

#[test]
fn what_is_shown_is_read_again() {
    let year_0 = microseconds(civil::datetime(0, 1, 1, 0, 0, 0, 0));
    let year_10000 = microseconds(civil::datetime(9999, 12, 31, 0, 0, 0, 0)) + DAY;
    let inputs = (prop_oneof![any::<i64>(), year_0 - DAY..year_10000 + DAY], any::<i32>());
    hold("times: shown", 5000, inputs, |(at, days)| {
        let text = show_timestamp(at);
        prop_assert_eq!(text.is_some(), (year_0..year_10000).contains(&at));
        if let Some(text) = text {
            prop_assert_eq!(local_timestamp(text.as_bytes()), Some(at), "{}", text);
        }
        let days = days % 5_000_000;
        let text = show_date(days);
        let in_range = (year_0..year_10000).contains(&(i64::from(days) * DAY));
        prop_assert_eq!(text.is_some(), in_range);
        if let Some(text) = text {
            prop_assert_eq!(date(text.as_bytes()), Some(days), "{}", text);
        }
        Ok(())
    });
}
