//! The bytes of an answer to a [`Batch`]: one pass over the rows, no tree of the document.
//! Properties that nobody asked for are skipped, missing ones are null.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::custom_field::Entry;
use super::json::{Json, Syntax, Token};
use super::projection::{Derived, Kind, Node, Projection};
use super::{Batch, scalar, time};
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
        words: vec![0; projection.slots.len()],
        nulls: vec![true; projection.slots.len()],
    };
    let mut json = Json::new(body);
    let outcome = match shape {
        Shape::List => rows.list(&mut json, body.len()),
        Shape::Object => rows.object(&mut json),
    };
    match outcome.and_then(|()| Ok(json.end()?)) {
        Ok(()) => {
            rows.batch.finish();
            Ok(rows.batch)
        }
        Err(Stop::Value(fault)) => {
            let id = row_id(body, shape, rows.batch.rows());
            Err(DecodeError::Value(Box::new(BadValue { id, ..*fault })))
        }
        Err(Stop::Malformed(why)) => Err(DecodeError::Malformed(why.to_owned())),
        Err(Stop::Syntax) => Err(DecodeError::Malformed(syntax_error(body))),
    }
}

/// What is wrong with text that is no JSON, and where.
fn syntax_error(body: &[u8]) -> String {
    match serde_json::from_slice::<IgnoredAny>(body) {
        Err(error) => error.to_string(),
        Ok(_) => "not the expected JSON".to_owned(),
    }
}

/// Why the decoding stopped.
pub(super) enum Stop {
    Syntax,
    /// JSON, but no rows.
    Malformed(&'static str),
    Value(Box<BadValue>),
}

impl From<Syntax> for Stop {
    fn from(_: Syntax) -> Self {
        Stop::Syntax
    }
}

struct Rows<'p> {
    projection: &'p Projection,
    batch: Batch,
    /// The slots of the row at hand, as the words of a batch.
    words: Vec<u64>,
    nulls: Vec<bool>,
}

