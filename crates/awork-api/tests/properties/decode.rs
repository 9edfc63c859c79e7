//! Pages: the same verdict as serde_json, and the same values.

use std::collections::HashSet;
use std::fmt;

use awork_api::catalogue::Shape;
use awork_api::catalogue::columns::Source;
use awork_api::rows::decode::{DecodeError, page};
use awork_api::rows::{Batch, Kind, Projection, Target, time};
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use uuid::Uuid;

use super::{Verdict, documents, hold};

#[test]
fn any_bytes_are_judged_as_by_serde_json() {
    hold("decode: any bytes", 2000, documents::bytes(), |bytes| agree(&bytes));
}

#[test]
fn any_rows_have_the_values_of_serde_json() {
    hold("decode: any rows", 1000, documents::rows(), |text| agree(text.as_bytes()));
}

#[test]
fn changed_pages_have_the_values_of_serde_json() {
    hold("decode: changed pages", 500, documents::changed_pages(), |bytes| agree(&bytes));
}

#[test]
fn custom_fields_have_the_values_of_serde_json() {
    hold("decode: custom fields", 1000, documents::custom_fields(), |text| agree(text.as_bytes()));
}

#[test]
fn of_names_that_come_twice_the_last_counts() {
    let rows = documents::rows_with_repeated_names();
    hold("decode: repeated names", 1000, rows, |text| agree(text.as_bytes()));
}

#[test]
fn single_objects_are_rows() {
    hold("decode: objects", 500, documents::value(), |text| {
        let Ok(value) = serde_json::from_str::<Value>(&text) else { return Ok(()) };
        let rows = if value.is_null() { vec![] } else { vec![value] };
        for wanted in columns(true).chunks(1) {
            let ours = page(text.as_bytes(), Shape::Object, &Projection::new(wanted, true));
            compare(ours, &rows, wanted, has_repeated_names(text.as_bytes()))?;
        }
        Ok(())
    });
}

/// Without a wanted column, with some, and with the whole row.
fn agree(bytes: &[u8]) -> Verdict {
    let ours = page(bytes, Shape::List, &Projection::new(&[], false));
    let theirs = serde_json::from_slice::<Vec<IgnoredAny>>(bytes);
    prop_assert_eq!(ours.map(|batch| batch.rows()).ok(), theirs.map(|rows| rows.len()).ok());
    let theirs = serde_json::from_slice::<Vec<Value>>(bytes);
    let repeated = has_repeated_names(bytes);
    let columns = columns(true);
    // Few rows fit all columns, so that each column is also read alone.
    for wanted in columns.chunks(1).chain([&columns[..]]) {
        let ours = page(bytes, Shape::List, &Projection::new(wanted, true));
        // What it refuses for its depth, its numbers or its encoding may be a page all the same.
        if let Ok(rows) = &theirs {
            compare(ours, rows, wanted, repeated)?;
        }
    }
    Ok(())
}

fn columns(whole: bool) -> Vec<Target> {
    let columns = [
        ("id", Kind::Uuid),
        ("name", Kind::Text),
        ("n", Kind::Int { bits: 32 }),
        ("m", Kind::Int { bits: 64 }),
        ("x", Kind::Float { bits: 64 }),
        ("r", Kind::Float { bits: 32 }),
        ("on", Kind::Instant),
        ("d", Kind::Date),
        ("t", Kind::TimeOfDay),
        ("b", Kind::Bool),
        ("o", Kind::Json),
        ("o/name", Kind::Text),
        ("p/name", Kind::Text),
        ("p/o/name", Kind::Text),
        ("p", Kind::Presence),
        ("createdOn", Kind::LocalTimestamp),
    ];
    let attrs = whole.then_some(("", Kind::Json));
    let target = |(path, kind): (&str, Kind)| Target {
        name: path.to_owned(),
        source: Source::Field(
            path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        ),
        kind,
    };
    let custom_field = |(field, kind): (&str, Kind)| Target {
        name: field.to_owned(),
        source: Source::CustomField(Uuid::try_parse(field).unwrap()),
        kind,
    };
    let [first, second] = documents::CUSTOM_FIELDS;
    let fields = [(first, Kind::Text), (first, Kind::Json), (second, Kind::Float { bits: 64 })];
    let fields = fields.into_iter().map(custom_field);
    columns.into_iter().chain(attrs).map(target).chain(fields).collect()
}

