//! Makes a query on which the sides differ smaller, as long as they differ in the same way.

use crate::ast::{How, Item, Predicate, Query, Select};

/// Takes the first smaller query that still `differs`, again and again.
pub fn reduce(query: Query, mut differs: impl FnMut(&Query) -> bool) -> Query {
    let mut best = query;
    // A bound on the work; a query has no more parts than this.
    for _ in 0..300 {
        match candidates(&best).into_iter().find(|smaller| differs(smaller)) {
            Some(smaller) => best = smaller,
            None => break,
        }
    }
    best
}

/// The queries that are one step smaller.
pub fn candidates(query: &Query) -> Vec<Query> {
    let mut all = Vec::new();
    if query.how != How::Plain {
        all.push(Query { how: How::Plain, ..query.clone() });
    }
    if !query.settings.is_empty() {
        all.push(Query { settings: Vec::new(), ..query.clone() });
        all.extend(
            without_each(&query.settings)
                .into_iter()
                .map(|settings| Query { settings, ..query.clone() }),
        );
    }
    all.extend(selects(&query.select).into_iter().map(|select| Query { select, ..query.clone() }));
    all
}

fn without_each<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    let without = |i: usize| items[..i].iter().chain(&items[i + 1..]).cloned().collect();
    (0..items.len()).map(without).collect()
}

/// Each item replaced by each of its smaller versions.
fn each_smaller<T: Clone>(items: &[T], smaller: impl Fn(&T) -> Vec<T>) -> Vec<Vec<T>> {
    let mut all = Vec::new();
    for (i, item) in items.iter().enumerate() {
        for replacement in smaller(item) {
            let mut items = items.to_vec();
            items[i] = replacement;
            all.push(items);
        }
    }
    all
}

fn selects(s: &Select) -> Vec<Select> {
    let mut all = Vec::new();
    // Whole parts first, which makes the query small soonest.
    for (_, _, query) in &s.with {
        all.push(query.clone());
    }
    for source in &s.from {
        if let Item::Query(query) = &source.item {
            all.push((**query).clone());
        }
    }
    for (_, query) in &s.more {
        all.push(query.clone());
    }
    all.extend(without_each(&s.more).into_iter().map(|more| Select { more, ..s.clone() }));
    if s.filter.is_some() {
        all.push(Select { filter: None, ..s.clone() });
    }
    if s.having.is_some() {
        all.push(Select { having: None, ..s.clone() });
    }
    if s.distinct.is_some() {
        all.push(Select { distinct: None, ..s.clone() });
    }
    if s.offset.is_some() {
        all.push(Select { offset: None, ..s.clone() });
    }
    if s.limit.is_some() {
        all.push(Select { limit: None, ..s.clone() });
    }
    if s.limit.is_none() && s.offset.is_none() && !(s.order.is_empty() && s.tie.is_empty()) {
        all.push(Select { order: Vec::new(), tie: Vec::new(), ..s.clone() });
    }
    // What DISTINCT ON orders by stands for the choice of its row.
    if s.distinct.is_none() {
        all.extend(without_each(&s.order).into_iter().map(|order| Select { order, ..s.clone() }));
    }
    if s.from.len() > 1 {
        for from in without_each(&s.from) {
            if from[0].join.is_empty() {
                all.push(Select { from, ..s.clone() });
            }
        }
    }
    if s.columns.len() > 1 {
        let shorter = without_each(&s.columns);
        all.extend(shorter.into_iter().map(|columns| Select { columns, ..s.clone() }));
    }
    all.extend(without_each(&s.group).into_iter().map(|group| Select { group, ..s.clone() }));
    all.extend(without_each(&s.with).into_iter().map(|with| Select { with, ..s.clone() }));
    if let Some(filter) = &s.filter {
        let smaller = predicates(filter);
        all.extend(smaller.into_iter().map(|p| Select { filter: Some(p), ..s.clone() }));
    }
    if let Some(having) = &s.having {
        let smaller = predicates(having);
        all.extend(smaller.into_iter().map(|p| Select { having: Some(p), ..s.clone() }));
    }
    let with = each_smaller(&s.with, |(name, how, query)| {
        selects(query).into_iter().map(|query| (name.clone(), *how, query)).collect()
    });
    all.extend(with.into_iter().map(|with| Select { with, ..s.clone() }));
    let more = each_smaller(&s.more, |(operator, query)| {
        selects(query).into_iter().map(|query| (*operator, query)).collect()
    });
    all.extend(more.into_iter().map(|more| Select { more, ..s.clone() }));
    let from = each_smaller(&s.from, |source| {
        let mut smaller: Vec<crate::ast::Source> = match &source.item {
            Item::Table(_) => Vec::new(),
            Item::Query(query) => {
                selects(query).into_iter().map(|q| Item::Query(q.into())).collect()
            }
            Item::Lateral(query) => {
                selects(query).into_iter().map(|q| Item::Lateral(q.into())).collect()
            }
        }
        .into_iter()
        .map(|item| crate::ast::Source { item, ..source.clone() })
        .collect();
        if let Some(on) = &source.on {
            let on = predicates(on).into_iter();
            smaller.extend(on.map(|on| crate::ast::Source { on: Some(on), ..source.clone() }));
        }
        if source.join != "JOIN" && !source.join.is_empty() {
            smaller.push(crate::ast::Source { join: "JOIN", ..source.clone() });
        }
        smaller
    });
    all.extend(from.into_iter().map(|from| Select { from, ..s.clone() }));
    all
}

fn predicates(p: &Predicate) -> Vec<Predicate> {
    let boxed = |q: Vec<Predicate>, make: &dyn Fn(Box<Predicate>) -> Predicate| {
        q.into_iter().map(|p| make(Box::new(p))).collect::<Vec<_>>()
    };
    match p {
        Predicate::And(all) | Predicate::Or(all) => {
            let make = |all| match p {
                Predicate::And(_) => Predicate::And(all),
                _ => Predicate::Or(all),
            };
            let mut smaller = all.clone();
            if all.len() > 2 {
                smaller.extend(without_each(all).into_iter().map(make));
            }
            smaller.extend(each_smaller(all, predicates).into_iter().map(make));
            smaller
        }
        Predicate::Not(inner) => {
            let mut smaller = vec![(**inner).clone()];
            smaller.extend(boxed(predicates(inner), &Predicate::Not));
            smaller
        }
        Predicate::Test(inner, test) => {
            let mut smaller = vec![(**inner).clone()];
            smaller.extend(boxed(predicates(inner), &|p| Predicate::Test(p, test)));
            smaller
        }
        Predicate::Leaf(_) => Vec::new(),
        Predicate::List(before, items, after) => without_each(items)
            .into_iter()
            .filter(|items| !items.is_empty())
            .map(|items| Predicate::List(before.clone(), items, after.clone()))
            .collect(),
        Predicate::Query(before, query, after) => selects(query)
            .into_iter()
            .map(|q| Predicate::Query(before.clone(), Box::new(q), after.clone()))
            .collect(),
    }
}
