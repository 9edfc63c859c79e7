//! Reads `orderby` and compares rows by it, as SQL Server would: nulls count as least, guids
//! have an order of their own, texts follow the collation.

use std::cmp::Ordering;

use awork_api::catalogue::Catalogue;

use super::check::{Path, check_path};
use super::eval::folded;
use super::node::Cell;
use super::{Habits, Refusal, Refused};
use crate::data::guid;

/// Keys, and whether each descends.
#[derive(Debug, Clone)]
pub(crate) struct Order(pub(crate) Vec<(Path, bool)>);

impl Order {
    /// Reads `a asc,b/c desc,d` on rows of `model`.
    pub(crate) fn parse(
        catalogue: &Catalogue,
        model: &str,
        text: &str,
        refused: &Refused,
    ) -> Result<Order, Refusal> {
        let mut keys = Vec::new();
        for key in text.split(',') {
            let (path, direction) = key.split_once(' ').unwrap_or((key, "asc"));
            let descends = match direction {
                "asc" => false,
                "desc" => true,
                _ => return Refusal::new(format!("\"{direction}\" is no direction")),
            };
            let names: Vec<String> = path.split('/').map(str::to_owned).collect();
            if names.iter().any(|name| name.is_empty()) {
                return Refusal::new("a key is empty");
            }
            keys.push((names, descends));
        }
        refused.allow_order(&keys)?;
        let checked = keys.iter().map(|(names, descends)| {
            Ok((check_path(catalogue, model, names, refused)?, *descends))
        });
        checked.collect::<Result<_, _>>().map(Order)
    }
}

/// A value as rows are compared by it. Texts are folded here, once for each row rather than
/// for each comparison.
pub(crate) fn key(cell: Cell<'_>, habits: Habits) -> Cell<'_> {
    match cell {
        Cell::Text(text) if !habits.case_sensitive => Cell::Text(folded(&text).into()),
        Cell::Guid(id) => Cell::Guid(guid::server_order(id)),
        cell => cell,
    }
}

/// Compares two rows' values of the order's keys.
pub(crate) fn compare(
    order: &Order,
    left: &[Cell<'_>],
    right: &[Cell<'_>],
    habits: Habits,
) -> Ordering {
    for ((_, descends), (a, b)) in order.0.iter().zip(left.iter().zip(right)) {
        let null = |cell: &Cell<'_>| *cell == Cell::Null;
        let ordering = match (null(a), null(b)) {
            (true, true) => Ordering::Equal,
            (true, false) if habits.nulls_last => Ordering::Greater,
            (false, true) if habits.nulls_last => Ordering::Less,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ => cells(a, b),
        };
        let ordering = if *descends { ordering.reverse() } else { ordering };
        if ordering.is_ne() {
            return ordering;
        }
    }
    Ordering::Equal
}

fn cells(left: &Cell<'_>, right: &Cell<'_>) -> Ordering {
    match (left, right) {
        (Cell::Boolean(a), Cell::Boolean(b)) => a.cmp(b),
        (Cell::Whole(a), Cell::Whole(b)) => a.cmp(b),
        (Cell::Number(a), Cell::Number(b)) => a.total_cmp(b),
        (Cell::Guid(a), Cell::Guid(b)) => a.cmp(b),
        (Cell::At(a), Cell::At(b)) => a.cmp(b),
        (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}
