//! Which conditions of a query awork can check, and how they are said in `filterby`.
//!
//! A condition is read from the query as a [`condition::Condition`], [`classify()`] decides what
//! of it may be sent and whether the answer is then exact, [`render`] writes it for the values
//! that the query has when it runs, and [`split`] cuts what would make an address too long.
//! What was refused is remembered in [`refusals`]. All of it is pure but for that memory.

pub mod classify;
pub mod condition;
pub mod describe;
pub mod field;
mod literal;
mod pattern;
pub mod refusals;
pub mod render;
pub mod split;
#[cfg(test)]
mod testing;

pub use classify::{Classified, Exactness, Reason, Remote, classify};
pub use condition::{Comparison, Condition, Leaf, Operand, Value};
pub use field::{ColumnType, Field};
pub use render::Conjunct;
