//! What awork sends that is other than the catalogue and a foreign table have it. Pure: the rows
//! of a sample in, findings out; [`crate::sampling`] does the asking.
//!
//! A finding is no error. awork adds properties every month (API documentation, "Changelog"),
//! and a sample of one page does not show what a rare row has.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::catalogue::columns::{Source, column_name, columns};
use crate::catalogue::{Catalogue, Model, Property, Resource, Shape, Type};
use crate::custom_fields;
use crate::error::{Error, ErrorKind, excerpt};
use crate::rows::decode::{self, DecodeError};
use crate::rows::{Kind, Projection, Target, time};

/// The most rows of an answer that are looked at.
pub const MOST_ROWS: usize = 100;

/// The most unknown properties that are listed of one table.
const MOST_NEW: usize = 100;

/// How deep objects in objects are looked into for unknown properties.
const DEPTH: usize = 4;

/// The longest name that a column can have, in bytes (`NAMEDATALEN`, less its NUL).
const LONGEST_NAME: usize = 63;

/// What is different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// awork sends what the catalogue does not know.
    New,
    /// awork does not send, or does not let read, what a table shows.
    Gone,
    /// awork sends something else than a table shows.
    Changed,
    /// It could not be found out.
    Unchecked,
}

impl Drift {
    /// The word that people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Drift::New => "new",
            Drift::Gone => "gone",
            Drift::Changed => "changed",
            Drift::Unchecked => "unchecked",
        }
    }
}

/// A difference, or what kept it from being looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What is different.
    pub drift: Drift,
    /// The column that it is about; for a new property the name that a column of it could have,
    /// none where only the whole row can show it.
    pub column: Option<String>,
    /// The property, as the column option `field` has it.
    pub field: Option<String>,
    /// The type that would show a new property.
    pub ty: Option<Type>,
    /// What was seen, as a sentence without its full stop. May quote a value.
    pub message: String,
}

impl Finding {
    fn of_table(drift: Drift, message: impl Into<String>) -> Self {
        Self { drift, column: None, field: None, ty: None, message: message.into() }
    }

    fn of_column(drift: Drift, column: &Shown, field: Option<String>, message: String) -> Self {
        Self { drift, column: Some(column.name.clone()), field, ty: None, message }
    }
}

/// A column of a foreign table.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// Where its values come from; none where the resource has nothing for it.
    pub source: Option<Source>,
    /// How its values are decoded.
    pub kind: Kind,
}

/// The columns that the import would make of a resource.
pub fn imported(resource: &Resource) -> Vec<Shown> {
    let columns = columns(Catalogue::bundled(), resource).into_iter();
    columns
        .map(|column| Shown {
            kind: kind(&column.ty),
            name: column.name,
            source: Some(column.source),
        })
        .collect()
}

fn kind(ty: &Type) -> Kind {
    match ty {
        Type::Uuid => Kind::Uuid,
        Type::Text => Kind::Text,
        Type::Boolean => Kind::Bool,
        Type::Integer => Kind::Int { bits: 32 },
        Type::Bigint => Kind::Int { bits: 64 },
        Type::Double => Kind::Float { bits: 64 },
        Type::Instant => Kind::Instant,
        Type::LocalTimestamp => Kind::LocalTimestamp,
        Type::Date => Kind::Date,
        Type::TimeOfDay => Kind::TimeOfDay,
        Type::Json | Type::Model(_) | Type::List(_) => Kind::Json,
    }
}

/// Rows of an answer.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    rows: Vec<Value>,
    /// The same rows as an array, as they came.
    text: Vec<u8>,
}

impl Sample {
    /// The first rows of an answer. A finding where the answer is not what the resource answers
    /// with.
    pub fn new(resource: &Resource, body: &[u8]) -> Result<Self, Finding> {
        let malformed = |error: serde_json::Error| {
            // Its message would quote the answer.
            let (line, column) = (error.line(), error.column());
            let message =
                format!("awork's answer cannot be read as JSON, at line {line}, column {column}");
            Finding::of_table(Drift::Unchecked, message)
        };
        let whole: &RawValue = serde_json::from_slice(body).map_err(malformed)?;
        let rows: Vec<&RawValue> = match (resource.shape, whole.get().as_bytes().first()) {
            (Shape::List, Some(b'[')) => serde_json::from_str(whole.get()).map_err(malformed)?,
            (Shape::List, _) => {
                let value: Value = serde_json::from_str(whole.get()).map_err(malformed)?;
                let message = format!("awork answers with {}, not with a list", word(&value));
                return Err(Finding::of_table(Drift::Changed, message));
            }
            (Shape::Object, _) if whole.get() == "null" => Vec::new(),
            (Shape::Object, _) => vec![whole],
        };
        let rows = &rows[..rows.len().min(MOST_ROWS)];
        let texts: Vec<&str> = rows.iter().map(|row| row.get()).collect();
        let text = format!("[{}]", texts.join(",")).into_bytes();
        let rows: Vec<Value> = serde_json::from_slice(&text).map_err(malformed)?;
        if matches!(resource.item, Type::Model(_))
            && let Some(row) = rows.iter().find(|row| !row.is_object())
        {
            let message = format!("a row is {}, not an object", word(row));
            return Err(Finding::of_table(Drift::Changed, message));
        }
        Ok(Self { rows, text })
    }