impl Rows<'_> {
    /// The rows of an array.
    fn list(&mut self, json: &mut Json<'_>, size: usize) -> Result<(), Stop> {
        if json.peek() != b'[' {
            json.skip()?;
            return Err(Stop::Malformed("no array of rows"));
        }
        let mut more = json.enter(b'[', b']')?;
        while more {
            self.row(json)?;
            if self.batch.rows() == SAMPLE {
                let share = json.at() / SAMPLE;
                self.batch.expect_rows((size - json.at()) / share.max(1) + 1);
            }
            more = json.more(b']')?;
        }
        Ok(())
    }

    /// The row of a single object.
    fn object(&mut self, json: &mut Json<'_>) -> Result<(), Stop> {
        if json.peek() == b'n' {
            return Ok(json.skip()?);
        }
        self.row(json)
    }

    fn row(&mut self, json: &mut Json<'_>) -> Result<(), Stop> {
        let projection = self.projection;
        let (root, with_id) = (&projection.root, projection.with_ids);
        let is_whole = !root.slots.is_empty();
        let has_parts = !root.children.is_empty() || with_id;
        self.begin();
        let id = match json.peek() {
            // Where only the number of rows is wanted, they may be anything.
            _ if !is_whole && !has_parts => {
                json.skip()?;
                None
            }
            b'n' if is_whole => {
                json.skip()?;
                return Err(Stop::Malformed("null is no row"));
            }
            b'{' => self.value(json, root, with_id)?,
            _ if is_whole => self.value(json, root, with_id)?,
            _ => {
                json.skip()?;
                return Err(Stop::Malformed("a row is no object"));
            }
        };
        self.finish(id);
        Ok(())
    }

    fn begin(&mut self) {
        self.nulls.fill(true);
        for &slot in &self.projection.present {
            (self.words[slot], self.nulls[slot]) = (0, false);
        }
    }

    fn finish(&mut self, id: Option<u128>) {
        let projection = self.projection;
        for (slot, derived) in &projection.derived {
            let word = match *derived {
                Derived::InstantOf { date, time } => match self.nulls[date] || self.nulls[time] {
                    true => None,
                    false => {
                        let (day, time) = (self.words[date] as i64, self.words[time] as i64);
                        time::instant_at(day, time).map(|instant| instant as u64)
                    }
                },
                Derived::SetWithout { set, unset } => {
                    Some(u64::from(self.words[set] == 1 && self.words[unset] == 0))
                }
            };
            (self.words[*slot], self.nulls[*slot]) = (word.unwrap_or(0), word.is_none());
        }
        let width = projection.width;
        self.batch.push_row(&self.words[..width], &self.nulls[..width], id);
    }

    /// Decodes what is wanted of one value and of its parts; returns the `id` among the parts.
    fn value(
        &mut self,
        json: &mut Json<'_>,
        node: &Node,
        with_id: bool,
    ) -> Result<Option<u128>, Stop> {
        if node.slots.is_empty() {
            return self.parts(json, node, with_id);
        }
        let token = json.value()?;
        for &slot in &node.slots {
            self.fill(slot, token)?;
        }
        if node.children.is_empty() && node.custom_fields.is_empty() && !with_id {
            return Ok(None);
        }
        self.parts(&mut Json::new(token.raw), node, with_id)
    }

    /// Decodes a value into a slot.
    #[inline]
    fn fill(&mut self, slot: usize, token: Token<'_>) -> Result<(), Stop> {
        let kind = self.projection.slots[slot].kind;
        match scalar::decode(token, kind, &mut self.batch) {
            Ok(word) => {
                (self.words[slot], self.nulls[slot]) = (word.unwrap_or(0), word.is_none());
                Ok(())
            }
            Err(_) if self.projection.nulls_mismatches => {
                self.nulls[slot] = true;
                self.batch.mismatches += 1;
                Ok(())
            }
            Err(reason) => Err(self.refuse(slot, token, reason)),
        }
    }

    /// Says that a value has no parts, of which this slot has one.
    fn no_parts(
        &mut self,
        slot: usize,
        token: Token<'_>,
        reason: &'static str,
    ) -> Result<(), Stop> {
        if !self.projection.nulls_mismatches {
            return Err(self.refuse(slot, token, reason));
        }
        self.batch.mismatches += 1;
        Ok(())
    }

    /// Decodes the custom fields that are wanted of an array of their values, which has no other
    /// parts.
    fn custom_fields(&mut self, json: &mut Json<'_>, node: &Node) -> Result<(), Stop> {
        if json.peek() != b'[' {
            let token = json.value()?;
            return match first_slot(node) {
                Some(slot) if !token.is_null() => {
                    self.no_parts(slot, token, "is no list of custom fields")
                }
                _ => Ok(()),
            };
        }
        let mut more = json.enter(b'[', b']')?;
        while more {
            if json.peek() == b'{' {
                let entry = Entry::read(json)?;
                let id = entry.definition();
                for (_, slot) in node.custom_fields.iter().filter(|(wanted, _)| Some(*wanted) == id)
                {
                    self.fill(*slot, entry.value())?;
                }
            } else {
                json.skip()?;
            }
            more = json.more(b']')?;
        }
        Ok(())
    }

    /// Decodes what is wanted of the parts of one value; returns the `id` among them.
    fn parts(
        &mut self,
        json: &mut Json<'_>,
        node: &Node,
        with_id: bool,
    ) -> Result<Option<u128>, Stop> {
        if !node.custom_fields.is_empty() {
            return self.custom_fields(json, node).map(|()| None);
        }
        if json.peek() != b'{' {
            let token = json.value()?;
            return match first_slot(node) {
                _ if token.is_null() => Ok(None),
                Some(slot) => self.no_parts(slot, token, "is no object").map(|()| None),
                // Only the identity was wanted; what has no id is told apart by its text.
                None => Ok(Some(identity(token.raw))),
            };
        }
        let mut id = None;
        let mut more = json.enter(b'{', b'}')?;
        while more {
            let name = json.name()?;
            let unescaped;
            let name = match name.escaped {
                false => name.inner().unwrap_or_default(),
                true => {
                    unescaped = name.unescaped().ok_or(NO_NAME)?;
                    unescaped.as_bytes()
                }
            };
            let child = node.child(name);
            let is_id = with_id && name == b"id";
            json.peek();
            let start = json.at();
            match child {
                Some(child) => {
                    let child = &node.children[child].1;
                    self.forget(child);
                    self.value(json, child, false)?;
                }
                None => json.skip()?,
            }
            if is_id {
                let raw = json.since(start);
                id = (raw != b"null").then(|| identity(raw));
            }
            more = json.more(b'}')?;
        }
        Ok(id)
    }

    /// Drops what an earlier value of the same name had in its parts: the last value counts, as in
    /// jsonb.
    fn forget(&mut self, node: &Node) {
        for (_, slot) in &node.custom_fields {
            (self.words[*slot], self.nulls[*slot]) = (0, true);
        }
        for (_, child) in &node.children {
            for &slot in &child.slots {
                (self.words[slot], self.nulls[slot]) =
                    (0, self.projection.slots[slot].kind != Kind::Presence);
            }
            self.forget(child);
        }
    }

    fn refuse(&self, slot: usize, token: Token<'_>, reason: &'static str) -> Stop {
        match std::str::from_utf8(token.raw) {
            Err(_) => Stop::Malformed("a value is no UTF-8"),
            Ok(raw) => Stop::Value(Box::new(BadValue {
                column: self.projection.slots[slot].name.clone(),
                id: None,
                text: excerpt(raw),
                reason,
            })),
        }
    }
}

/// What is said of a property's name that has escapes of half a character.
pub(super) const NO_NAME: Stop = Stop::Malformed("a property's name is no valid text");

/// After how many rows the size of the others is guessed.
const SAMPLE: usize = 8;

/// The first slot that a value's parts fill.
fn first_slot(node: &Node) -> Option<usize> {
    if let Some((_, slot)) = node.custom_fields.first() {
        return Some(*slot);
    }
    node.children
        .iter()
        .find_map(|(_, child)| child.slots.first().copied().or_else(|| first_slot(child)))
}

/// What tells one row from another: the GUID itself, or a hash of any other id.
fn identity(raw: &[u8]) -> u128 {
    let token = Token { raw, escaped: false };
    match Uuid::try_parse_ascii(token.inner().unwrap_or(raw)) {
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
