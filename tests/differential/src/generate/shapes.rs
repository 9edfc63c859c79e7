//! The shapes of queries: plain, ordered and limited, grouped, distinct, with windows, and joins.

use super::{Bound, Generator, Operand};
use crate::ast::{Predicate, Select, literal};
use crate::schema::Kind;

impl Generator<'_> {
    /// A query of any shape.
    pub(super) fn query(&mut self) -> Select {
        match self.rng.u32(0..100) {
            0..22 => self.plain(),
            22..44 => self.limited(),
            44..56 => self.grouped(),
            56..61 => self.distinct_rows(),
            61..66 => self.window(),
            66..81 => self.join(),
            81..86 => self.with_lateral(),
            86..90 => self.with_scalar(),
            90..94 => self.set_operation(),
            94..98 => self.over_subquery(),
            _ => self.with_expression(),
        }
    }

    /// A table with a condition, and with one on its key where it has any.
    pub(super) fn base(&mut self) -> (Select, Vec<Bound>) {
        let table = self.draw_table();
        let bound = self.bind(table);
        let from = vec![Self::first(&bound, self.table(table).name)];
        let scope = vec![bound];
        let mut filter = match self.percent(88) {
            true => Some(self.predicate(&scope, 3)),
            false => None,
        };
        if let Some(key) = self.key(&scope[0]) {
            filter = Some(key.and(filter));
        }
        (Select { from, filter, ..Select::default() }, scope)
    }

    pub(super) fn columns(&mut self, scope: &[Bound]) -> Vec<String> {
        if self.percent(8) {
            return vec![format!("{}.*", scope[0].alias)];
        }
        (0..self.rng.usize(1..=4)).map(|_| self.output(scope)).collect()
    }

    fn plain(&mut self) -> Select {
        let (mut query, scope) = self.base();
        query.columns = self.columns(&scope);
        if self.percent(4) {
            // The only condition, so that both sides come to divide by zero or neither does.
            let number = self.column_where(&scope, Kind::is_number);
            if let (Some(n), None) = (number, &self.table(scope[0].table).parent) {
                let of = self.value(n.values);
                let by = if of.is_empty() { "0" } else { &of };
                query.filter =
                    Some(Predicate::Leaf(format!("10 / ({}::numeric - ({by})) > 0", n.sql)));
            }
        }
        query
    }

    /// Up to three columns to order by, before the tie-break.
    pub(super) fn order(&mut self, query: &mut Select, scope: &[Bound]) {
        for _ in 0..self.rng.usize(0..=3) {
            let mut operand = self.operand(scope);
            // A column with a value of its own in each row leaves nothing to those after it.
            if self.distinct_values(&operand) > 40 && self.percent(70) {
                operand = self.operand(scope);
            }
            let direction = self.pick(&["", "", " ASC", " DESC", " DESC"]);
            let nulls = self.pick(&["", "", " NULLS FIRST", " NULLS LAST"]);
            query.order.push(format!("{}{direction}{nulls}", operand.sql));
        }
    }

    fn distinct_values(&self, operand: &Operand) -> usize {
        let (table, column) = operand.values;
        self.table(table).columns[column].values.len()
    }

    pub(super) fn total(&mut self, query: &mut Select, scope: &[Bound]) {
        self.order(query, scope);
        let descending = self.percent(20);
        for column in scope.iter().flat_map(|bound| self.unique(bound)) {
            query.tie.push(if descending { format!("{column} DESC") } else { column });
        }
    }

    /// `LIMIT` and `OFFSET` in their several notations; the order must be total.
    pub(super) fn limit(&mut self, query: &mut Select) {
        let count = self.pick(&[0, 1, 1, 2, 3, 5, 10, 10, 25, 100, 199, 200, 201, 5000]);
        let skip = self.pick(&[0, 1, 2, 7, 50, 199, 200, 250, 100_000]);
        let number = |n: i32, g: &mut Self| match g.percent(50) {
            true => literal(&n.to_string(), "bigint"),
            false => n.to_string(),
        };
        query.limit = match self.rng.u32(0..20) {
            0 | 1 => None,
            2 => Some("NULL".into()),
            3 => Some("ALL".into()),
            4 => Some(format!("FETCH FIRST {count} ROWS ONLY")),
            5 => Some(format!("({count} + 1)")),
            6 => Some(literal("NULL::bigint", "bigint")),
            _ => Some(number(count, self)),
        };
        if self.percent(40) || query.limit.is_none() {
            query.offset = Some(match self.percent(5) {
                true => "NULL".into(),
                false => number(skip, self),
            });
        }
        if self.percent(2) {
            query.limit = Some(literal("'-1'::bigint", "bigint"));
        }
    }

    fn limited(&mut self) -> Select {
        let (mut query, scope) = self.base();
        query.columns = self.columns(&scope);
        self.order(&mut query, &scope);
        if !query.order.is_empty() && self.percent(10) {
            // All that tie with the last come too, so that the set is determined.
            let count = self.pick(&[0, 1, 3, 10, 200]);
            query.limit = Some(format!("FETCH FIRST {count} ROWS WITH TIES"));
            return query;
        }
        query.order.clear();
        self.total(&mut query, &scope);
        self.limit(&mut query);
        query
    }

    pub(super) fn aggregates(&mut self, query: &mut Select, scope: &[Bound]) {
        for _ in 0..self.rng.usize(0..=2) {
            let operand = match self.percent(75) {
                true => self.column_where(scope, |kind| kind != Kind::Json),
                false => Some(self.operand(scope)),
            };
            query.group.extend(operand.map(|o| o.sql).filter(|sql| !sql.contains('\u{1}')));
        }
        query.columns = query.group.clone();
        for _ in 0..self.rng.usize(1..=3) {
            query.columns.push(self.aggregate(scope));
        }
        if self.percent(20) {
            let count = self.rng.u32(0..6);
            let operator = self.pick(&["<", ">", ">="]);
            query.having = Some(Predicate::Leaf(format!("count(*) {operator} {count}")));
        }
        if !query.group.is_empty() && self.percent(40) {
            if self.percent(40) {
                query.order.push("count(*) DESC".into());
            }
            query.tie = query.group.clone();
            self.limit(query);
        }
    }

    fn grouped(&mut self) -> Select {
        let (mut query, scope) = self.base();
        match self.percent(35) {
            true => query.columns = vec!["count(*)".into()],
            false => self.aggregates(&mut query, &scope),
        }
        query
    }

    fn distinct_rows(&mut self) -> Select {
        let (mut query, scope) = self.base();
        let of = self.operand(&scope).sql;
        if of.contains('\u{1}') || self.percent(50) {
            query.distinct = Some("DISTINCT".into());
            query.columns = (0..self.rng.usize(1..=2)).map(|_| self.column(&scope).sql).collect();
            if self.percent(50) {
                query.tie = query.columns.clone();
                self.limit(&mut query);
            }
        } else {
            query.distinct = Some(format!("DISTINCT ON ({of})"));
            query.columns = self.columns(&scope);
            query.columns.push(of.clone());
            query.order = vec![of];
            query.tie = self.unique(&scope[0]);
        }
        query
    }

    fn window(&mut self) -> Select {
        let (mut query, scope) = self.base();
        query.columns = self.columns(&scope);
        let (by, of) = (self.operand(&scope).sql, self.operand(&scope).sql);
        let unique = self.unique(&scope[0]).join(", ");
        let over = format!("OVER (PARTITION BY {by} ORDER BY {of}, {unique})");
        let number = self.column_where(&scope, Kind::is_number).map(|n| n.sql);
        query.columns.push(match (self.rng.u32(0..5), number) {
            (0, _) => format!("row_number() {over}"),
            (1, _) => format!("rank() OVER (ORDER BY {of})"),
            (2, _) => format!("lag({of}) {over}"),
            (3, Some(n)) => format!("sum({n}::numeric) {over}"),
            _ => format!("count(*) OVER (PARTITION BY {by})"),
        });
        if self.percent(40) {
            self.total(&mut query, &scope);
            self.limit(&mut query);
        }
        query
    }

    fn join(&mut self) -> Select {
        let tables = if self.percent(70) { 2 } else { 3 };
        let (from, scope) = self.joined(tables);
        let mut query = Select { from, ..Select::default() };
        if self.percent(75) {
            query.filter = Some(self.predicate(&scope, 2));
        }
        match self.rng.u32(0..10) {
            0..4 => query.columns = self.columns(&scope),
            4..8 => {
                query.columns = self.columns(&scope);
                self.total(&mut query, &scope);
                self.limit(&mut query);
            }
            8 => query.columns = vec!["count(*)".into()],
            _ => self.aggregates(&mut query, &scope),
        }
        query
    }

    fn with_lateral(&mut self) -> Select {
        let (mut query, mut scope) = self.base();
        let Some((source, bound)) = self.lateral(&scope[0].clone()) else { return self.limited() };
        query.from.push(source);
        if let Some(few) = self.few(&scope[0].clone()) {
            query.filter = Some(few.and(query.filter.take()));
        }
        scope.push(bound);
        query.columns = self.columns(&scope);
        if self.percent(50) {
            self.total(&mut query, &scope);
            self.limit(&mut query);
        }
        query
    }

    fn with_scalar(&mut self) -> Select {
        let (mut query, scope) = self.base();
        query.columns = self.columns(&scope);
        query.columns.extend(self.scalar(&scope));
        if let Some(few) = self.few(&scope[0].clone()) {
            query.filter = Some(few.and(query.filter.take()));
        }
        if self.percent(40) {
            self.total(&mut query, &scope);
            self.limit(&mut query);
        }
        query
    }
}
