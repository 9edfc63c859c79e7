//! The invented workspace: its tables, in the order in which they are made so that every
//! reference finds its row.

use std::collections::{BTreeMap, HashMap};

use awork_api::catalogue::Catalogue;
use serde_json::Value;

use super::clock::Ticks;
use super::entries::Entries;
use super::guid;
use super::seed::Chance;
use super::sizes::{API_USERS, Sizes};
use super::tasks::Tasks;
use super::{business, entries, library, people, planning, tasks};

/// Rows that are kept as JSON, with a way to find one by its id.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Value>,
    ids: HashMap<String, usize>,
}

impl Table {
    /// A table of these rows, found by their `id`.
    pub(crate) fn new(rows: Vec<Value>) -> Table {
        let mut table = Table { rows, ids: HashMap::new() };
        table.index();
        table
    }

    fn index(&mut self) {
        let named = |(i, row): (usize, &Value)| Some((row.get("id")?.as_str()?.to_owned(), i));
        self.ids = self.rows.iter().enumerate().filter_map(named).collect();
    }

    /// The place of the row with this id.
    pub(crate) fn place(&self, id: &str) -> Option<usize> {
        self.ids.get(id).or_else(|| self.ids.get(&id.to_ascii_lowercase())).copied()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Value> {
        self.place(id).map(|i| &self.rows[i])
    }

    /// Changes the rows and finds their ids anew.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Vec<Value>)) {
        change(&mut self.rows);
        self.index();
    }
}

/// The whole invented workspace.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    /// The fixed present.
    pub(crate) now: Ticks,
    pub(crate) sizes: Sizes,
    pub(crate) catalogue: &'static Catalogue,
    tables: BTreeMap<&'static str, Table>,
    pub(crate) tasks: Tasks,
    pub(crate) entries: Entries,
}

static NO_TABLE: std::sync::LazyLock<Table> = std::sync::LazyLock::new(Table::default);

impl World {
    /// Invents a workspace with `scale` time entries.
    pub(crate) fn invent(seed: u64, now: Ticks, scale: usize) -> World {
        let mut world = World {
            seed,
            now,
            sizes: Sizes::of(scale),
            catalogue: Catalogue::bundled(),
            tables: BTreeMap::new(),
            tasks: Tasks::default(),
            entries: Entries::default(),
        };
        library::basics(&mut world);
        people::fill(&mut world);
        business::fill_companies(&mut world);
        world.tasks = tasks::invent(&world);
        world.entries = entries::invent(&world);
        let tracked = world.entries.tracked_by_task(world.tasks.rows.len());
        for (task, seconds) in world.tasks.rows.iter_mut().zip(tracked) {
            task.tracked = seconds;
        }
        business::fill_projects(&mut world);
        planning::fill(&mut world);
        library::fill(&mut world);
        entries::prepare(&mut world);
        world
    }

    /// Adds a table.
    pub(crate) fn insert(&mut self, name: &'static str, rows: Vec<Value>) {
        self.tables.insert(name, Table::new(rows));
    }

    /// The table of this name, empty where it is not made yet.
    pub(crate) fn table(&self, name: &str) -> &Table {
        self.tables.get(name).unwrap_or(&NO_TABLE)
    }

    /// The table of this name, to change it.
    pub(crate) fn table_mut(&mut self, name: &str) -> Option<&mut Table> {
        self.tables.get_mut(name)
    }

    /// A row that is kept as JSON.
    pub(crate) fn row(&self, table: &str, id: &str) -> Option<&Value> {
        self.table(table).get(id)
    }

    /// A whole row as the API shows it, tasks included.
    pub(crate) fn shown(&self, table: &str, id: &str) -> Option<Value> {
        match table {
            "tasks" => {
                let place = self.tasks.place(guid::parse(id)?)?;
                Some(self.task_row(place))
            }
            _ => self.row(table, id).cloned(),
        }
    }

    /// The id of row `number` of a table.
    pub(crate) fn id(&self, table: &str, number: usize) -> u128 {
        guid::make(self.seed, table, number as u64)
    }

    /// The id of row `number` of a table, as text.
    pub(crate) fn id_text(&self, table: &str, number: usize) -> String {
        guid::show(self.id(table, number))
    }

    /// The number of a drawn user who works here: neither a key of the API nor gone.
    pub(crate) fn person(&self, chance: &mut Chance) -> usize {
        API_USERS + chance.below(self.sizes.users - API_USERS - people::GONE)
    }

    /// The generator of row `number` of a kind.
    pub(crate) fn chance(&self, kind: &str, number: usize) -> Chance {
        Chance::of(self.seed, kind, number as u64)
    }
}
