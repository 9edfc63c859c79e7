//! Writes a query as SQL. Tables have no schema: the search path of the session decides.

use crate::ast::{How, Item, Predicate, Query, Select, inline, parameterize};

/// The statements that set up the session and run the query, for one round trip.
pub fn script(query: &Query) -> String {
    let mut script = settings(query);
    let text = select(&query.select);
    match query.how {
        How::Plain => script.push_str(&inline(&text)),
        How::Prepared(times) => {
            let (text, parameters) = parameterize(&text);
            let (types, values): (Vec<String>, Vec<String>) = parameters.into_iter().unzip();
            let list = |items: &[String]| match items {
                [] => String::new(),
                items => format!("({})", items.join(", ")),
            };
            script.push_str(&format!("PREPARE q{} AS {text}", list(&types)));
            for _ in 0..times {
                script.push_str(&format!(";\nEXECUTE q{}", list(&values)));
            }
        }
        How::Cursor => script.push_str(&format!(
            "DECLARE c CURSOR FOR {};\nFETCH 3 FROM c;\nFETCH 5 FROM c;\nFETCH ALL FROM c;\nCLOSE c",
            inline(&text)
        )),
    }
    script
}

/// The statements that show the plan.
pub fn explain(query: &Query) -> String {
    let text = select(&query.select);
    match query.how {
        How::Prepared(_) => {
            script(query).replacen("EXECUTE q", "EXPLAIN (VERBOSE, COSTS OFF) EXECUTE q", 1)
        }
        _ => format!("{}EXPLAIN (VERBOSE, COSTS OFF) {}", settings(query), inline(&text)),
    }
}

fn settings(query: &Query) -> String {
    let mut script = String::from("DEALLOCATE ALL;\n");
    if let How::Prepared(_) = query.how {
        script.push_str("SET LOCAL plan_cache_mode = force_generic_plan;\n");
    }
    for (name, value) in &query.settings {
        script.push_str(&format!("SET LOCAL {name} = '{value}';\n"));
    }
    script
}

/// A `SELECT` with its literals marked.
pub fn select(select: &Select) -> String {
    let mut sql = String::new();
    if !select.with.is_empty() {
        let all: Vec<String> = select
            .with
            .iter()
            .map(|(name, how, query)| format!("{name} AS {how} ({})", self::select(query)))
            .collect();
        sql.push_str(&format!("WITH {} ", all.join(", ")));
    }
    if select.more.is_empty() {
        sql.push_str(&core(select));
    } else {
        sql.push_str(&format!("({})", core(select)));
        for (operator, query) in &select.more {
            sql.push_str(&format!(" {operator} ({})", self::select(query)));
        }
        return sql;
    }
    let order: Vec<&str> = select.order.iter().chain(&select.tie).map(String::as_str).collect();
    if !order.is_empty() {
        sql.push_str(&format!(" ORDER BY {}", order.join(", ")));
    }
    if let Some(offset) = &select.offset {
        sql.push_str(&format!(" OFFSET {offset}"));
    }
    match &select.limit {
        Some(limit) if limit.starts_with("FETCH") => sql.push_str(&format!(" {limit}")),
        Some(limit) => sql.push_str(&format!(" LIMIT {limit}")),
        None => {}
    }
    sql
}

fn core(select: &Select) -> String {
    let distinct = select.distinct.as_ref().map(|d| format!("{d} ")).unwrap_or_default();
    let mut sql = format!("SELECT {distinct}{}", select.columns.join(", "));
    for (i, source) in select.from.iter().enumerate() {
        sql.push_str(if i == 0 { " FROM " } else { " " });
        if i > 0 {
            sql.push_str(&format!("{} ", source.join));
        }
        match &source.item {
            Item::Table(name) => sql.push_str(name),
            Item::Query(query) => sql.push_str(&format!("({})", self::select(query))),
            Item::Lateral(query) => sql.push_str(&format!("LATERAL ({})", self::select(query))),
        }
        sql.push_str(&format!(" AS {}", source.alias));
        if let Some(on) = &source.on {
            sql.push_str(&format!(" ON {}", predicate(on)));
        } else if i > 0 && !source.join.starts_with("CROSS") {
            sql.push_str(" ON true");
        }
    }
    if let Some(filter) = &select.filter {
        sql.push_str(&format!(" WHERE {}", predicate(filter)));
    }
    if !select.group.is_empty() {
        sql.push_str(&format!(" GROUP BY {}", select.group.join(", ")));
    }
    if let Some(having) = &select.having {
        sql.push_str(&format!(" HAVING {}", predicate(having)));
    }
    sql
}

fn predicate(p: &Predicate) -> String {
    let joined = |all: &[Predicate], word: &str| {
        let all: Vec<String> = all.iter().map(predicate).collect();
        format!("({})", all.join(word))
    };
    match p {
        Predicate::And(all) => joined(all, " AND "),
        Predicate::Or(all) => joined(all, " OR "),
        Predicate::Not(inner) => format!("NOT ({})", predicate(inner)),
        Predicate::Test(inner, test) => format!("(({}) {test})", predicate(inner)),
        Predicate::Leaf(text) => text.clone(),
        Predicate::List(before, items, after) => format!("{before}{}{after}", items.join(", ")),
        Predicate::Query(before, query, after) => format!("{before}({}){after}", select(query)),
    }
}
