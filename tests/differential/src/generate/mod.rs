//! Draws a query from a seed and an index: the same two always give the same query.

mod constants;
mod expressions;
mod joins;
mod nested;
mod predicates;
mod shapes;
mod temporal;

use fastrand::Rng;

use crate::ast::{How, Query};
use crate::schema::{Kind, Schema, Table};

/// What a query is drawn with.
struct Generator<'a> {
    rng: Rng,
    schema: &'a Schema,
    aliases: usize,
    /// How deep in subqueries the predicate is that is being drawn.
    depth: usize,
}

/// A table under an alias.
#[derive(Debug, Clone)]
struct Bound {
    alias: String,
    table: usize,
}

/// An expression with its type, and the column whose values it resembles.
#[derive(Debug, Clone)]
struct Operand {
    sql: String,
    kind: Kind,
    values: (usize, usize),
}

/// The query of this index.
pub fn query(schema: &Schema, seed: u64, index: u64) -> Query {
    // Neighbouring indexes must not give similar queries.
    let mut mix = Rng::with_seed(seed ^ index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let rng = mix.fork();
    let how = match mix.u32(0..10) {
        0..6 => How::Plain,
        6..9 => How::Prepared(mix.u8(1..=2)),
        _ => How::Cursor,
    };
    let mut generator = Generator { rng, schema, aliases: 0, depth: 0 };
    let settings = generator.settings();
    let select = generator.query();
    Query { settings, how, select }
}

impl<'a> Generator<'a> {
    /// True in so many of a hundred cases.
    fn percent(&mut self, percent: u32) -> bool {
        self.rng.u32(0..100) < percent
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.rng.usize(0..items.len())]
    }

    /// The number of a drawn item, by the items' weights.
    fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut at = self.rng.u32(0..weights.iter().sum());
        for (i, weight) in weights.iter().enumerate() {
            if at < *weight {
                return i;
            }
            at -= weight;
        }
        0
    }

    fn settings(&mut self) -> Vec<(&'static str, &'static str)> {
        let zones = ["Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia"];
        let mut settings = Vec::new();
        if self.percent(60) {
            settings.push(("TimeZone", self.pick(&zones)));
        }
        let toggles = [
            "enable_hashjoin",
            "enable_nestloop",
            "enable_mergejoin",
            "enable_memoize",
            "enable_material",
            "enable_hashagg",
            "enable_sort",
            "enable_incremental_sort",
            "awork_fdw.enable_lookup_join",
        ];
        for toggle in toggles {
            if self.percent(18) {
                settings.push((toggle, "off"));
            }
        }
        if self.percent(5) {
            settings.push(("DateStyle", self.pick(&["German", "SQL, DMY", "Postgres, MDY"])));
        }
        if self.percent(5) {
            settings.push(("IntervalStyle", "iso_8601"));
        }
        settings
    }

    fn table(&self, table: usize) -> &'a Table {
        &self.schema.tables[table]
    }

    /// Draws a table by its weight.
    fn draw_table(&mut self) -> usize {
        let weights: Vec<u32> = self.schema.tables.iter().map(|t| t.weight).collect();
        self.weighted(&weights)
    }

    /// The table under a new alias.
    fn bind(&mut self, table: usize) -> Bound {
        let n = self.aliases;
        self.aliases += 1;
        let letter = (b'a' + (n % 26) as u8) as char;
        let alias = if n < 26 { letter.to_string() } else { format!("{letter}{}", n / 26) };
        Bound { alias, table }
    }

    /// A column of any type that a predicate may name.
    fn column(&mut self, scope: &[Bound]) -> Operand {
        self.column_where(scope, |_| true).expect("every table has columns")
    }

    /// A column of a type that `fits`.
    fn column_where(&mut self, scope: &[Bound], fits: impl Fn(Kind) -> bool) -> Option<Operand> {
        let bound = &scope[self.rng.usize(0..scope.len())];
        let columns = &self.table(bound.table).columns;
        let fitting: Vec<usize> = (0..columns.len())
            .filter(|&i| columns[i].plain && columns[i].name != "attrs" && fits(columns[i].kind))
            .collect();
        if fitting.is_empty() {
            return None;
        }
        // A type is drawn before a column, or there would be little else than texts.
        let mut kinds: Vec<Kind> = Vec::new();
        for &i in &fitting {
            if !kinds.contains(&columns[i].kind) {
                kinds.push(columns[i].kind);
            }
        }
        let kind = self.pick(&kinds);
        let mut of_kind: Vec<usize> =
            fitting.into_iter().filter(|&i| columns[i].kind == kind).collect();
        // Columns without any value are drawn seldom.
        if self.percent(85) && of_kind.iter().any(|&i| !columns[i].values.is_empty()) {
            of_kind.retain(|&i| !columns[i].values.is_empty());
        }
        let column = self.pick(&of_kind);
        Some(self.reference(bound, column))
    }

    fn reference(&self, bound: &Bound, column: usize) -> Operand {
        let Bound { alias, table } = bound;
        let c = &self.table(*table).columns[column];
        Operand { sql: format!("{alias}.\"{}\"", c.name), kind: c.kind, values: (*table, column) }
    }

    /// The columns that tell the table's rows apart.
    fn unique(&self, bound: &Bound) -> Vec<String> {
        let columns = &self.table(bound.table).unique;
        columns.iter().map(|name| format!("{}.\"{name}\"", bound.alias)).collect()
    }
}
