//! Queries over queries: set operations, subqueries in `FROM`, and common table expressions.

use super::{Bound, Generator};
use crate::ast::{Item, Predicate, Select, Source};
use crate::schema::Kind;

impl Generator<'_> {
    /// Two queries over one table, which give the same columns.
    pub(super) fn set_operation(&mut self) -> Select {
        let (mut query, scope) = self.base();
        let first = scope[0].clone();
        let columns: Vec<String> = (0..2)
            .filter_map(|_| self.column_where(&scope, |kind| kind != Kind::Json).map(|c| c.sql))
            .collect();
        let second = self.bind(first.table);
        let renamed = |c: &String| c.replacen(&first.alias, &second.alias, 1);
        let mut other = Select {
            columns: columns.iter().map(renamed).collect(),
            from: vec![Self::first(&second, self.table(second.table).name)],
            ..Select::default()
        };
        let scope_of_other = [second];
        other.filter = Some(self.predicate(&scope_of_other, 2).and(self.key(&scope_of_other[0])));
        query.columns = columns;
        if self.percent(40) {
            self.total(&mut query, &scope);
            self.limit(&mut query);
        }
        let operators = ["UNION ALL", "UNION", "EXCEPT", "EXCEPT ALL", "INTERSECT"];
        // Order and limit belong to the first query, so it is a subquery of its own.
        let inner =
            Source { join: "", item: Item::Query(Box::new(query)), alias: "sub".into(), on: None };
        let more = vec![(self.pick(&operators), other)];
        Select { columns: vec!["*".into()], from: vec![inner], more, ..Select::default() }
    }

    /// Rows of a limited subquery, filtered again or counted.
    pub(super) fn over_subquery(&mut self) -> Select {
        let (mut query, scope) = self.base();
        query.columns = vec![format!("{}.*", scope[0].alias)];
        self.total(&mut query, &scope);
        self.limit(&mut query);
        let outer = self.bind(scope[0].table);
        let item = Item::Query(Box::new(query));
        let from = vec![Source { join: "", item, alias: outer.alias.clone(), on: None }];
        self.outer(from, outer)
    }

    fn outer(&mut self, from: Vec<Source>, outer: Bound) -> Select {
        let scope = [outer];
        let mut query = Select { from, ..Select::default() };
        if self.percent(60) {
            query.filter = Some(self.predicate(&scope, 2));
        }
        match self.percent(40) {
            true => self.aggregates(&mut query, &scope),
            false => query.columns = self.columns(&scope),
        }
        query
    }

    /// A common table expression that is read once or twice.
    pub(super) fn with_expression(&mut self) -> Select {
        let (mut query, scope) = self.base();
        query.columns = vec![format!("{}.*", scope[0].alias)];
        let outer = self.bind(scope[0].table);
        let mut from = vec![Self::first(&outer, "cte")];
        if self.percent(40) {
            let twin = self.bind(outer.table);
            let (left, right) = (self.unique(&outer), self.unique(&twin));
            let equal = left.iter().zip(&right).map(|(l, r)| Predicate::Leaf(format!("{l} = {r}")));
            let item = Item::Table("cte".into());
            let on = Some(Predicate::And(equal.collect()));
            from.push(Source { join: "LEFT JOIN", item, alias: twin.alias, on });
        }
        let mut select = self.outer(from, outer);
        let how = self.pick(&["", "MATERIALIZED", "NOT MATERIALIZED"]);
        select.with = vec![("cte".into(), how, query)];
        select
    }
}
