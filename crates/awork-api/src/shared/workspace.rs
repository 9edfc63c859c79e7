//! The workspaces that are asked, each with its budget, its state and its figures.

use super::budget::Budget;
use super::congestion::Congestion;
use super::figures::Figures;
use super::places::{self, Content, Places, Registry};

/// How many workspaces the processes of a database server can share.
const MOST: usize = 128;

/// What is known of a workspace, beside its answers.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Workspace {
    /// Its rate limit.
    pub budget: Budget,
    /// How many requests it stands.
    pub congestion: Congestion,
    /// What was sent and received.
    pub figures: Figures,
}

/// The workspaces of all processes. Memory that is all zero is a valid one.
pub type Workspaces = Places<Workspace, MOST>;

/// A workspace, as this process knows it.
pub type Known = places::Known<Workspace>;

/// The workspaces by their numbers.
pub static WORKSPACES: Registry<Workspace, MOST> = Registry::new();

impl Content for Workspace {
    fn begin(&self) {
        let Self { budget, congestion, figures } = self;
        budget.clear();
        congestion.clear();
        figures.begin();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_begins_again_is_as_new() {
        let workspace = Workspace::default();
        let shown = |w: &Workspace| format!("{:?} {:?}", w.budget, w.congestion);
        let new = shown(&workspace);
        workspace.congestion.answered(Duration::from_millis(1), 4);
        workspace.congestion.refused(4);
        workspace.budget.block(Duration::from_secs(1));
        assert_ne!(shown(&workspace), new);
        workspace.begin();
        assert_eq!(shown(&workspace), new);
    }
}
