//! Cuts a long list of values into several filters, so that no address grows past what front
//! ends of web services take.

use super::render::Conjunct;
use crate::request;

/// The longest path with query, in bytes as sent. Gateways commonly stop at 8 KB.
pub const LONGEST_TARGET: usize = 4000;

/// What is sent of some conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filters {
    /// The filters, whose answers together are the rows. Empty text is no filter.
    pub texts: Vec<String>,
    /// Whether all of the conditions are in each of them.
    pub complete: bool,
    /// Whether a row may come with several of them.
    pub overlapping: bool,
}

/// Joins conditions into filters for addresses that have `room` bytes left, and are not more
/// than `most`. A condition that does not fit is left out.
pub fn filters(conjuncts: &[Conjunct], room: usize, most: usize) -> Filters {
    let mut kept: Vec<&Conjunct> = conjuncts.iter().collect();
    loop {
        // Only the longest list of values is cut.
        let longest = kept.iter().enumerate().max_by_key(|(_, c)| length(&joined(c)));
        let Some((longest, _)) = longest else {
            return Filters {
                texts: vec![String::new()],
                complete: conjuncts.is_empty(),
                overlapping: false,
            };
        };
        let fixed: Vec<String> = kept
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != longest)
            .map(|(_, c)| joined(c))
            .collect();
        let taken: usize = fixed.iter().map(|text| length(text) + AND).sum();
        if let Some(groups) = groups(&kept[longest].alternatives, room.saturating_sub(taken))
            && groups.len() <= most
        {
            let overlapping = groups.len() > 1 && kept[longest].overlapping;
            let texts = groups
                .into_iter()
                .map(|group| {
                    let mut parts = fixed.clone();
                    parts.insert(longest, group);
                    parts.join(" and ")
                })
                .collect();
            return Filters { texts, complete: kept.len() == conjuncts.len(), overlapping };
        }
        kept.remove(longest);
    }
}

/// Bytes of `" and "` as sent.
const AND: usize = 9;

fn length(text: &str) -> usize {
    request::encoded(text).len()
}

fn joined(conjunct: &Conjunct) -> String {
    or(&conjunct.alternatives)
}

fn or(alternatives: &[String]) -> String {
    match alternatives {
        [one] => one.clone(),
        several => format!("({})", several.join(" or ")),
    }
}

/// Alternatives joined into as few texts as fit; none where one alone does not.
fn groups(alternatives: &[String], room: usize) -> Option<Vec<String>> {
    const PARENTHESES: usize = 6;
    const OR: usize = 8;
    let mut groups = Vec::new();
    let mut group: Vec<String> = Vec::new();
    let mut taken = PARENTHESES;
    for alternative in alternatives {
        let length = length(alternative) + OR;
        if length + PARENTHESES > room {
            return None;
        }
        if taken + length > room && !group.is_empty() {
            groups.push(or(&std::mem::take(&mut group)));
            taken = PARENTHESES;
        }
        taken += length;
        group.push(alternative.clone());
    }
    groups.push(or(&group));
    Some(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conjunct(alternatives: &[&str]) -> Conjunct {
        Conjunct {
            signature: String::new(),
            alternatives: alternatives.iter().map(|a| (*a).to_owned()).collect(),
            overlapping: false,
        }
    }

    #[test]
    fn short_conditions_are_one_filter() {
        let both = [conjunct(&["a eq 1"]), conjunct(&["b eq 1", "b eq 2"])];
        let filters = filters(&both, 3000, 10);
        assert_eq!(filters.texts, ["a eq 1 and (b eq 1 or b eq 2)"]);
        assert!(filters.complete && !filters.overlapping);
    }

    #[test]
    fn no_condition_is_no_filter() {
        let filters = filters(&[], 3000, 10);
        assert_eq!(filters.texts, [""]);
        assert!(filters.complete);
    }

    #[test]
    fn a_long_list_is_cut_without_losing_a_value() {
        let values: Vec<String> = (0..300).map(|i| format!("id eq guid'{i:036}'")).collect();
        let list =
            Conjunct { signature: String::new(), alternatives: values.clone(), overlapping: true };
        let filters = filters(&[conjunct(&["a eq 1"]), list], 3000, 100);
        assert!(filters.texts.len() > 3 && filters.complete && filters.overlapping);
        for text in &filters.texts {
            assert!(length(text) <= 3000, "{}", length(text));
            assert!(text.starts_with("a eq 1 and "));
        }
        for value in &values {
            assert_eq!(filters.texts.iter().filter(|t| t.contains(value.as_str())).count(), 1);
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let long = format!("name eq '{}'", "x".repeat(200));
        let filters_of = |most| {
            let many: Vec<String> = (0..50).map(|i| format!("id eq {i:020}")).collect();
            let many =
                Conjunct { signature: String::new(), alternatives: many, overlapping: false };
            filters(&[conjunct(&[&long]), many], 500, most)
        };
        assert!(filters_of(100).texts.iter().all(|t| t.starts_with("name eq")));
        let few = filters_of(2);
        assert!(!few.complete);
        assert_eq!(few.texts, std::slice::from_ref(&long));
        assert_eq!(filters(&[conjunct(&[&long])], 100, 9).texts, [""]);
    }
}
