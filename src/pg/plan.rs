//! What a plan carries from the planner to the executor: one string node of JSON, beside the
//! expressions of the keys, which PostgreSQL keeps up to date itself. A plan with only such
//! nodes can be copied, cached and sent to a worker.

use std::ffi::{CStr, CString};

use pgrx::{PgList, pg_sys};
use serde::{Deserialize, Serialize};

/// The plan of one foreign scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ScanPlan {
    /// Attribute numbers of the columns that the query reads.
    pub(super) attributes: Vec<i16>,
    /// The conditions that bind parameters, one per expression in `fdw_exprs`.
    pub(super) keys: Vec<Key>,
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

impl ScanPlan {
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