    /// The rows.
    pub fn rows(&self) -> &[Value] {
        &self.rows
    }
}

/// Compares rows of a resource with what the catalogue and a table with these columns say of it.
pub fn compare(resource: &Resource, sample: &Sample, table: &[Shown]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = table
        .iter()
        .filter(|column| column.source.is_none())
        .map(|column| {
            let message = "the column stands for nothing that this version knows of, \
                           and a query that reads it fails";
            Finding::of_column(Drift::Gone, column, None, message.to_owned())
        })
        .collect();
    if sample.rows.is_empty() {
        let message = "awork sent no rows, so nothing is known of the columns";
        findings.push(Finding::of_table(Drift::Unchecked, message));
        return findings;
    }
    findings.extend(new_properties(resource, sample, table));
    for column in table {
        findings.extend(column_drift(resource, sample, column));
    }
    findings
}

/// What an answer other than 200 says of a resource. `keys` is how many keys of parents have been
/// asked for, 0 for a list that takes none.
pub fn refused(resource: &Resource, error: &Error, keys: usize) -> Finding {
    let (drift, message) = match error.kind {
        ErrorKind::NoSuchObject if keys > 0 && resource.shape == Shape::Object => (
            Drift::Unchecked,
            format!("awork has no such object for {keys} keys, so nothing is known of the columns"),
        ),
        ErrorKind::NoSuchObject if keys > 0 => (
            Drift::Gone,
            format!("awork says of {keys} keys that there is nothing, so the path may be gone"),
        ),
        ErrorKind::NoSuchObject | ErrorKind::NotFound => {
            (Drift::Gone, "awork has no such path any more".to_owned())
        }
        ErrorKind::PermissionDenied => (Drift::Gone, error.message.clone()),
        ErrorKind::RefusedRequest => (Drift::Changed, told(error)),
        _ => (Drift::Unchecked, told(error)),
    };
    Finding::of_table(drift, message)
}

/// A finding of a resource that there is no way to ask for.
pub fn unaskable(why: String) -> Finding {
    Finding::of_table(Drift::Unchecked, why)
}

/// A finding of a table whose resource this version does not have.
pub fn unknown_resource(name: &str) -> Finding {
    let message = format!("this version of awork_fdw has no resource \"{name}\"");
    Finding::of_table(Drift::Gone, message)
}

fn told(error: &Error) -> String {
    let parts = std::iter::once(&error.message).chain(&error.detail);
    let parts: Vec<&str> = parts.map(|part| part.trim_end_matches('.')).collect();
    parts.join(". ")
}

/// The model of a resource's rows.
fn model(resource: &Resource) -> Option<&'static Model> {
    match &resource.item {
        Type::Model(name) => Catalogue::bundled().model(name),
        _ => None,
    }
}

/// What the catalogue says of the property at a path.
fn known(resource: &Resource, path: &[String]) -> Option<&'static Property> {
    let (last, parents) = path.split_last()?;
    let mut model = model(resource)?;
    for name in parents {
        let Type::Model(next) = &model.property(name)?.ty else { return None };
        model = Catalogue::bundled().model(next)?;
    }
    model.property(last)
}

/// The values of an unknown property.
#[derive(Default)]
struct Unknown<'s>(Vec<&'s Value>);

fn new_properties(resource: &Resource, sample: &Sample, table: &[Shown]) -> Vec<Finding> {
    let Some(model) = model(resource) else { return Vec::new() };
    let mut unknown: BTreeMap<Vec<String>, Unknown<'_>> = BTreeMap::new();
    for row in sample.rows.iter().filter_map(Value::as_object) {
        look_into(row, model, &mut Vec::new(), &mut unknown);
    }
    let is_shown = |path: &Vec<String>| {
        let mut sources = table.iter().filter_map(|column| column.source.as_ref());
        sources.any(|source| matches!(source, Source::Field(shown) if shown == path))
    };
    unknown.retain(|path, _| !is_shown(path));
    let more = unknown.len().saturating_sub(MOST_NEW);
    let mut names: Vec<String> = table.iter().map(|column| column.name.clone()).collect();
    let mut findings: Vec<Finding> = unknown
        .into_iter()
        .take(MOST_NEW)
        .map(|(path, values)| new_property(&path, &values.0, sample.rows.len(), &mut names))
        .collect();
    if more > 0 {
        let message = format!("awork sends {more} more properties that are not listed here");
        findings.push(Finding::of_table(Drift::New, message));
    }
    findings
}

