//! The bytes of an answer to a [`Batch`]: one pass over the rows, no tree of the document.
//! Properties that nobody asked for are skipped, missing ones are null.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::projection::{Derived, Kind, Node, Projection};
use super::{Batch, Cell, scalar, time};
use crate::catalogue::Shape;
use crate::error::excerpt;

/// Why an answer could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodeError {
    /// The answer is not the JSON that it should be.
    Malformed(String),
    /// A value does not fit its column.
    Value(Box<BadValue>),
}

/// A value that does not fit its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValue {
    /// The column's name.
    pub column: String,
    /// The `id` of the row, where it has one.
    pub id: Option<String>,
    /// The start of the offending JSON.
    pub text: String,
    /// Why it does not fit, in words that follow "the value".
    pub reason: &'static str,
}

/// Decodes the answer of a list or of a single object. A single `null` is no row.
pub fn page(body: &[u8], shape: Shape, projection: &Projection) -> Result<Batch, DecodeError> {
    let mut rows = Rows {
        projection,
        batch: Batch::new(projection.width),
        cells: vec![Cell::Null; projection.slots.len()],
        fault: None,
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    let outcome = match shape {
        Shape::List => json.deserialize_seq(&mut rows),
        Shape::Object => <Option<&RawValue> as de::Deserialize>::deserialize(&mut json)
            .and_then(|row| row.map_or(Ok(()), |row| rows.row(row.get()))),
    };
    match outcome.and_then(|()| json.end()) {
        Ok(()) => Ok(rows.batch),
        Err(error) => Err(match rows.fault {
            Some(fault) => {
                let id = row_id(body, shape, rows.batch.rows());
                DecodeError::Value(Box::new(BadValue { id, ..fault }))
            }
            None => DecodeError::Malformed(error.to_string()),
        }),
    }
}

struct Rows<'p> {
    projection: &'p Projection,
    batch: Batch,
    /// The slots of the row at hand.
    cells: Vec<Cell>,
    /// What stopped the decoding, where it was a value and not the JSON itself.
    fault: Option<BadValue>,
}

type JsonResult<T> = Result<T, serde_json::Error>;

impl Rows<'_> {
    fn row(&mut self, raw: &str) -> JsonResult<()> {
        let projection = self.projection;
        if raw == "null" {
            return Err(de::Error::custom("null is no row"));
        }
        self.begin();
        let id = self.value(&projection.root, raw, projection.with_ids)?;
        self.finish(id)
    }

    fn begin(&mut self) {
        for (cell, slot) in self.cells.iter_mut().zip(&self.projection.slots) {
            *cell = if slot.kind == Kind::Presence { Cell::Bool(false) } else { Cell::Null };
        }
    }

    fn finish(&mut self, id: Option<u128>) -> JsonResult<()> {
        let projection = self.projection;
        for (slot, derived) in &projection.derived {
            self.cells[*slot] = match *derived {
                Derived::InstantOf { date, time } => match (self.cells[date], self.cells[time]) {
                    (Cell::Timestamp(day), Cell::Time(time)) => {
                        time::instant_at(day, time).map_or(Cell::Null, Cell::Timestamp)
                    }
                    _ => Cell::Null,
                },
                Derived::SetWithout { set, unset } => Cell::Bool(
                    self.cells[set] == Cell::Bool(true) && self.cells[unset] == Cell::Bool(false),
                ),
            };
        }
        self.batch.push_row(&self.cells[..projection.width], id);
        Ok(())
    }

    /// Decodes what is wanted of one value and of its parts; returns the `id` among the parts.
    fn value(&mut self, node: &Node, raw: &str, with_id: bool) -> JsonResult<Option<u128>> {
        for &slot in &node.slots {
            let kind = self.projection.slots[slot].kind;
            match scalar::decode(raw, kind, &mut self.batch) {
                Ok(cell) => self.cells[slot] = cell,
                Err(reason) => return Err(self.refuse(slot, raw, reason)),
            }
        }
        if (node.children.is_empty() && !with_id) || raw == "null" {
            return Ok(None);
        }
        if !raw.starts_with('{') {
            return match first_slot(node) {
                Some(slot) => Err(self.refuse(slot, raw, "is no object")),
                // Only the identity was wanted; what has no id is told apart by its text.
                None => Ok(Some(identity(raw))),
            };
        }
        serde_json::Deserializer::from_str(raw).deserialize_map(Object {
            rows: self,
            node,
            with_id,
        })
    }

    fn refuse(&mut self, slot: usize, raw: &str, reason: &'static str) -> serde_json::Error {
        self.fault = Some(BadValue {
            column: self.projection.slots[slot].name.clone(),
            id: None,
            text: excerpt(raw),
            reason,
        });
        de::Error::custom(reason)
    }
}

