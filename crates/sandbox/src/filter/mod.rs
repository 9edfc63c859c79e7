//! The filter and order language of the lists: text to syntax ([`mod@parse`]), what of it is
//! refused on request ([`features`]), syntax to types ([`mod@check`]), types to an answer per row
//! ([`eval`]), and the order of rows ([`order`]).

mod check;
mod eval;
mod features;
mod node;
mod order;
mod parse;

#[cfg(test)]
mod tests;

pub(crate) use check::check;
pub(crate) use eval::holds;
pub use features::{Feature, Refused};
pub(crate) use node::Node;
pub(crate) use order::{Order, compare, key};
pub(crate) use parse::parse;

/// How texts compare and where nulls go, which nobody outside awork knows for sure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    pub(crate) case_sensitive: bool,
    pub(crate) nulls_last: bool,
    /// Whether `in` is known outside of `any`.
    pub(crate) top_level_in: bool,
    /// Whether conditions on null are neither true nor false, as in SQL.
    pub(crate) ne_excludes_null: bool,
}

/// Why a filter or an order was refused. The service does not tell, the log does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refusal(pub(crate) String);

impl Refusal {
    pub(crate) fn new<T>(why: impl Into<String>) -> Result<T, Refusal> {
        Err(Refusal(why.into()))
    }
}

/// What the relative words mean.
pub(crate) fn moment(now: crate::data::clock::Ticks, me: u128) -> parse::Moment {
    parse::Moment { now, me }
}
