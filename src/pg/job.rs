//! From a plan and the values of its expressions to what is asked of awork.

use std::collections::HashSet;

use awork_api::catalogue::Resource;
use awork_api::filter::render::{Said, render};
use awork_api::filter::{Conjunct, Operand, Value};
use awork_api::request::{self, Bindings};
use awork_api::scan::{Order, Start};

use super::plan::{ScanPlan, Tuple};

/// What is asked, the wanted columns apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asking {
    pub(super) bindings: Vec<Bindings>,
    pub(super) conjuncts: Vec<Conjunct>,
    pub(super) lookup: Option<String>,
    pub(super) order: Order,
    pub(super) start: Start,
    /// Which of the rows are wanted, where the scan itself counts them off.
    pub(super) slice: Option<Slice>,
}

/// How many rows a slice has, and where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) skip: u64,
    /// None for all that follow.
    pub(super) count: Option<u64>,
}

/// What to ask; none where no row can satisfy the conditions. `values` are those of the plan's
/// value expressions, `bindings` the parameters by the plan's keys. With `reusable`, conditions
/// whose values may be others the next time are left out, so that the answer serves again.
pub(super) fn asking(
    resource: &'static Resource,
    plan: &ScanPlan,
    bindings: Vec<Bindings>,
    values: &[Value],
    slice: Option<Slice>,
    page_size: u32,
    reusable: bool,
) -> Option<Asking> {
    if bindings.is_empty() {
        return None;
    }
    let mut complete = true;
    let mut conjuncts = Vec::new();
    for conjunct in &plan.conjuncts {
        let mut leaves = conjunct.remote.leaves().into_iter();
        if reusable && leaves.any(|leaf| matches!(leaf.operand(), Some(Operand::Expression(_)))) {
            complete = false;
            continue;
        }
        let (said, all_said) = render(&conjunct.remote, values);
        complete &= all_said;
        match said {
            Said::Never => return None,
            Said::Always | Said::Unsaid => {}
            Said::Text(conjunct) => conjuncts.push(conjunct),
        }
    }
    let exact = plan.exact && complete;
    let required = plan.orderby().filter(|_| complete || !plan.order_needs_filter);
    let start = match (plan.tuple, slice, plan.head) {
        (Tuple::Counts(_), ..) if exact => Start::Count,
        (_, Some(Slice { skip: 0, count: Some(count) }), _) if exact => {
            Start::Head(u32::try_from(count).unwrap_or(u32::MAX))
        }
        (_, Some(Slice { skip, count }), _) if exact && skip > 0 => {
            let count = count.and_then(|count| u32::try_from(count).ok());
            Start::At { skip, count: count.unwrap_or(page_size).min(page_size) }
        }
        (_, None, Some(head)) if complete => Start::Head(head),
        _ => Start::Beginning,
    };
    let lookup = match (&plan.lookup, bindings.as_slice()) {
        (Some((index, operand)), [bindings]) => {
            let value = match operand {
                Operand::Constant(value) => Some(value),
                Operand::Expression(number) => values.get(*number),
            };
            let lookup = resource.lookups.get(*index);
            match (value, lookup) {
                (Some(Value::Uuid(id)), Some(lookup)) => {
                    let id = uuid::Uuid::from_bytes(*id).hyphenated().to_string();
                    request::lookup(resource, lookup, bindings, &id)
                }
                _ => None,
            }
        }
        _ => None,
    };
    let order = Order {
        required,
        needs_filter: plan.order_needs_filter,
        stable: request::stable_order(resource, &resource.properties()),
    };
    Some(Asking { bindings, conjuncts, lookup, order, start, slice })
}

/// Every combination of the values of keys, given as parameter and values.
pub(super) fn combinations(parameters: usize, keys: &[(usize, Vec<String>)]) -> Vec<Bindings> {
    let mut all: Vec<Bindings> = vec![vec![None; parameters]];
    for (parameter, values) in keys {
        let mut seen = HashSet::new();
        let distinct: Vec<&String> = values.iter().filter(|value| seen.insert(*value)).collect();
        all = all
            .iter()
            .flat_map(|bindings| {
                distinct.iter().map(|value| {
                    let mut bindings = bindings.clone();
                    bindings[*parameter] = Some((*value).clone());
                    bindings
                })
            })
            .collect();
    }
    all
}