/// Compares rows with what serde_json reads. A value of a name that comes again may be refused.
fn compare(
    ours: Result<Batch, DecodeError>,
    rows: &[Value],
    columns: &[Target],
    repeated: bool,
) -> Verdict {
    let expected: Option<Vec<Vec<Cell>>> =
        rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect()).collect();
    let batch = match (ours, expected.is_some()) {
        (Ok(batch), _) => batch,
        (Err(_), false) => return Ok(()),
        (Err(_), true) if repeated => return Ok(()),
        (Err(error), true) => return Err(TestCaseError::fail(format!("refused: {error:?}"))),
    };
    let Some(expected) = expected else {
        return Err(TestCaseError::fail("accepted, although a value does not fit"));
    };
    prop_assert_eq!(batch.rows(), rows.len());
    for (row, expected) in expected.iter().enumerate() {
        for (at, cell) in expected.iter().enumerate() {
            let (words, nulls) = batch.row(row);
            let is_same = match cell {
                Cell::Null => nulls[at],
                _ if nulls[at] => false,
                Cell::Word(word) => words[at] == *word,
                Cell::Uuid(uuid) => batch.uuid(row, at) == Some(*uuid.as_bytes()),
                Cell::Text(text) => batch.text(row, at) == Some(text),
                Cell::Json(value) => {
                    let text = batch.text(row, at).unwrap_or_default();
                    serde_json::from_str::<Value>(text).is_ok_and(|ours| ours == *value)
                }
            };
            prop_assert!(is_same, "row {} column {}: not {:?}", row, columns[at].name, cell);
        }
    }
    Ok(())
}

#[derive(Debug)]
enum Cell {
    Null,
    Word(u64),
    Uuid(Uuid),
    Text(String),
    Json(Value),
}

/// The cell of a row; none where the value does not fit.
fn cell(row: &Value, column: &Target) -> Option<Cell> {
    let path = match &column.source {
        Source::Field(path) => path,
        Source::CustomField(id) => {
            return custom_field(row.as_object()?.get("customFields"), id, column.kind);
        }
        _ => unreachable!(),
    };
    let mut value = row;
    // Only the column of the whole row shows what is no object.
    if row.is_null() || (!path.is_empty() && !row.is_object()) {
        return None;
    }
    for name in path {
        value = match value {
            Value::Object(parts) => parts.get(name).unwrap_or(&Value::Null),
            Value::Null => &Value::Null,
            _ => return None,
        };
    }
    cell_of(value, column.kind)
}

/// The last value of a custom field among those of a row; none where one does not fit.
fn custom_field(values: Option<&Value>, id: &Uuid, kind: Kind) -> Option<Cell> {
    let values = match values {
        None | Some(Value::Null) => return Some(Cell::Null),
        Some(values) => values.as_array()?,
    };
    let is_this = |entry: &&Value| {
        let definition = entry.get("customFieldDefinitionId").and_then(Value::as_str);
        definition.and_then(|text| Uuid::try_parse(text).ok()) == Some(*id)
    };
    let mut last = Cell::Null;
    for entry in values.iter().filter(is_this) {
        let option = entry["selectionOption"].get("value").unwrap_or(&Value::Null);
        let names =
            ["textValue", "numberValue", "dateValue", "moneyValue", "selectionOptionIdValue"];
        let places = std::iter::once(option).chain(names.iter().map(|name| &entry[*name]));
        let value = places.into_iter().find(|value| !value.is_null()).unwrap_or(&Value::Null);
        last = cell_of(value, kind)?;
    }
    Some(last)
}

/// A value as a column of this kind has it.
fn cell_of(value: &Value, kind: Kind) -> Option<Cell> {
    let word = |value: i64| Cell::Word(value as u64);
    let at = |parse: fn(&[u8]) -> Option<i64>| {
        value.as_str().and_then(|text| parse(text.as_bytes())).map(word)
    };
    match (kind, value) {
        (Kind::Presence, value) => Some(Cell::Word(u64::from(!value.is_null()))),
        (_, Value::Null) => Some(Cell::Null),
        (Kind::Bool, value) => value.as_bool().map(|is| Cell::Word(is.into())),
        (Kind::Int { bits }, Value::Number(number)) => {
            let whole = match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => whole,
                (None, Some(float)) if float.fract() == 0.0 && float.abs() < 2_f64.powi(63) => {
                    float as i64
                }
                _ => return None,
            };
            let fits = bits == 64 || i32::try_from(whole).is_ok();
            fits.then(|| word(whole))
        }
        (Kind::Float { bits: 64 }, Value::Number(n)) => Some(Cell::Word(n.as_f64()?.to_bits())),
        (Kind::Float { .. }, Value::Number(number)) => {
            let number = number.as_f64()?;
            let fits = number.abs() <= f64::from(f32::MAX);
            fits.then(|| word(i64::from((number as f32).to_bits() as i32)))
        }
        (Kind::Uuid, value) => Uuid::try_parse(value.as_str()?).ok().map(Cell::Uuid),
        (Kind::Instant, _) => at(time::instant),
        (Kind::LocalTimestamp, _) => at(time::local_timestamp),
        (Kind::TimeOfDay, _) => at(time::time_of_day),
        (Kind::Date, _) => at(|text| time::date(text).map(i64::from)),
        (Kind::Text, Value::String(text)) => {
            (!text.contains('\0')).then(|| Cell::Text(text.clone()))
        }
        (Kind::Text, value) => Some(Cell::Json(value.clone())),
        (Kind::Json, value) => (!has_nul(value)).then(|| Cell::Json(value.clone())),
        (Kind::Int { .. } | Kind::Float { .. }, _) => None,
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(parts) => parts.iter().any(|(name, v)| name.contains('\0') || has_nul(v)),
        _ => false,
    }
}

