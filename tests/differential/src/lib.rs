//! Generated queries over the foreign tables and over a full local copy of the sandbox's rows.
//! Both must give the same rows, whatever the wrapper leaves to awork.
//!
//! [`modes`] says in which ways the sandbox is run, [`load`] makes the two sides, [`generate`]
//! draws a query from a seed and an index, [`run`] runs it on both sides, and [`reduce`] makes a
//! query on which they differ smaller.
#![forbid(unsafe_code)]

pub mod ast;
pub mod compare;
pub mod generate;
pub mod load;
pub mod modes;
pub mod reduce;
pub mod render;
pub mod run;
pub mod schema;
