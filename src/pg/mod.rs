//! Everything that touches PostgreSQL's memory: the callbacks of the wrapper, planner nodes,
//! slots, catalogues and waiting. The rest of the library has no unsafe code.
//!
//! What holds for all of it. Callbacks run on the backend's main thread and get pointers that
//! PostgreSQL keeps valid for the call. A call into PostgreSQL may raise an error, which pgrx
//! turns into a panic at the boundary, so that Rust values are dropped on the way out; state
//! that outlives a call belongs to a memory context, whose deletion drops it.

mod analyze;
mod async_append;
mod clause;
mod create_plan;
mod credential;
mod datum;
mod executor;
mod explain;
mod expressions;
mod foreign;
mod handler;
mod job;
mod join;
mod join_plan;
mod keys;
mod label;
mod login;
mod lookup_join;
mod lookups;
mod memo;
mod memory;
mod node;
mod order;
mod outer_rows;
mod output;
mod plan;
mod planner;
mod relation;
mod rights;
mod run;
mod scan_state;
mod shared;
mod sort;
mod tables;
mod text;
mod upper;
mod values;
mod wait;

pub(crate) use credential::{allow, client_for_server};
pub(crate) use foreign::{object, workspace_of_server};
pub(crate) use login::{log_in, log_out, login_url, needs_login};
pub(crate) use shared::request as request_shared_memory;
pub(crate) use tables::{ListedTable, tables_of_server};
pub(crate) use text::{Text, is_utf8, sayable};
pub(crate) use wait::{block_on, timestamp};

/// Whether the server is loading its preloaded libraries.
pub(crate) fn is_preloading() -> bool {
    // SAFETY: a variable of the server, which only its main thread writes.
    unsafe { pgrx::pg_sys::process_shared_preload_libraries_in_progress }
}

/// Whether the current user is a superuser.
pub(crate) fn is_superuser() -> bool {
    // SAFETY: a look-up of the current user.
    unsafe { pgrx::pg_sys::superuser() }
}

/// Keeps others from making up settings with this prefix.
#[cfg(not(feature = "pg14"))]
pub(crate) fn reserve_setting_prefix(prefix: &std::ffi::CStr) {
    // SAFETY: the name is copied.
    unsafe { pgrx::pg_sys::MarkGUCPrefixReserved(prefix.as_ptr()) }
}