/// Whether an object has a name twice.
fn has_repeated_names(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Names>(bytes).is_ok_and(|names| names.0)
}

/// Reads any value, and whether a name comes twice in an object of it.
struct Names(bool);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Names(false))
    }
}

impl<'de> Visitor<'de> for Names {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Names, A::Error> {
        let mut names = HashSet::new();
        while let Some((name, part)) = map.next_entry::<String, Names>()? {
            self.0 |= part.0 | !names.insert(name);
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Names, A::Error> {
        while let Some(item) = items.next_element::<Names>()? {
            self.0 |= item.0;
        }
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Names, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Names, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Names, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Names, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Names, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Names, E> {
        Ok(self)
    }
}

#[test]
fn nesting_of_any_depth_is_read_and_cut_nesting_refused() {
    const DEPTH: usize = 100_000;
    let mut columns = columns(true);
    columns.retain(|column| ["n", "o", ""].contains(&column.name.as_str()));
    let wanted = Projection::new(&columns, true);
    let without = Projection::new(&columns[..1], true);
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{\"o\":[{\"p\":", "}]}")] {
        let deep = format!("{}1{}", open.repeat(DEPTH), close.repeat(DEPTH));
        for name in ["o", "other"] {
            let text = format!("[{{\"{name}\":{deep}}}]");
            for projection in [&wanted, &without] {
                let batch = page(text.as_bytes(), Shape::List, projection).unwrap();
                assert_eq!(batch.rows(), 1);
            }
            let whole = page(text.as_bytes(), Shape::List, &wanted).unwrap();
            assert_eq!(whole.text(0, columns.len() - 1), Some(&text[1..text.len() - 1]));
            let cut = &text.as_bytes()[..text.len() - DEPTH];
            assert!(page(cut, Shape::List, &wanted).is_err());
        }
        // A value that does not fit is named although the row cannot be shown.
        let text = format!("[{{\"n\":{deep}}}]");
        assert!(matches!(
            page(text.as_bytes(), Shape::List, &wanted),
            Err(DecodeError::Value(bad)) if bad.column == "n" && bad.text.len() < 400
        ));
    }
}

#[test]
fn numbers_may_have_ten_thousand_digits() {
    let mut columns = columns(false);
    columns.retain(|column| ["n", "m", "x", "r", "o"].contains(&column.name.as_str()));
    let projection = Projection::new(&columns, true);
    let digits = "9".repeat(10_000);
    let decode = |text: String| page(text.as_bytes(), Shape::List, &projection);
    let column = |name: &str| columns.iter().position(|column| column.name == name).unwrap();
    for name in ["n", "m", "x", "r"] {
        let bad = decode(format!("[{{\"{name}\":{digits}}}]"));
        assert!(matches!(bad, Err(DecodeError::Value(bad)) if bad.reason.contains("range")));
    }
    let batch = decode(format!("[{{\"x\":0.{digits},\"m\":1.{}}}]", "0".repeat(10_000))).unwrap();
    assert_eq!(f64::from_bits(batch.row(0).0[column("x")]), 1.0);
    assert_eq!(batch.row(0).0[column("m")], 1);
    let batch = decode(format!("[{{\"o\":-{digits}e{digits}}}]")).unwrap();
    assert_eq!(batch.text(0, column("o")).unwrap().len(), 20_002);
}

#[test]
fn texts_may_be_as_large_as_an_answer() {
    const SIZE: usize = 64 * 1024 * 1024;
    let columns = columns(false);
    let projection = Projection::new(&columns, true);
    for text in ["x".repeat(SIZE), "\\u00e4".repeat(SIZE / 60), "\\\\".repeat(SIZE / 20)] {
        let body = format!("[{{\"name\":\"{text}\"}}]");
        let batch = page(body.as_bytes(), Shape::List, &projection).unwrap();
        let read = batch.text(0, 1).unwrap();
        let expected = serde_json::from_str::<String>(&format!("\"{text}\"")).unwrap();
        assert!(read == expected);
    }
    // Half a surrogate pair at the very end is found, and the error shows the beginning only.
    let body = format!("[{{\"name\":\"{}\\ud83d\"}}]", "x".repeat(SIZE));
    let error = page(body.as_bytes(), Shape::List, &projection).unwrap_err();
    assert!(matches!(error, DecodeError::Value(bad) if bad.text.len() < 400));
}