impl<'de> Visitor<'de> for &mut Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let root = &self.projection.root;
        if root.slots.is_empty() && root.children.is_empty() && !self.projection.with_ids {
            // Only the number of rows is wanted; they may be plain strings.
            while seq.next_element::<IgnoredAny>()?.is_some() {
                self.begin();
                self.finish(None).map_err(de::Error::custom)?;
            }
            return Ok(());
        }
        if root.slots.is_empty() {
            // No column needs a row as a whole, so that the row is read only once.
            while seq.next_element_seed(Row(self))?.is_some() {}
            return Ok(());
        }
        while let Some(row) = seq.next_element::<&RawValue>()? {
            self.row(row.get()).map_err(de::Error::custom)?;
        }
        Ok(())
    }
}

/// A row that is decoded where it stands.
struct Row<'r, 'p>(&'r mut Rows<'p>);

impl<'de> de::DeserializeSeed<'de> for Row<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let projection = self.0.projection;
        self.0.begin();
        let object = Object { rows: self.0, node: &projection.root, with_id: projection.with_ids };
        let id = deserializer.deserialize_map(object)?;
        self.0.finish(id).map_err(de::Error::custom)
    }
}

/// An object some of whose properties are wanted.
struct Object<'r, 'p> {
    rows: &'r mut Rows<'p>,
    node: &'r Node,
    with_id: bool,
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = Option<u128>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut id = None;
        while let Some(key) = map.next_key_seed(Key(self.node, self.with_id))? {
            if key.child.is_none() && !key.is_id {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let raw = map.next_value::<&RawValue>()?.get();
            if key.is_id && raw != "null" {
                id = Some(identity(raw));
            }
            if let Some(child) = key.child {
                self.rows
                    .value(&self.node.children[child].1, raw, false)
                    .map_err(de::Error::custom)?;
            }
        }
        Ok(id)
    }
}

/// Recognises a property name without copying it.
struct Key<'n>(&'n Node, bool);

struct KeyMatch {
    child: Option<usize>,
    is_id: bool,
}

impl<'de> de::DeserializeSeed<'de> for Key<'_> {
    type Value = KeyMatch;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<KeyMatch, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = KeyMatch;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a property name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<KeyMatch, E> {
        Ok(KeyMatch {
            child: self.0.children.iter().position(|(child, _)| child == name),
            is_id: self.1 && name == "id",
        })
    }
}

fn first_slot(node: &Node) -> Option<usize> {
    node.children
        .iter()
        .find_map(|(_, child)| child.slots.first().copied().or_else(|| first_slot(child)))
}

/// What tells one row from another: the GUID itself, or a hash of any other id.
fn identity(raw: &str) -> u128 {
    match Uuid::try_parse(raw.trim_matches('"')) {
        Ok(uuid) => uuid.as_u128(),
        Err(_) => {
            let mut hasher = DefaultHasher::new();
            raw.hash(&mut hasher);
            u128::from(hasher.finish())
        }
    }
}

/// The `id` of the n-th row, looked for only when an error is to name it.
fn row_id(body: &[u8], shape: Shape, row: usize) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Id<'r> {
        #[serde(borrow)]
        id: Option<&'r RawValue>,
    }
    let row: &str = match shape {
        Shape::List => {
            let rows: Vec<&RawValue> = serde_json::from_slice(body).ok()?;
            rows.get(row).copied()?.get()
        }
        Shape::Object => std::str::from_utf8(body).ok()?,
    };
    let id = serde_json::from_str::<Id<'_>>(row).ok()?.id?.get();
    Some(excerpt(id.trim_matches('"')))
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
