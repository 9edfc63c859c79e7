//! The tables that queries are made of, with what a generator has to know of their columns.

use awork_api::catalogue::columns::{self, Source};
use awork_api::catalogue::{Catalogue, Location, Resource, Type};

/// The tables, and which columns refer to which.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// The tables, by [`Table::name`] unique.
    pub tables: Vec<Table>,
    /// Pairs of columns that are joined, in both directions.
    pub edges: Vec<Edge>,
}

/// A table that both sides have under one name.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name, which is that of the resource.
    pub name: &'static str,
    /// How often it is drawn.
    pub weight: u32,
    /// Its columns in order, those that no predicate may name included.
    pub columns: Vec<Column>,
    /// The columns that tell its rows apart.
    pub unique: Vec<String>,
    /// The list per parent that it is, if any.
    pub parent: Option<Parent>,
}

/// What a list per parent is listed by.
#[derive(Debug, Clone)]
pub struct Parent {
    /// The column with the parent's id.
    pub column: String,
    /// The parameter of the path.
    pub parameter: String,
    /// The table of the parents.
    pub table: &'static str,
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// Where its values come from.
    pub source: Source,
    /// Whether a condition on it only selects rows; one on a query parameter changes the list.
    pub plain: bool,
    /// Some of its values, as PostgreSQL writes them in UTC.
    pub values: Vec<String>,
    /// Those of its values that differ from another one in case or blanks only.
    pub twins: Vec<String>,
}

/// The types of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    Uuid,
    Text,
    Boolean,
    Integer,
    Bigint,
    Double,
    Instant,
    Local,
    Date,
    Time,
    Json,
}

/// A column and the one that it may be joined with, as numbers of table and column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Table and column.
    pub left: (usize, usize),
    /// Table and column.
    pub right: (usize, usize),
}

/// Name, weight, and the parents' table of a list per parent.
const TABLES: &[(&str, u32, Option<&str>)] = &[
    ("time_entries", 20, None),
    ("tasks", 20, None),
    ("projects", 20, None),
    ("users", 14, None),
    ("companies", 12, None),
    ("absences", 10, None),
    ("time_bookings", 10, None),
    ("types_of_work", 6, None),
    ("project_statuses", 6, None),
    ("teams", 4, None),
    ("custom_field_definitions", 6, None),
    ("project_members", 5, Some("projects")),
    ("project_task_lists", 5, Some("projects")),
    ("task_comments", 2, Some("tasks")),
];

/// What a column of this name refers to.
const REFERENCES: &[(&str, &str)] = &[
    ("user_id", "users"),
    ("responsible_id", "users"),
    ("created_by", "users"),
    ("project_id", "projects"),
    ("task_id", "tasks"),
    ("company_id", "companies"),
    ("type_of_work_id", "types_of_work"),
    ("project_status_id", "project_statuses"),
    ("task_list_id", "project_task_lists"),
];

impl Kind {
    /// The name of the type in SQL.
    pub fn sql(self) -> &'static str {
        match self {
            Kind::Uuid => "uuid",
            Kind::Text => "text",
            Kind::Boolean => "boolean",
            Kind::Integer => "integer",
            Kind::Bigint => "bigint",
            Kind::Double => "double precision",
            Kind::Instant => "timestamptz",
            Kind::Local => "timestamp",
            Kind::Date => "date",
            Kind::Time => "time",
            Kind::Json => "jsonb",
        }
    }

    fn of(ty: &Type) -> Kind {
        match ty {
            Type::Uuid => Kind::Uuid,
            Type::Text => Kind::Text,
            Type::Boolean => Kind::Boolean,
            Type::Integer => Kind::Integer,
            Type::Bigint => Kind::Bigint,
            Type::Double => Kind::Double,
            Type::Instant => Kind::Instant,
            Type::LocalTimestamp => Kind::Local,
            Type::Date => Kind::Date,
            Type::TimeOfDay => Kind::Time,
            Type::Json | Type::Model(_) | Type::List(_) => Kind::Json,
        }
    }

    /// Whether values of the two types compare with each other.
    pub fn compares_with(self, other: Kind) -> bool {
        self == other
            || self.is_number() && other.is_number()
            || self.is_temporal() && other.is_temporal()
    }

    /// Whether it is a number.
    pub fn is_number(self) -> bool {
        matches!(self, Kind::Integer | Kind::Bigint | Kind::Double)
    }

    /// Whether it has a date.
    pub fn is_temporal(self) -> bool {
        matches!(self, Kind::Instant | Kind::Local | Kind::Date)
    }
}

impl Schema {
    /// The tables as the catalogue has them; without values yet.
    pub fn from_catalogue(catalogue: &Catalogue) -> Schema {
        let tables: Vec<Table> = TABLES
            .iter()
            .map(|&(name, weight, parents)| {
                let resource = catalogue.resources.iter().find(|r| r.name == name);
                table(catalogue, resource.expect("the catalogue has the table"), weight, parents)
            })
            .collect();
        let edges = edges(&tables);
        Schema { tables, edges }
    }
}

fn table(
    catalogue: &Catalogue,
    resource: &Resource,
    weight: u32,
    parents: Option<&'static str>,
) -> Table {
    let name = TABLES.iter().map(|t| t.0).find(|n| *n == resource.name).unwrap_or_default();
    let columns: Vec<Column> = columns::columns(catalogue, resource)
        .into_iter()
        .map(|column| Column {
            kind: Kind::of(&column.ty),
            plain: match &column.source {
                Source::Parameter(i) => resource.parameters[*i].location == Location::Path,
                _ => true,
            },
            name: column.name,
            source: column.source,
            values: Vec::new(),
            twins: Vec::new(),
        })
        .collect();
    let parent = parents.and_then(|table| {
        let column = columns.first()?;
        let Source::Parameter(i) = column.source else { return None };
        let parameter = resource.parameters[i].name.clone();
        Some(Parent { column: column.name.clone(), parameter, table })
    });
    let unique = parent.iter().map(|p| p.column.clone()).chain(["id".to_owned()]).collect();
    Table { name, weight, columns, unique, parent }
}

fn edges(tables: &[Table]) -> Vec<Edge> {
    let mut edges = Vec::new();
    for (t, table) in tables.iter().enumerate() {
        for (c, column) in table.columns.iter().enumerate() {
            let target = REFERENCES.iter().find(|(name, _)| *name == column.name);
            let Some((_, target)) = target else { continue };
            let Some(u) = tables.iter().position(|t| t.name == *target) else { continue };
            let Some(id) = tables[u].columns.iter().position(|c| c.name == "id") else { continue };
            if column.kind == tables[u].columns[id].kind {
                edges.push(Edge { left: (t, c), right: (u, id) });
                edges.push(Edge { left: (u, id), right: (t, c) });
            }
        }
    }
    edges
}
