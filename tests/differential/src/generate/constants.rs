//! Constants to compare with: values of the data, values beside them, and values that never
//! occur, each in several notations.

use super::{Generator, Operand};
use crate::ast::literal;
use crate::schema::Kind;

/// Texts that are hard for a filter in a URL, for `LIKE`, or for a comparison without case.
const TEXTS: &[&str] = &[
    "",
    " ",
    "%",
    "_",
    "\\",
    "'",
    "\"",
    "''",
    "100%",
    "100 %",
    "Kiosk_24",
    "O'Brien",
    "Straße",
    "STRASSE",
    "ß",
    "é",
    "e\u{301}",
    "ä",
    "Ä",
    "a\u{308}",
    "🎉",
    "🐾",
    "İ",
    "ı",
    "K",
    "null",
    "NULL",
    "true",
    "0",
    "draft",
    "DRAFT ",
    "guid'x'",
    "a' or 'a' eq 'a",
    "x)",
    "(x",
    "a,b",
    "&",
    "+",
    "#",
    "?",
    "/",
    "\t",
    "\n",
    "\u{a0}",
    "nobody was ever called this",
];

impl Generator<'_> {
    /// A constant that compares with the operand; seldom null.
    pub(super) fn constant(&mut self, operand: &Operand) -> String {
        self.constant_of(operand.kind, operand.values)
    }

    /// A constant of a type, near the values of a column.
    pub(super) fn constant_of(&mut self, kind: Kind, values: (usize, usize)) -> String {
        if self.percent(2) {
            return match self.percent(50) {
                true => "NULL".to_owned(),
                false => literal(&format!("NULL::{}", kind.sql()), kind.sql()),
            };
        }
        let value = self.value(values);
        match kind {
            Kind::Uuid => self.uuid(&value),
            Kind::Text => {
                let text = self.text(&value);
                self.text_literal(&text)
            }
            Kind::Boolean => {
                let value = self.pick(&["true", "false"]);
                match self.rng.u32(0..3) {
                    0 => literal(value, "boolean"),
                    1 => format!("'{}'", &value[..1]),
                    _ => value.to_owned(),
                }
            }
            Kind::Integer | Kind::Bigint => self.whole(&value),
            Kind::Double => self.number(&value),
            Kind::Instant | Kind::Local | Kind::Date | Kind::Time => self.moment(kind, &value),
            Kind::Json => "'{}'::jsonb".to_owned(),
        }
    }

    /// Several constants; now and then with a null or twice the same.
    pub(super) fn constants(&mut self, operand: &Operand, nulls: bool) -> Vec<String> {
        let count = self.rng.usize(1..=5);
        let mut all: Vec<String> = (0..count).map(|_| self.constant(operand)).collect();
        if nulls && self.percent(12) {
            all.push("NULL".to_owned());
        }
        if self.percent(10) {
            all.push(all[0].clone());
        }
        all
    }

    /// A value of a column; empty where it has none.
    pub(super) fn value(&mut self, (table, column): (usize, usize)) -> String {
        let column = &self.table(table).columns[column];
        // What only case or blanks tell apart is where a filter of awork's differs.
        let twins = !column.twins.is_empty() && self.percent(40);
        let values = if twins { &column.twins } else { &column.values };
        match values.is_empty() {
            true => String::new(),
            false => values[self.rng.usize(0..values.len())].clone(),
        }
    }

    fn uuid(&mut self, value: &str) -> String {
        let value = match self.rng.u32(0..20) {
            0 => "11111111-2222-4333-8444-555555555555".to_owned(),
            1 => "00000000-0000-0000-0000-000000000000".to_owned(),
            2 => "ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned(),
            3 => value.to_uppercase(),
            4 => value.replace('-', ""),
            _ => value.to_owned(),
        };
        // A column without values still needs a valid constant.
        let value =
            if value.len() < 32 { "99999999-2222-4333-8444-555555555555" } else { value.as_str() };
        match self.percent(60) {
            true => literal(&format!("'{value}'::uuid"), "uuid"),
            false => format!("'{value}'"),
        }
    }

    /// A text like the value: itself, in other case, with blanks, cut, or another one.
    pub(super) fn text(&mut self, value: &str) -> String {
        match self.rng.u32(0..20) {
            0 => value.to_uppercase(),
            1 => value.to_lowercase(),
            2 => format!("{value} "),
            3 => format!(" {value}"),
            4 => value.trim().to_owned(),
            5 => value.chars().skip(1).collect(),
            6 => value.chars().take(3).collect(),
            7 => format!("{value}x"),
            8 | 9 => self.pick(TEXTS).to_owned(),
            _ => value.to_owned(),
        }
    }

    pub(super) fn text_literal(&mut self, text: &str) -> String {
        let quoted = quote(text);
        match self.rng.u32(0..20) {
            0..9 => quoted,
            9..16 => literal(&format!("{quoted}::text"), "text"),
            16..18 => literal(&format!("{quoted}::varchar"), "varchar"),
            18 => format!("{quoted}::bpchar"),
            _ => format!("{quoted}::name"),
        }
    }

    fn whole(&mut self, value: &str) -> String {
        let near = self.rng.i64(-1..=1);
        let value = match value.parse::<i64>() {
            Ok(value) if self.percent(70) => value.saturating_add(near),
            _ => self.pick(&[0, 1, -1, 2, 3, 5, 7, 10, 60, 3600, 86_400]),
        };
        match self.rng.u32(0..24) {
            0 => "5000000000".to_owned(),
            1 => "-5000000000".to_owned(),
            2 => "9223372036854775807".to_owned(),
            3 => "99999999999999999999".to_owned(),
            4 => format!("{value}.5"),
            5 => format!("{value}.0"),
            6 => literal(&format!("'{value}.5'::double precision"), "double precision"),
            7 => literal(&format!("'{value}'::double precision"), "double precision"),
            8 => literal(&format!("'{value}'::numeric"), "numeric"),
            9 if value.abs() < 30_000 => literal(&format!("'{value}'::smallint"), "smallint"),
            10..14 if value.abs() < 2_000_000_000 => {
                literal(&format!("'{value}'::integer"), "integer")
            }
            14..18 => literal(&format!("'{value}'::bigint"), "bigint"),
            18 => "2147483647".to_owned(),
            19 => "'NaN'::double precision".to_owned(),
            _ if value < 0 => format!("({value})"),
            _ => value.to_string(),
        }
    }

    fn number(&mut self, value: &str) -> String {
        if value.parse::<f64>().is_err() || self.percent(15) {
            return self.whole("");
        }
        match self.rng.u32(0..12) {
            0 => format!("'{value}'::real"),
            1 => literal(&format!("'{value}'::numeric"), "numeric"),
            2 => format!("({value} + 0.1)"),
            3 => self.pick(&["'Infinity'", "'-Infinity'", "'NaN'"]).to_owned() + "::float8",
            4 => "0.30000000000000004".to_owned(),
            5 => "1e300".to_owned(),
            6..9 => literal(&format!("'{value}'::double precision"), "double precision"),
            _ => format!("({value})"),
        }
    }
}

/// A string constant.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
