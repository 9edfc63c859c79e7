//! Expressions over columns. None can fail, since whether a failing one is evaluated for a row
//! is left to the planner.

use super::constants::quote;
use super::{Bound, Generator, Operand};
use crate::schema::Kind;

impl Generator<'_> {
    /// A column, or now and then an expression over it, of a type that has comparisons.
    pub(super) fn operand(&mut self, scope: &[Bound]) -> Operand {
        let column = self
            .column_where(scope, |kind| kind != Kind::Json)
            .expect("every table has columns that are no jsonb");
        if self.percent(78) { column } else { self.expression(column, scope) }
    }

    /// An expression over a column.
    pub(super) fn expression(&mut self, column: Operand, scope: &[Bound]) -> Operand {
        let c = &column.sql;
        let any = self.rng.u32(0..12);
        let (sql, kind) = match any {
            0 => (format!("{c}::text"), Kind::Text),
            1 => {
                let other = self.constant(&column);
                (format!("coalesce({c}, {other})"), column.kind)
            }
            2 => {
                let other = self.constant(&column);
                (format!("nullif({c}, {other})"), column.kind)
            }
            3 => {
                let other = self.constant(&column);
                (format!("CASE WHEN {c} IS NULL THEN {other} ELSE {c} END"), column.kind)
            }
            4 => {
                let kind = column.kind;
                match self.column_where(scope, |k| k == kind) {
                    Some(other) => (format!("greatest({c}, {})", other.sql), kind),
                    None => (c.clone(), kind),
                }
            }
            _ => return self.of_kind(column),
        };
        // PostgreSQL picks the common type of such a pair, which may be another one.
        let kind = match kind {
            Kind::Integer | Kind::Bigint if any < 5 => Kind::Double,
            kind => kind,
        };
        Operand { sql, kind, ..column }
    }

    fn of_kind(&mut self, column: Operand) -> Operand {
        let c = &column.sql;
        let n = self.rng.usize(0..12);
        let pick = |forms: &[(String, Kind)]| forms[n % forms.len()].clone();
        let (sql, kind) = match column.kind {
            Kind::Text => {
                let text = self.value(column.values);
                let head: String = text.chars().take(2).collect();
                pick(&[
                    (format!("lower({c})"), Kind::Text),
                    (format!("upper({c})"), Kind::Text),
                    (format!("({c} || 'x')"), Kind::Text),
                    (format!("left({c}, 3)"), Kind::Text),
                    (format!("{c}::varchar"), Kind::Text),
                    (format!("{c}::varchar(4)"), Kind::Text),
                    (format!("btrim({c})"), Kind::Text),
                    (format!("rtrim({c})"), Kind::Text),
                    (format!("substr({c}, 2)"), Kind::Text),
                    (format!("length({c})"), Kind::Integer),
                    (format!("position({} IN {c})", quote(&head)), Kind::Integer),
                    (format!("({c} COLLATE \"C\")"), Kind::Text),
                ])
            }
            Kind::Integer | Kind::Bigint | Kind::Double => pick(&[
                (format!("({c}::numeric + 1)"), Kind::Double),
                (format!("({c}::numeric * 2)"), Kind::Double),
                (format!("({c}::numeric % 7)"), Kind::Double),
                (format!("abs({c})"), column.kind),
                (format!("(- {c})"), column.kind),
                (format!("(+ {c})"), column.kind),
                (format!("{c}::numeric"), Kind::Double),
                (format!("{c}::double precision"), Kind::Double),
                (format!("({c} / 60)"), column.kind),
            ]),
            Kind::Instant | Kind::Local => pick(&[
                (format!("date_trunc('day', {c})"), column.kind),
                (format!("date_trunc('month', {c})"), column.kind),
                (format!("{c}::date"), Kind::Date),
                (format!("{c}::time"), Kind::Time),
                (format!("({c} + interval '1 day')"), column.kind),
                (format!("({c} - interval '1 microsecond')"), column.kind),
                (format!("extract(year FROM {c})"), Kind::Integer),
                (format!("extract(dow FROM {c})"), Kind::Integer),
                (format!("{c}::timestamp"), Kind::Local),
                (format!("{c}::timestamptz"), Kind::Instant),
                (format!("{c}::timestamptz(0)"), Kind::Instant),
                (format!("({c}::timestamptz AT TIME ZONE 'Europe/Berlin')"), Kind::Local),
            ]),
            Kind::Date => pick(&[
                (format!("({c} + 1)"), Kind::Date),
                (format!("{c}::timestamp"), Kind::Local),
                (format!("{c}::timestamptz"), Kind::Instant),
                (format!("extract(month FROM {c})"), Kind::Integer),
                (format!("date_trunc('month', {c})"), Kind::Instant),
            ]),
            Kind::Time => pick(&[
                (format!("({c} + interval '1 hour')"), Kind::Time),
                (format!("extract(hour FROM {c})"), Kind::Integer),
                (format!("{c}::time(0)"), Kind::Time),
            ]),
            Kind::Boolean => pick(&[
                (format!("(NOT {c})"), Kind::Boolean),
                (format!("({c} IS TRUE)"), Kind::Boolean),
                (format!("{c}::integer"), Kind::Integer),
            ]),
            Kind::Uuid => pick(&[
                (format!("upper({c}::text)"), Kind::Text),
                (format!("left({c}::text, 8)"), Kind::Text),
            ]),
            Kind::Json => pick(&[
                (format!("({c} IS NULL)"), Kind::Boolean),
                (format!("jsonb_typeof({c})"), Kind::Text),
            ]),
        };
        Operand { sql, kind, ..column }
    }

    /// An item of a select list: mostly a column.
    pub(super) fn output(&mut self, scope: &[Bound]) -> String {
        let column = self.column(scope);
        match self.percent(75) {
            true => column.sql,
            false => self.expression(column, scope).sql,
        }
    }

    /// An aggregate whose result does not depend on the order of the rows.
    pub(super) fn aggregate(&mut self, scope: &[Bound]) -> String {
        let column = self.operand(scope);
        let c = &column.sql;
        let number = self.column_where(scope, Kind::is_number);
        // Twice the same expression would have two parameters.
        let plain = !c.contains('\u{1}');
        let of_all = match self.rng.u32(0..9) {
            0 | 1 => "count(*)".to_owned(),
            2 => format!("count({c})"),
            3 => format!("count(DISTINCT {c})"),
            4 if !matches!(column.kind, Kind::Uuid | Kind::Boolean) => format!("min({c})"),
            5 if !matches!(column.kind, Kind::Uuid | Kind::Boolean) => format!("max({c})"),
            4 => format!("min({c}::text)"),
            5 => format!("max({c}::text)"),
            6 => match number {
                Some(n) => format!("sum({}::numeric)", n.sql),
                None => "count(*)".to_owned(),
            },
            7 => match number {
                Some(n) => format!("avg({}::numeric)", n.sql),
                None => "count(*)".to_owned(),
            },
            _ if !plain => format!("count({c})"),
            _ => format!("string_agg(DISTINCT {c}::text, ',' ORDER BY {c}::text)"),
        };
        if self.percent(15) {
            let condition = self.operand(scope);
            return format!("{of_all} FILTER (WHERE {} IS NOT NULL)", condition.sql);
        }
        of_all
    }
}