/// Collects what a model does not know of an object and of the objects in it. What is in arrays
/// no column can show by itself.
fn look_into<'s>(
    object: &'s Map<String, Value>,
    model: &Model,
    path: &mut Vec<String>,
    unknown: &mut BTreeMap<Vec<String>, Unknown<'s>>,
) {
    for (name, value) in object {
        path.push(name.clone());
        match (model.property(name), value) {
            (None, _) => unknown.entry(path.clone()).or_default().0.push(value),
            (Some(Property { ty: Type::Model(nested), .. }), Value::Object(object))
                if path.len() < DEPTH =>
            {
                if let Some(nested) = Catalogue::bundled().model(nested) {
                    look_into(object, nested, path, unknown);
                }
            }
            _ => {}
        }
        path.pop();
    }
}

fn new_property(
    path: &[String],
    values: &[&Value],
    rows: usize,
    names: &mut Vec<String>,
) -> Finding {
    let mut words: Vec<&str> = values.iter().map(|value| word(value)).collect();
    words.sort_unstable();
    words.dedup();
    let message = format!(
        "awork sends a property that this version does not know, as {} in {} of {rows} rows",
        words.join(" or "),
        values.len(),
    );
    // What the option "field" cannot name, only the whole row shows.
    let is_nameable =
        |name: &String| !name.is_empty() && !name.contains('/') && !name.contains(char::is_control);
    let column = path.iter().all(is_nameable).then(|| free_name(&column_name(path), names));
    names.extend(column.clone());
    Finding {
        drift: Drift::New,
        ty: column.is_some().then(|| guess(path, values)),
        column,
        field: Some(shown_path(path)),
        message,
    }
}

/// A name that no other column has.
fn free_name(wanted: &str, taken: &[String]) -> String {
    let named = |suffix: &str| {
        let end = wanted.floor_char_boundary(LONGEST_NAME - suffix.len());
        format!("{}{suffix}", &wanted[..end])
    };
    let mut name = named("");
    for number in 2.. {
        if !taken.contains(&name) {
            break;
        }
        name = named(&format!("_{number}"));
    }
    name
}

/// The narrowest type that has all of these values.
fn guess(path: &[String], values: &[&Value]) -> Type {
    let values: Vec<&Value> = values.iter().copied().filter(|value| !value.is_null()).collect();
    let all = |is: &dyn Fn(&Value) -> bool| values.iter().all(|value| is(value));
    let text = |is: fn(&str) -> bool| values.iter().all(|value| value.as_str().is_some_and(is));
    let is_local = path.last().is_some_and(|name| name.ends_with("Local"));
    match () {
        // Only null so far, which says nothing.
        () if values.is_empty() => Type::Json,
        () if all(&Value::is_boolean) => Type::Boolean,
        () if all(&Value::is_i64) => Type::Bigint,
        () if all(&Value::is_number) => Type::Double,
        () if text(|text| text.len() == 36 && Uuid::try_parse(text).is_ok()) => Type::Uuid,
        () if text(|text| text.len() == 10 && time::date(text.as_bytes()).is_some()) => Type::Date,
        () if text(|text| text.contains('T') && time::instant(text.as_bytes()).is_some()) => {
            if is_local {
                Type::LocalTimestamp
            } else {
                Type::Instant
            }
        }
        () if all(&Value::is_string) => Type::Text,
        () => Type::Json,
    }
}

