//! Decides whether a row satisfies a condition. Null satisfies no comparison but `ne`, and a
//! `not` turns that around, since the server adds its null checks to each comparison. Told to
//! exclude nulls, it follows SQL's logic of three values instead.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::Habits;
use super::check::{Predicate, Term};
use super::node::{Cell, Node};
use super::parse::{Literal, Operator};
use crate::data::world::World;

/// Whether the row satisfies the condition.
pub(crate) fn holds(world: &World, node: &Node<'_>, predicate: &Predicate, habits: Habits) -> bool {
    truth(world, node, predicate, habits) == Some(true)
}

/// Whether the condition is true of the row; none where it cannot be said, as in SQL's logic.
fn truth(world: &World, node: &Node<'_>, predicate: &Predicate, habits: Habits) -> Option<bool> {
    match predicate {
        Predicate::Or(parts) => any(parts.iter().map(|part| truth(world, node, part, habits))),
        Predicate::And(parts) => {
            let denied = parts.iter().map(|part| Some(!truth(world, node, part, habits)?));
            any(denied).map(|denied| !denied)
        }
        Predicate::Not(inner) => truth(world, node, inner, habits).map(|truth| !truth),
        Predicate::Compare(operator, left, right) => {
            let to_null = is_null(left) || is_null(right);
            let left = value(world, node, left, habits);
            let right = value(world, node, right, habits);
            if habits.ne_excludes_null && !to_null && unknown(&left, &right) {
                return None;
            }
            Some(compares(*operator, &left, &right, habits))
        }
        Predicate::In(left, items) => {
            let left = value(world, node, left, habits);
            any(items.iter().map(|item| {
                let item = constant(item);
                let known = !habits.ne_excludes_null || !unknown(&left, &item);
                known.then(|| compares(Operator::Eq, &left, &item, habits))
            }))
        }
        Predicate::Truth(term) => match value(world, node, term, habits) {
            Cell::Null if habits.ne_excludes_null => None,
            cell => Some(cell == Cell::Boolean(true)),
        },
    }
}

/// Whether one of them is true; none where that hangs on one that cannot be said.
fn any(truths: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut found = Some(false);
    for truth in truths {
        match truth {
            Some(true) => return truth,
            Some(false) => {}
            None => found = None,
        }
    }
    found
}

/// Whether the term is the word `null`, which asks for presence rather than for a value.
fn is_null(term: &Term) -> bool {
    matches!(term, Term::Constant(Literal::Null))
}

fn unknown(left: &Cell<'_>, right: &Cell<'_>) -> bool {
    *left == Cell::Null || *right == Cell::Null
}

fn compares(operator: Operator, left: &Cell<'_>, right: &Cell<'_>, habits: Habits) -> bool {
    let negative = operator == Operator::Ne;
    match (left == &Cell::Null, right == &Cell::Null) {
        (true, true) => return operator == Operator::Eq,
        (true, false) | (false, true) => return negative,
        _ => {}
    }
    let Some(order) = ordering(left, right, habits) else {
        return negative;
    };
    match operator {
        Operator::Eq => order.is_eq(),
        Operator::Ne => order.is_ne(),
        Operator::Gt => order.is_gt(),
        Operator::Ge => order.is_ge(),
        Operator::Lt => order.is_lt(),
        Operator::Le => order.is_le(),
    }
}

fn ordering(left: &Cell<'_>, right: &Cell<'_>, habits: Habits) -> Option<Ordering> {
    Some(match (left, right) {
        (Cell::Boolean(a), Cell::Boolean(b)) => a.cmp(b),
        (Cell::Whole(a), Cell::Whole(b)) => a.cmp(b),
        (Cell::Whole(a), Cell::Number(b)) => (*a as f64).partial_cmp(b)?,
        (Cell::Number(a), Cell::Whole(b)) => a.partial_cmp(&(*b as f64))?,
        (Cell::Number(a), Cell::Number(b)) => a.partial_cmp(b)?,
        (Cell::Guid(a), Cell::Guid(b)) => a.cmp(b),
        (Cell::At(a), Cell::At(b)) => a.cmp(b),
        (Cell::Text(a), Cell::Text(b)) => texts(a, b, habits),
        _ => return None,
    })
}

/// The collation: without regard to case it also ignores blanks at the end.
fn texts(a: &str, b: &str, habits: Habits) -> Ordering {
    if habits.case_sensitive {
        return a.cmp(b);
    }
    fold(a.trim_end_matches(' ')).cmp(fold(b.trim_end_matches(' ')))
}

/// A text such that folded ones compare as the collation compares the originals.
pub(crate) fn folded(text: &str) -> String {
    fold(text.trim_end_matches(' ')).collect()
}

fn fold(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

fn constant(literal: &Literal) -> Cell<'_> {
    match literal {
        Literal::Null => Cell::Null,
        Literal::Boolean(value) => Cell::Boolean(*value),
        Literal::Whole(value) => Cell::Whole(*value),
        Literal::Number(value) => Cell::Number(*value),
        Literal::Text(value) => Cell::Text(Cow::Borrowed(value)),
        Literal::Guid(value) => Cell::Guid(*value),
        Literal::At(value) => Cell::At(*value),
    }
}

fn value<'a>(world: &'a World, node: &Node<'a>, term: &'a Term, habits: Habits) -> Cell<'a> {
    let found = |a: &'a Term, b: &'a Term, test: fn(&str, &str) -> bool| {
        let (a, b) = (value(world, node, a, habits), value(world, node, b, habits));
        match (a, b) {
            (Cell::Text(a), Cell::Text(b)) if habits.case_sensitive => Cell::Boolean(test(&a, &b)),
            (Cell::Text(a), Cell::Text(b)) => {
                Cell::Boolean(test(&a.to_lowercase(), &b.to_lowercase()))
            }
            // The server's null check makes it false; in SQL it cannot be said.
            _ if habits.ne_excludes_null => Cell::Null,
            _ => Cell::Boolean(false),
        }
    };
    match term {
        Term::Constant(literal) => constant(literal),
        Term::Property(path) => node.cell(world, path),
        Term::Over { path, count, each } => {
            let items = node.items(world, path).into_iter();
            let matching = items
                .filter(|item| each.as_deref().is_none_or(|each| holds(world, item, each, habits)));
            match (count, matching.count()) {
                (true, number) => Cell::Whole(number as i64),
                (false, number) => Cell::Boolean(number > 0),
            }
        }
        Term::StartsWith(a, b) => found(a, b, |a, b| a.starts_with(b)),
        Term::EndsWith(a, b) => found(a, b, |a, b| a.ends_with(b)),
        Term::SubstringOf(a, b) => found(a, b, |a, b| b.contains(a)),
        Term::ToLower(a) => match value(world, node, a, habits) {
            Cell::Text(text) => Cell::Text(text.to_lowercase().into()),
            other => other,
        },
    }
}
