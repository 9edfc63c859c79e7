//! Constants of dates and times, some a microsecond beside a value of the data.

use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, ToSpan};

use super::Generator;
use crate::ast::literal;
use crate::schema::Kind;

impl Generator<'_> {
    /// A constant that compares with a value of the type.
    pub(super) fn moment(&mut self, kind: Kind, value: &str) -> String {
        if kind == Kind::Time {
            return self.time_of_day(value);
        }
        if self.percent(8) {
            return self.special(kind);
        }
        let at = self.shifted(parse(value));
        let (date, stamp) = (at.date().to_string(), format!("{at}").replace('T', " "));
        match (kind, self.rng.u32(0..12)) {
            (_, 0) => literal(&format!("'{date}'::date"), "date"),
            (_, 1) => literal(&format!("'{stamp}'::timestamp"), "timestamp"),
            (_, 2) => literal(&format!("'{stamp}+00'::timestamptz"), "timestamptz"),
            (_, 3) => format!("'{stamp}'::timestamptz"),
            (_, 4) => format!("('{stamp}'::timestamp - interval '1 day')"),
            (Kind::Date, 5..9) | (_, 5) => format!("'{date}'"),
            (Kind::Date, _) => literal(&format!("'{date}'::date"), "date"),
            (Kind::Instant, 6) => format!("'{stamp}+05:45'"),
            (Kind::Instant, 7) => format!("('{stamp}'::timestamp AT TIME ZONE 'Europe/Berlin')"),
            (Kind::Instant, 8) => format!("('{stamp}+00'::timestamptz - interval '1 day')"),
            (Kind::Instant, 9) => format!("'{stamp} Europe/Berlin'"),
            (Kind::Instant, _) => format!("'{stamp}+00'"),
            (_, 6..9) => literal(&format!("'{stamp}'::timestamp"), "timestamp"),
            _ => format!("'{stamp}'"),
        }
    }

    fn special(&mut self, kind: Kind) -> String {
        let ty = kind.sql();
        let text = self.pick(&[
            "infinity",
            "-infinity",
            "0001-01-01",
            "4000-01-01 BC",
            "1969-12-31",
            "9999-12-31",
            "20000-01-01",
        ]);
        match self.rng.u32(0..8) {
            0 => "current_date".to_owned(),
            1 => "(current_date - 60)".to_owned(),
            2 => "date_trunc('day', now())".to_owned(),
            3 => format!("'{text}'"),
            _ => literal(&format!("'{text}'::{ty}"), ty),
        }
    }

    /// The value, or one beside it.
    fn shifted(&mut self, at: DateTime) -> DateTime {
        let spans: [Span; 8] = [
            1.microsecond(),
            (-1).microsecond(),
            1.second(),
            (-1).second(),
            1.hour(),
            (-2).hours(),
            1.day(),
            (-30).days(),
        ];
        match self.rng.u32(0..20) {
            n @ 0..8 => at.checked_add(spans[n as usize]).unwrap_or(at),
            8 => DateTime::from_parts(
                at.date(),
                at.time().with().subsec_nanosecond(0).build().unwrap_or(at.time()),
            ),
            9 | 10 => DateTime::from_parts(at.date(), Time::midnight()),
            _ => at,
        }
    }

    fn time_of_day(&mut self, value: &str) -> String {
        let noon = Time::constant(12, 0, 0, 0);
        let at: Time = value.parse().unwrap_or(noon);
        let at = match self.rng.u32(0..10) {
            0 => at.wrapping_add(1.microsecond()),
            1 => at.wrapping_sub(1.microsecond()),
            2 => at.wrapping_add(1.hour()),
            3 => Time::midnight(),
            _ => at,
        };
        match self.rng.u32(0..10) {
            0 => "'24:00'::time".to_owned(),
            1 => format!("'{at}'::interval"),
            2..6 => literal(&format!("'{at}'::time"), "time"),
            _ => format!("'{at}'"),
        }
    }
}

/// A date and time as PostgreSQL writes it in UTC, or some other one.
fn parse(value: &str) -> DateTime {
    let value = value.trim_end_matches("+00");
    let date = || value.parse::<Date>().map(|date| date.to_datetime(Time::midnight()));
    let fallback = DateTime::constant(2026, 3, 29, 1, 30, 0, 0);
    value.parse().or_else(|_| date()).unwrap_or(fallback)
}
