//! Dates and times in the one form in which awork nearly always writes them, digit by digit.
//! Whatever is not exactly of that form is none here, and is left to the general parser.

/// Days since 2000-01-01 of `YYYY-MM-DD`.
pub(super) fn date(text: &[u8]) -> Option<i64> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let (year, month, day) = (two(y1, y2)? * 100 + two(y3, y4)?, two(m1, m2)?, two(d1, d2)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    if year == 0 || day == 0 || day > last {
        return None;
    }
    // Years that begin in March have the leap day at their end, and 153 days in five months.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_years = year * 365 + year / 4 - year / 100 + year / 400;
    let of_months = (153 * month + 2) / 5;
    // 2000-01-01 is the 730,425th day from 0000-03-01 on.
    Some(of_years + of_months + day - 1 - 730_425)
}

/// Microseconds since midnight of `HH:MM:SS` with up to nine more digits, rounded as
/// [`super::time`] says.
pub(super) fn time(text: &[u8]) -> Option<i64> {
    let &[h1, h2, b':', m1, m2, b':', s1, s2, ref fraction @ ..] = text else { return None };
    let (hour, minute, second) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let nanoseconds = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
            let mut value = 0;
            for digit in digits {
                value = value * 10 + one(*digit)?;
            }
            value * 10_i64.pow(9 - digits.len() as u32)
        }
        _ => return None,
    };
    let seconds = hour * 3600 + minute * 60 + second;
    Some(seconds * 1_000_000 + super::time::rounded(nanoseconds))
}

/// Microseconds since 2000-01-01 00:00 of a date and a time with a `T` between them.
pub(super) fn timestamp(text: &[u8]) -> Option<i64> {
    let (day, rest) = text.split_at_checked(10)?;
    let time = time(rest.strip_prefix(b"T")?)?;
    Some(date(day)? * 86_400_000_000 + time)
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    Some(one(tens)? * 10 + one(ones)?)
}

fn one(digit: u8) -> Option<i64> {
    digit.is_ascii_digit().then(|| i64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan;
    use jiff::civil::{Date, Time, date as civil};

    #[test]
    fn every_date_is_that_of_the_general_parser() {
        let (mut day, end) = (civil(1, 1, 1), civil(9999, 5, 1));
        let epoch = civil(2000, 1, 1);
        while day < end {
            let days = day.since((jiff::Unit::Day, epoch)).unwrap().get_days();
            assert_eq!(date(day.to_string().as_bytes()), Some(i64::from(days)), "{day}");
            // Seven months and some days, so that all days of the month come.
            day = day.checked_add(217.days()).unwrap();
        }
        for (year, month, day) in (1895..2105)
            .flat_map(|y| (1..14).map(move |m| (y, m)))
            .flat_map(|(y, m)| (0..33).map(move |d| (y, m, d)))
        {
            let is_date = Date::new(year, month, day).is_ok();
            let text = format!("{year:04}-{month:02}-{day:02}");
            assert_eq!(date(text.as_bytes()).is_some(), is_date, "{text}");
        }
    }

    #[test]
    fn times_are_those_of_the_general_parser() {
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..50_000 {
            let mut text =
                format!("{:02}:{:02}:{:02}", random.u8(0..25), random.u8(0..61), random.u8(0..60));
            let digits = random.usize(0..11);
            if digits > 0 {
                text.push('.');
                text.extend((1..digits).map(|_| random.digit(10)));
            }
            let general = text.parse::<Time>().ok().map(|time| {
                let since = time.duration_since(Time::midnight());
                let fraction = f64::from(since.subsec_nanos()) / 1e9;
                since.as_secs() * 1_000_000 + (fraction * 1e6).round_ties_even() as i64
            });
            assert_eq!(time(text.as_bytes()), general, "{text}");
        }
    }

    #[test]
    fn other_forms_are_left_to_the_general_parser() {
        for text in ["20000101", "+002000-01-01", "2000-1-1", "2000-01-01 ", "0000-01-01", ""] {
            assert_eq!(date(text.as_bytes()), None, "{text}");
        }
        for text in ["12:00", "24:00:00", "12:00:60", "12:00:00.", "12:00:00,5", "12:00:00Z"] {
            assert_eq!(time(text.as_bytes()), None, "{text}");
        }
        for text in ["2000-01-01", "2000-01-01 00:00:00", "2000-01-01t00:00:00", "2000-01-01T"] {
            assert_eq!(timestamp(text.as_bytes()), None, "{text}");
        }
        assert_eq!(timestamp(b"2000-01-01T00:00:01.5"), Some(1_500_000));
    }
}
