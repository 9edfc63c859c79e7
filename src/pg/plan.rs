//! What a plan carries from the planner to the executor: one string node of JSON, beside the
//! expressions, which PostgreSQL keeps up to date itself. A plan with only such nodes can be
//! copied, cached and sent to a worker.
//!
//! The expressions in `fdw_exprs` stand in this order: the values of the keys, the values of
//! the conditions, the limit and the offset, and the conditions of an upper scan themselves.

use std::ffi::{CStr, CString};

use awork_api::filter::{Exactness, Operand, Reason, Remote};
use pgrx::{PgList, pg_sys};
use serde::{Deserialize, Serialize};

/// The plan of one foreign scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ScanPlan {
    /// What the rows of the scan look like.
    pub(super) tuple: Tuple,
    /// Attribute numbers of the columns that the query reads. In a tuple of
    /// [`Tuple::Columns`] and [`Tuple::Counts`] they stand in this order.
    pub(super) attributes: Vec<i16>,
    /// The conditions that bind parameters, one per expression.
    pub(super) keys: Vec<Key>,
    /// The conditions that awork checks.
    pub(super) conjuncts: Vec<Conjunct>,
    /// The values of those conditions, one per expression.
    pub(super) values: Vec<ValueExpression>,
    /// The condition by which a path for single objects finds the only row: its index among the
    /// resource's lookups, and the value.
    pub(super) lookup: Option<(usize, Operand)>,
    /// The order that the scan promises.
    pub(super) order: Vec<SortKey>,
    /// Whether the order is right only for rows that satisfy the conditions.
    pub(super) order_needs_filter: bool,
    /// How many rows will most likely be enough.
    pub(super) head: Option<u32>,
    /// Whether there is an expression for the limit, and one for the offset.
    pub(super) limit: Option<(bool, bool)>,
    /// The number of conditions that the scan itself checks.
    pub(super) quals: usize,
    /// Whether awork checks all conditions exactly.
    pub(super) exact: bool,
    /// Why other conditions, or parts of them, are left to PostgreSQL.
    pub(super) local: Vec<Reason>,
    /// How many filters a condition may be cut into.
    pub(super) most_filters: usize,
    /// The join whose inner side the scan looks up, if it is one.
    pub(super) join: Option<Join>,
}

/// A join that takes its outer rows from the plan below it. The conditions of the scan are those
/// under which an inner row matches an outer one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Join {
    pub(super) kind: JoinKind,
    /// Which of the relations that the scan stands for is the inner table, in their order.
    pub(super) member: usize,
    /// How many columns of the tuple are the outer row's; the inner row's follow.
    pub(super) outer_width: usize,
    /// The index of the condition by which rows are looked up, where no key depends on the outer
    /// row.
    pub(super) filter: Option<usize>,
    /// Whether all rows of the join will be wanted.
    pub(super) wants_all: bool,
}

/// What becomes of outer rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum JoinKind {
    /// Each comes with every inner row that matches.
    Inner,
    /// The same, and without one where none matches.
    Left,
    /// Each comes once where an inner row matches.
    Semi,
    /// Each comes once where no inner row matches.
    Anti,
}

/// What the rows of a scan look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Tuple {
    /// The foreign table's own columns.
    Relation,
    /// The columns that are read, for a scan that is more than one of a relation.
    Columns,
    /// So many times the number of rows, in the only row; the columns that the conditions read
    /// follow.
    Counts(usize),
}

/// A condition that binds a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key {
    /// The attribute number of the parameter's column.
    pub(super) attribute: i16,
    /// Index in the resource's parameters.
    pub(super) parameter: usize,
    /// Whether the expression is an array of which the parameter equals one element.
    pub(super) any_of: bool,
}

/// A condition that awork checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Conjunct {
    pub(super) remote: Remote,
    pub(super) exactness: Exactness,
}

/// A value that is known when the query runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ValueExpression {
    /// The type that a date or time is brought to, where it is of another.
    pub(super) to: Option<u32>,
    /// Days to add.
    pub(super) shift: i32,
    /// What people know it by.
    pub(super) label: String,
}

/// A column by which the rows are in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SortKey {
    pub(super) attribute: i16,
    /// The property.
    pub(super) path: String,
    pub(super) descending: bool,
    pub(super) nulls_first: bool,
}

impl ScanPlan {
    /// The order as `orderby` keys; none where none is promised.
    pub(super) fn orderby(&self) -> Option<String> {
        (!self.order.is_empty()).then(|| orderby(&self.order))
    }

    /// Position of an attribute in the scan's tuple, from 0.
    pub(super) fn position(&self, attribute: i16) -> Option<usize> {
        let index = || self.attributes.iter().position(|&a| a == attribute);
        match self.tuple {
            Tuple::Relation => usize::try_from(attribute - 1).ok(),
            Tuple::Columns => index(),
            Tuple::Counts(counts) => index().map(|i| counts + i),
        }
    }

    /// The list for `fdw_private`.
    pub(super) fn to_list(&self) -> *mut pg_sys::List {
        let json = serde_json::to_string(self).unwrap_or_default();
        let json = CString::new(json).unwrap_or_default();
        let mut list = PgList::<pg_sys::Node>::new();
        // SAFETY: the string is copied into the planner's memory before the node refers to it.
        unsafe {
            let node = pg_sys::makeString(pg_sys::pstrdup(json.as_ptr()));
            list.push(node.cast());
        }
        list.into_pg()
    }

    /// Reads `fdw_private` back.
    ///
    /// # Safety
    /// `list` must come from [`ScanPlan::to_list`], through any number of node copies.
    pub(super) unsafe fn from_list(list: *mut pg_sys::List) -> Self {
        // SAFETY: as the caller promises, the only element is a string node.
        let json = unsafe {
            let node = PgList::<pg_sys::Node>::from_pg(list).head().unwrap_or(std::ptr::null_mut());
            #[cfg(feature = "pg14")]
            let chars = (*node.cast::<pg_sys::Value>()).val.str_;
            #[cfg(not(feature = "pg14"))]
            let chars = (*node.cast::<pg_sys::String>()).sval;
            CStr::from_ptr(chars).to_string_lossy()
        };
        serde_json::from_str(&json)
            .unwrap_or_else(|e| panic!("the plan of a foreign scan is not readable: {e}"))
    }
}

/// Columns to sort by as `orderby` keys.
pub(super) fn orderby(keys: &[SortKey]) -> String {
    let key =
        |key: &SortKey| format!("{} {}", key.path, if key.descending { "desc" } else { "asc" });
    keys.iter().map(key).collect::<Vec<_>>().join(",")
}
