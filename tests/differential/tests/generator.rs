//! The generator and the reduction by themselves, without a cluster.

use std::collections::HashSet;

use awork_api::catalogue::Catalogue;
use differential::ast::{How, inline, literal, parameterize};
use differential::compare::{Difference, Outcome, difference};
use differential::reduce::{candidates, reduce};
use differential::schema::Schema;
use differential::{generate, modes, render};

fn schema() -> Schema {
    Schema::from_catalogue(Catalogue::bundled())
}

#[test]
fn a_seed_and_an_index_decide_the_query() {
    let schema = schema();
    let mut texts = HashSet::new();
    for index in 0..500 {
        let text = render::script(&generate::query(&schema, 1, index));
        assert_eq!(text, render::script(&generate::query(&schema, 1, index)), "query {index}");
        assert!(!text.contains('\u{1}'), "query {index}");
        texts.insert(text);
    }
    assert_eq!(texts.len(), 500, "queries come twice");
    let other = render::script(&generate::query(&schema, 2, 0));
    assert_ne!(other, render::script(&generate::query(&schema, 1, 0)));
}

#[test]
fn a_limit_is_over_a_total_order() {
    let schema = schema();
    for index in 0..2000 {
        let query = generate::query(&schema, 3, index).select;
        let ties = query.limit.as_ref().is_some_and(|limit| limit.ends_with("WITH TIES"));
        let limited = query.offset.is_some() || query.limit.is_some() && !ties;
        assert!(!limited || query.is_ordered(), "query {index}: {}", render::select(&query));
        for smaller in candidates(&generate::query(&schema, 3, index)) {
            let s = smaller.select;
            let ties = s.limit.as_ref().is_some_and(|limit| limit.ends_with("WITH TIES"));
            assert!(s.offset.is_none() || s.is_ordered(), "query {index}: {}", render::select(&s));
            assert!(ties || s.limit.is_none() || s.is_ordered(), "query {index}");
        }
    }
}

#[test]
fn a_reduction_keeps_what_matters() {
    let schema = schema();
    let mut reduced = 0;
    for index in 0..300 {
        let query = generate::query(&schema, 4, index);
        if !render::script(&query).contains(" IN (") {
            continue;
        }
        let small = reduce(query, |q| render::script(q).contains(" IN ("));
        assert_eq!(small.how, How::Plain);
        assert!(small.settings.is_empty());
        assert!(render::script(&small).contains(" IN ("));
        reduced += 1;
    }
    assert!(reduced > 20, "{reduced} queries with a list");
}

#[test]
fn literals_are_parameters_or_in_place() {
    let text = format!("a = {} AND b < {}", literal("'x'::text", "text"), literal("5", "bigint"));
    assert_eq!(inline(&text), "a = 'x'::text AND b < 5");
    let (sql, parameters) = parameterize(&text);
    assert_eq!(sql, "a = $1 AND b < $2");
    assert_eq!(
        parameters,
        [("text".to_owned(), "'x'::text".to_owned()), ("bigint".to_owned(), "5".to_owned())]
    );
}

#[test]
fn the_same_error_is_no_difference() {
    let error = |code: &str| Outcome::Error(code.into(), "for some reason".into());
    let rows = Outcome::Rows(vec![vec![vec![None]]]);
    assert_eq!(difference(&error("22012"), &error("22012")), None);
    assert_eq!(difference(&error("22012"), &error("22003")), Some(Difference::Errors));
    assert_eq!(difference(&error("HV00M"), &rows), Some(Difference::RemoteError));
    assert_eq!(difference(&rows, &error("22012")), Some(Difference::LocalError));
    assert_eq!(difference(&rows, &Outcome::Rows(vec![Vec::new()])), Some(Difference::Rows));
}

#[test]
fn modes_have_names_of_their_own() {
    let modes = modes::modes();
    let names: HashSet<&str> = modes.iter().map(|mode| mode.name.as_str()).collect();
    assert_eq!(names.len(), modes.len());
}
