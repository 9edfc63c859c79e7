//! The API side of awork_fdw: which resources awork has, how they are asked for, and how
//! the bytes of an answer become rows. Nothing here knows PostgreSQL.
#![forbid(unsafe_code)]

mod buffers;
pub mod catalogue;
pub mod client;
mod connections;
pub mod credentials;
pub mod custom_fields;
pub mod deadline;
pub mod drift;
pub mod error;
mod files;
pub mod filter;
pub mod journal;
pub mod lookups;
pub mod pages;
pub mod request;
pub mod rows;
pub mod runtime;
pub mod sampling;
pub mod scan;
pub mod settings;
pub mod shared;
pub mod totals;
pub mod waiting;
