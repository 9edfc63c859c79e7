//! Which parts of a row a query needs, compiled once per scan into a tree of property names,
//! so that everything else in an answer is passed over.

use std::hash::{DefaultHasher, Hash, Hasher};

use uuid::Uuid;

use crate::catalogue::columns::Source;
use crate::custom_fields;

/// How a value is decoded: what the PostgreSQL column can take, not what the specification
/// says of the property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `true` and `false` only.
    Bool,
    /// A whole number of 16, 32 or 64 bits.
    Int {
        /// The width of the column's type.
        bits: u32,
    },
    /// A floating-point number of 32 or 64 bits.
    Float {
        /// The width of the column's type.
        bits: u32,
    },
    /// A GUID.
    Uuid,
    /// A string's characters; any other value as its JSON text.
    Text,
    /// The JSON text of the value.
    Json,
    /// Microseconds since 2000 in UTC.
    Instant,
    /// Microseconds since 2000 on the wall clock.
    LocalTimestamp,
    /// Days since 2000.
    Date,
    /// Microseconds since midnight.
    TimeOfDay,
    /// Whether there is a value other than null.
    Presence,
}

/// A column of a [`Batch`](super::Batch).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The column's name, for errors.
    pub name: String,
    /// Where the value comes from. Parameters are no part of a row and stay null here.
    pub source: Source,
    /// How it is decoded.
    pub kind: Kind,
}

impl Target {
    /// A number that is the same for columns with the same values.
    fn number(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.source, self.kind).hash(&mut hasher);
        hasher.finish()
    }
}

/// The wanted parts of a row.
#[derive(Debug, Clone)]
pub struct Projection {
    /// The columns of the batch, then the slots that only derived columns read.
    pub(super) slots: Vec<Slot>,
    /// How many of the slots are columns of the batch.
    pub(super) width: usize,
    columns: Vec<u64>,
    pub(super) root: Node,
    pub(super) derived: Vec<(usize, Derived)>,
    /// The slots that have a value also where there is no property.
    pub(super) present: Vec<usize>,
    /// The slot-free question of the row's identity.
    pub(super) with_ids: bool,
    /// Whether a value that does not fit its column is null, and no error.
    pub(super) nulls_mismatches: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// A JSON object, or the value at a path: what is wanted of it as a whole and of its parts.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) slots: Vec<usize>,
    pub(super) children: Vec<(String, Node)>,
    /// The custom fields that are wanted of an array of their values, by their definitions.
    pub(super) custom_fields: Vec<(Uuid, usize)>,
    /// The marks of the children's names, to pass over most other names without a comparison.
    marks: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Derived {
    /// The instant of a date slot and a time-of-day slot.
    InstantOf { date: usize, time: usize },
    /// Whether the first slot has a value and the second has none.
    SetWithout { set: usize, unset: usize },
}

impl Projection {
    /// Compiles the wanted columns. `with_ids` also reads each row's `id`, to recognise a row
    /// that comes twice.
    pub fn new(targets: &[Target], with_ids: bool) -> Self {
        let mut projection = Self {
            slots: Vec::new(),
            width: targets.len(),
            columns: targets.iter().map(Target::number).collect(),
            root: Node::default(),
            derived: Vec::new(),
            present: Vec::new(),
            with_ids,
            nulls_mismatches: false,
        };
        for target in targets {
            projection.slots.push(Slot { name: target.name.clone(), kind: target.kind });
        }
        for (slot, target) in targets.iter().enumerate() {
            match &target.source {
                Source::Field(path) => projection.root.want(path, slot),
                Source::Parameter(_) => {}
                Source::CustomField(id) => {
                    let values = projection.root.part(&[custom_fields::PROPERTY.to_owned()]);
                    values.custom_fields.push((*id, slot));
                }
                Source::InstantOf { date, time } => {
                    let date = projection.hidden(target, date, Kind::Instant);
                    let time = projection.hidden(target, time, Kind::TimeOfDay);
                    projection.derived.push((slot, Derived::InstantOf { date, time }));
                }
                Source::SetWithout { set, unset } => {
                    let set = projection.hidden(target, set, Kind::Presence);
                    let unset = projection.hidden(target, unset, Kind::Presence);
                    projection.derived.push((slot, Derived::SetWithout { set, unset }));
                }
            }
        }
        let slots = projection.slots.iter().enumerate();
        projection.present =
            slots.filter(|(_, slot)| slot.kind == Kind::Presence).map(|(i, _)| i).collect();
        projection
    }

    /// The same where a value that does not fit its column is null, and no error.
    pub fn with_mismatches_as_null(mut self, nulls_mismatches: bool) -> Self {
        if nulls_mismatches && !self.nulls_mismatches {
            // What is kept of columns that are read like that serves no others.
            self.columns.iter_mut().for_each(|column| *column ^= 1);
        }
        self.nulls_mismatches |= nulls_mismatches;
        self
    }

    /// Numbers that tell the columns apart by what is decoded and how.
    pub fn columns(&self) -> &[u64] {
        &self.columns
    }

    /// Whether each row's identity is read.
    pub fn reads_ids(&self) -> bool {
        self.with_ids
    }

    /// Adds a slot for a property that only a derived column reads.
    fn hidden(&mut self, target: &Target, property: &str, kind: Kind) -> usize {
        let slot = self.slots.len();
        self.slots.push(Slot { name: target.name.clone(), kind });
        self.root.want(&[property.to_owned()], slot);
        slot
    }
}

impl Node {
    /// Which child has this name.
    #[inline]
    pub(super) fn child(&self, name: &[u8]) -> Option<usize> {
        if self.marks & mark(name) == 0 {
            return None;
        }
        self.children.iter().position(|(child, _)| child.as_bytes() == name)
    }

    fn want(&mut self, path: &[String], slot: usize) {
        self.part(path).slots.push(slot);
    }

    /// The node at a path.
    fn part(&mut self, path: &[String]) -> &mut Self {
        let Some((first, rest)) = path.split_first() else { return self };
        let at = match self.children.iter().position(|(name, _)| name == first) {
            Some(at) => at,
            None => {
                self.marks |= mark(first.as_bytes());
                self.children.push((first.clone(), Node::default()));
                self.children.len() - 1
            }
        };
        self.children[at].1.part(rest)
    }
}

/// One bit of 64, by a name's length and ends.
#[inline]
fn mark(name: &[u8]) -> u64 {
    let ends = match name {
        [] => 0,
        [first, ..] => usize::from(*first) + 31 * usize::from(name[name.len() - 1]),
    };
    1 << ((ends + 7 * name.len()) % 64)
}
