//! Joins along references, and subqueries that stand for joins: `EXISTS`, `IN`, `NOT IN`, and
//! values of correlated subqueries.

use super::{Bound, Generator, Operand};
use crate::ast::{Item, Predicate, Select, Source};
use crate::schema::{Edge, Kind};

impl Generator<'_> {
    /// The first table of a query.
    pub(super) fn first(bound: &Bound, name: &str) -> Source {
        Source { join: "", item: Item::Table(name.into()), alias: bound.alias.clone(), on: None }
    }

    /// A condition on the key of a list per parent, which it cannot be read without or which
    /// tells its rows apart from those of other parents; for other tables none.
    pub(super) fn key(&mut self, bound: &Bound) -> Option<Predicate> {
        let table = self.table(bound.table);
        let parent = table.parent.as_ref()?;
        if self.percent(8) {
            return None;
        }
        let column = table.columns.iter().position(|c| c.name == parent.column)?;
        let values = (bound.table, column);
        let c = format!("{}.\"{}\"", bound.alias, parent.column);
        let count = self.rng.usize(1..=4);
        let mut ids: Vec<String> =
            (0..count).map(|_| format!("'{}'::uuid", self.value(values))).collect();
        if self.percent(25) {
            return Some(Predicate::Leaf(format!("{c} = {}", ids.remove(0))));
        }
        if self.percent(20) {
            ids.push("'11111111-2222-4333-8444-555555555555'::uuid".into());
        }
        Some(Predicate::List(format!("{c} IN ("), ids, ")".into()))
    }

    /// A condition that leaves few rows, for what asks once per row; none where they are few.
    pub(super) fn few(&mut self, bound: &Bound) -> Option<Predicate> {
        let column = self.table(bound.table).columns.iter().position(|c| c.name == "id")?;
        let id = self.reference(bound, column);
        if self.table(bound.table).columns[column].values.len() < 50 {
            return None;
        }
        let count = self.rng.usize(2..=6);
        let ids = (0..count).map(|_| format!("'{}'", self.value(id.values))).collect();
        Some(Predicate::List(format!("{} IN (", id.sql), ids, ")".into()))
    }

    /// A reference from or to the table, if it has any.
    fn edge(&mut self, table: usize) -> Option<Edge> {
        let edges: Vec<Edge> =
            self.schema.edges.iter().filter(|e| e.left.0 == table).copied().collect();
        (!edges.is_empty()).then(|| self.pick(&edges))
    }

    /// Tables joined along references: the items of `FROM` and what is in scope after them.
    pub(super) fn joined(&mut self, tables: usize) -> (Vec<Source>, Vec<Bound>) {
        let start = loop {
            let table = self.draw_table();
            if self.table(table).parent.is_none() && self.edge(table).is_some() {
                break table;
            }
        };
        let first = self.bind(start);
        let mut from = vec![Self::first(&first, self.table(start).name)];
        let mut scope = vec![first];
        while scope.len() < tables {
            let left = scope[self.rng.usize(0..scope.len())].clone();
            let Some(edge) = self.edge(left.table) else { continue };
            let right = self.bind(edge.right.0);
            let mut on = self.equal(&left, &right, edge);
            let joins =
                ["JOIN", "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"];
            let join = self.pick(&joins);
            // A full join needs a condition that can be merged or hashed.
            if join != "FULL JOIN" && self.percent(25) {
                let more = self.predicate(std::slice::from_ref(&right), 1);
                on = on.and(Some(more));
            }
            let item = match self.percent(15) {
                true => Item::Query(Box::new(self.reading(&right))),
                false => Item::Table(self.table(right.table).name.into()),
            };
            from.push(Source { join, item, alias: right.alias.clone(), on: Some(on) });
            scope.push(right);
        }
        (from, scope)
    }

    /// A subquery that gives a table's own rows, some of them left out.
    fn reading(&mut self, bound: &Bound) -> Select {
        let inner = self.bind(bound.table);
        let filter = self.predicate(std::slice::from_ref(&inner), 1).and(self.key(&inner));
        Select {
            columns: vec![format!("{}.*", inner.alias)],
            from: vec![Self::first(&inner, self.table(bound.table).name)],
            filter: Some(filter),
            ..Select::default()
        }
    }

    fn equal(&self, left: &Bound, right: &Bound, edge: Edge) -> Predicate {
        let (a, b) = (self.reference(left, edge.left.1), self.reference(right, edge.right.1));
        Predicate::Leaf(format!("{} = {}", a.sql, b.sql))
    }

    /// A subquery over a table that a reference leads to, tied to the outer row.
    fn correlated(&mut self, outer: &Bound) -> Option<(Bound, Select)> {
        let edge = self.edge(outer.table)?;
        let inner = self.bind(edge.right.0);
        let mut filter = self.equal(outer, &inner, edge);
        if self.percent(50) {
            filter = filter.and(Some(self.predicate(std::slice::from_ref(&inner), 1)));
        }
        let from = vec![Self::first(&inner, self.table(inner.table).name)];
        Some((inner, Select { from, filter: Some(filter), ..Select::default() }))
    }

    /// A lateral subquery with the first few rows of what a reference leads to.
    pub(super) fn lateral(&mut self, outer: &Bound) -> Option<(Source, Bound)> {
        let (inner, mut query) = self.correlated(outer)?;
        query.columns = vec![format!("{}.*", inner.alias)];
        self.order(&mut query, std::slice::from_ref(&inner));
        query.tie = self.unique(&inner);
        query.limit = Some(self.rng.u32(1..4).to_string());
        let bound = self.bind(inner.table);
        let join = self.pick(&["CROSS JOIN", "LEFT JOIN", "JOIN"]);
        let item = Item::Lateral(Box::new(query));
        Some((Source { join, item, alias: bound.alias.clone(), on: None }, bound))
    }

    /// The value of a correlated subquery.
    pub(super) fn scalar(&mut self, scope: &[Bound]) -> Option<String> {
        let outer = scope[self.rng.usize(0..scope.len())].clone();
        let (inner, mut query) = self.correlated(&outer)?;
        match self.percent(60) {
            true => query.columns = vec![self.aggregate(std::slice::from_ref(&inner))],
            false => {
                query.columns = vec![self.output(std::slice::from_ref(&inner))];
                query.tie = self.unique(&inner);
                query.limit = Some("1".into());
            }
        }
        Some(format!("({})", crate::render::select(&query)))
    }

    /// A condition with a subquery.
    pub(super) fn subquery(&mut self, scope: &[Bound]) -> Predicate {
        let outer = scope[self.rng.usize(0..scope.len())].clone();
        if self.depth > 0 {
            let column = self.column(scope);
            return Predicate::Leaf(format!("{} IS NOT NULL", column.sql));
        }
        self.depth += 1;
        let predicate = self.subquery_over(&outer, scope);
        self.depth -= 1;
        predicate
    }

    fn subquery_over(&mut self, outer: &Bound, scope: &[Bound]) -> Predicate {
        let choice = self.rng.u32(0..8);
        if choice < 3
            && let Some((_, mut query)) = self.correlated(outer)
        {
            query.columns = vec!["1".into()];
            let word = self.pick(&["EXISTS ", "NOT EXISTS "]);
            return Predicate::Query(word.into(), Box::new(query), String::new());
        }
        if choice < 6
            && let Some(edge) = self.edge(outer.table)
        {
            let inner = self.bind(edge.right.0);
            let mut query = self.reading(&inner);
            let alias = query.from[0].alias.clone();
            let right = self.reference(&Bound { alias: alias.clone(), ..inner }, edge.right.1);
            query.columns = vec![right.sql];
            if self.percent(25) {
                query.tie = self.unique(&Bound { alias, table: edge.right.0 });
                query.limit = Some(self.rng.u32(0..8).to_string());
            }
            let left = self.reference(outer, edge.left.1).sql;
            let word = self.pick(&["IN", "IN", "NOT IN", "= ANY", "<> ALL"]);
            return Predicate::Query(format!("{left} {word} "), Box::new(query), String::new());
        }
        let left = self.operand(scope);
        self.extreme(outer, left)
    }

    /// A comparison with the largest or smallest value, or with all values, of a column.
    fn extreme(&mut self, outer: &Bound, left: Operand) -> Predicate {
        let inner = self.bind(outer.table);
        let mut query = self.reading(&inner);
        let alias = query.from[0].alias.clone();
        let scope = [Bound { alias, table: inner.table }];
        let kind = left.kind;
        let right = self.column_where(&scope, |k| kind.compares_with(k));
        let (operator, Some(right)) = (self.pick(&["=", "<", ">=", "<>"]), right) else {
            return Predicate::Leaf(format!("{} IS NOT NULL", left.sql));
        };
        let ordered = !matches!(right.kind, Kind::Uuid | Kind::Boolean);
        let word = match self.rng.u32(0..3) {
            0 if ordered => {
                query.columns = vec![format!("min({})", right.sql)];
                ""
            }
            1 if ordered => {
                query.columns = vec![format!("max({})", right.sql)];
                ""
            }
            2 => {
                query.columns = vec![right.sql];
                "ALL "
            }
            _ => {
                query.columns = vec![right.sql];
                "ANY "
            }
        };
        Predicate::Query(format!("{} {operator} {word}", left.sql), Box::new(query), String::new())
    }
}
