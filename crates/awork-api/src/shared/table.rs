//! The foreign tables whose scans have asked, each with its figures.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::figures::Figures;
use super::places::{self, Content, Places, Registry};

/// How many tables the processes of a database server can share.
const MOST: usize = 1024;

/// What is known of a foreign table.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Table {
    /// The number of its workspace; 0 where nobody has said it yet.
    workspace: AtomicU64,
    /// What was sent and received for its scans.
    pub figures: Figures,
}

/// The tables of all processes. Memory that is all zero is a valid one.
pub type Tables = Places<Table, MOST>;

/// A table, as this process knows it.
pub type Known = places::Known<Table>;

/// The tables by their numbers.
pub static TABLES: Registry<Table, MOST> = Registry::new();

impl Content for Table {
    fn begin(&self) {
        let Self { workspace, figures } = self;
        workspace.store(0, Relaxed);
        figures.begin();
    }
}

/// The table of this number, of a workspace, about to be used.
pub fn table(number: u64, workspace: u64) -> Known {
    let table = TABLES.of(number);
    table.workspace.store(workspace, Relaxed);
    table
}

/// The tables of a workspace that have been used, with their numbers.
pub fn of_workspace(workspace: u64) -> Vec<(u64, Known)> {
    let mut tables = TABLES.all();
    tables.retain(|(_, table)| table.workspace.load(Relaxed) == workspace);
    tables
}
