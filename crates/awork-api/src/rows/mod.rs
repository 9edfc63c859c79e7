//! Bytes to values: which parts of a row are wanted ([`projection`]), how they are decoded
//! ([`decode`], which reads JSON by `json`,
//! custom fields by `custom_field` and each value by `scalar`), and the compact form in which they reach the PostgreSQL side ([`batch`]).

pub mod batch;
mod custom_field;
pub mod decode;
mod escape;
mod fixed;
mod json;
pub mod projection;
mod scalar;
pub mod time;

pub use batch::Batch;
pub use projection::{Kind, Projection, Target};
