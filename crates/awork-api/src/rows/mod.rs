//! Bytes to values: which parts of a row are wanted ([`projection`]), how they are decoded
//! ([`decode`]), and the compact form in which they reach the PostgreSQL side ([`batch`]).

pub mod batch;
pub mod decode;
pub mod projection;
mod scalar;
pub mod time;

pub use batch::{Batch, Cell};
pub use projection::{Kind, Projection, Target};
