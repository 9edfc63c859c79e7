//! How many rows lists were seen to have, for the planner's estimates. Per process, by who
//! asks, since rights decide what a list shows.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use once_cell::sync::Lazy;

use crate::catalogue::Resource;

/// Who asks, and which list.
type Key = (u64, String);

/// Rows of the lists of a resource, the later ones counting more.
static SEEN: Lazy<Mutex<HashMap<Key, f64>>> = Lazy::new(Mutex::default);

/// How much a further list of another parent counts.
const WEIGHT: f64 = 0.2;

/// Takes note of the number of rows of a list that was asked for without a filter.
pub fn note(scope: u64, resource: &Resource, rows: u64) {
    let rows = rows as f64;
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.entry((scope, resource.name.clone()))
        .and_modify(|seen| {
            let weight = if resource.is_keyed() { WEIGHT } else { 1.0 };
            *seen += (rows - *seen) * weight;
        })
        .or_insert(rows);
}

/// How many rows a list has, per parent where it has one.
pub fn rows(scope: u64, resource: &Resource) -> Option<f64> {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.get(&(scope, resource.name.clone())).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn the_last_total_counts_and_parents_are_averaged() {
        let of = |name| Catalogue::bundled().resource(name).unwrap();
        let (projects, members) = (of("projects"), of("project_members"));
        assert_eq!(rows(7, projects), None);
        note(7, projects, 100);
        note(7, projects, 90);
        assert_eq!(rows(7, projects), Some(90.0));
        assert_eq!(rows(8, projects), None);
        note(7, members, 10);
        note(7, members, 20);
        assert_eq!(rows(7, members), Some(12.0));
    }
}
