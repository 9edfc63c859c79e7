//! Everything that touches PostgreSQL's memory: the callbacks of the wrapper, planner nodes,
//! slots, catalogues and waiting. The rest of the library has no unsafe code.
//!
//! What holds for all of it. Callbacks run on the backend's main thread and get pointers that
//! PostgreSQL keeps valid for the call. A call into PostgreSQL may raise an error, which pgrx
//! turns into a panic at the boundary, so that Rust values are dropped on the way out; state
//! that outlives a call belongs to a memory context, whose deletion drops it.

mod datum;
mod executor;
mod explain;
mod foreign;
mod handler;
mod keys;
mod plan;
mod planner;
mod wait;

pub(crate) use foreign::client_for_server;
pub(crate) use wait::block_on;