fn column_drift(resource: &Resource, sample: &Sample, column: &Shown) -> Vec<Finding> {
    let Some(source) = &column.source else { return Vec::new() };
    let paths = match source {
        Source::Parameter(_) => return Vec::new(),
        Source::Field(path) => vec![path.clone()],
        Source::InstantOf { date, time } => vec![vec![date.clone()], vec![time.clone()]],
        Source::SetWithout { set, unset } => vec![vec![set.clone()], vec![unset.clone()]],
        Source::CustomField(_) => vec![vec![custom_fields::PROPERTY.to_owned()]],
    };
    let field = |path: &[String]| (!path.is_empty()).then(|| shown_path(path));
    let mut findings = Vec::new();
    for path in &paths {
        if let Some(missing) = missing(sample, path) {
            let rows = sample.rows.len();
            let message =
                format!("awork sent it in none of {rows} rows: it may be gone, or null everywhere");
            findings.push(Finding::of_column(Drift::Gone, column, field(missing), message));
        }
    }
    if let Some(message) = misfit(sample, column, source) {
        let path = if let [path] = &paths[..] { field(path) } else { None };
        findings.push(Finding::of_column(Drift::Changed, column, path, message));
        return findings;
    }
    for path in &paths {
        if let Some(message) = other_than_known(resource, sample, path) {
            findings.push(Finding::of_column(Drift::Changed, column, field(path), message));
        }
    }
    findings
}

/// The beginning of a path that came in no row though it could have.
fn missing<'p>(sample: &Sample, path: &'p [String]) -> Option<&'p [String]> {
    let mut objects: Vec<&Value> = sample.rows.iter().filter(|row| row.is_object()).collect();
    for (depth, name) in path.iter().enumerate() {
        let values: Vec<&Value> = objects.iter().filter_map(|object| object.get(name)).collect();
        if values.is_empty() && !objects.is_empty() {
            return Some(&path[..=depth]);
        }
        objects = values.into_iter().filter(|value| value.is_object()).collect();
    }
    None
}

/// Why a scan of the column would fail, or show null where the table wants that, with the first
/// value that does not fit.
fn misfit(sample: &Sample, column: &Shown, source: &Source) -> Option<String> {
    let target = Target { name: column.name.clone(), source: source.clone(), kind: column.kind };
    match decode::page(&sample.text, Shape::List, &Projection::new(&[target], false)) {
        Ok(_) => None,
        Err(DecodeError::Malformed(why)) => Some(format!("awork's rows cannot be read: {why}")),
        Err(DecodeError::Value(bad)) => {
            let object = bad.id.map_or(String::new(), |id| format!(" of the object {id}"));
            Some(format!(
                "value {}{object} {}; a query that reads it fails unless on_type_mismatch is 'null'",
                bad.text, bad.reason
            ))
        }
    }
}

/// What is other than the catalogue says, though the column can show it.
fn other_than_known(resource: &Resource, sample: &Sample, path: &[String]) -> Option<String> {
    let (ty, nullable) = match known(resource, path) {
        Some(property) => (&property.ty, property.nullable),
        None if path.is_empty() && !matches!(resource.item, Type::Model(_)) => {
            (&resource.item, true)
        }
        None => return None,
    };
    let values: Vec<&Value> = sample.rows.iter().filter_map(|row| at(row, path)).collect();
    let is_other = |value: &&&Value| !value.is_null() && !is_of(value, ty);
    if let Some(other) = values.iter().find(is_other) {
        return Some(format!(
            "awork sends {} where the specification has {}",
            word(other),
            noun(ty)
        ));
    }
    let nulls = values.iter().filter(|value| value.is_null()).count();
    (nulls > 0 && !nullable).then(|| {
        let rows = values.len();
        format!(
            "awork sends null in {nulls} of {rows} rows, of which the specification says nothing"
        )
    })
}

/// The value at a path; none where there is no such property, or nothing to have it.
fn at<'v>(row: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(row, |value, name| value.get(name))
}

/// Whether a value is of the kind of JSON that a type is written as.
fn is_of(value: &Value, ty: &Type) -> bool {
    match ty {
        Type::Boolean => value.is_boolean(),
        Type::Integer | Type::Bigint | Type::Double => value.is_number(),
        Type::Model(_) => value.is_object(),
        Type::List(_) => value.is_array(),
        Type::Json => true,
        _ => value.is_string(),
    }
}

/// The kind of JSON that a type is written as.
fn noun(ty: &Type) -> &'static str {
    match ty {
        Type::Boolean => "a boolean",
        Type::Integer | Type::Bigint | Type::Double => "a number",
        Type::Model(_) => "an object",
        Type::List(_) => "an array",
        Type::Json => "any JSON",
        _ => "a string",
    }
}

/// The kind of JSON that a value is.
fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A path as people read it. The names are awork's, and may be anything.
fn shown_path(path: &[String]) -> String {
    let path = path.join("/");
    let path = match path.contains(char::is_control) {
        true => Cow::Owned(path.replace(char::is_control, "\u{FFFD}")),
        false => Cow::Borrowed(&path),
    };
    if path.len() <= 1000 { path.into_owned() } else { excerpt(&path) }
}

#[cfg(test)]
#[path = "drift_tests.rs"]
mod tests;
