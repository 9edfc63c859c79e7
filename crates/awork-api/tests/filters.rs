//! Holds what is sent of a condition against the condition itself, for random conditions over
//! random rows: every row that the query wants satisfies the filter, however awork reads it, and
//! no other row does where the filter is said to be exact. The conditions are evaluated by SQL's
//! three values on what PostgreSQL shows, the filters by a reader of their own language.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use awork_api::catalogue::columns::Source;
use awork_api::catalogue::{Catalogue, Support, Type};
use awork_api::filter::classify::Reason;
use awork_api::filter::field::FieldSource;
use awork_api::filter::render::{Said, render};
use awork_api::filter::split::filters;
use awork_api::filter::{
    ColumnType, Comparison, Condition, Exactness, Field, Leaf, Operand, Remote, Value, classify,
};
use fastrand::Rng;

const SEED: u64 = 20_261_015;
const CONDITIONS: usize = 5_000;
const ROWS: usize = 8;

/// A hundred nanoseconds, the unit of the service's times.
const TICKS: i64 = 10_000_000;
const DAY: i64 = 86_400 * TICKS;

/// A value as the service stores it.
#[derive(Debug, Clone, PartialEq)]
enum Raw {
    Null,
    /// A part of an object that is not there.
    NoObject,
    Bool(bool),
    Int(i64),
    Double(f64),
    Uuid([u8; 16]),
    Text(String),
    /// Ticks since 2000, or since midnight.
    At(i64),
}

type Row = HashMap<&'static str, Raw>;

/// How the service may read a filter.
#[derive(Debug, Clone, Copy)]
struct Reading {
    case_counts: bool,
    blanks_count: bool,
    ne_finds_null: bool,
    /// Whether a part of a missing object equals null.
    missing_is_null: bool,
}

fn readings() -> Vec<Reading> {
    (0..16)
        .map(|bits| Reading {
            case_counts: bits & 1 > 0,
            blanks_count: bits & 2 > 0,
            ne_finds_null: bits & 4 > 0,
            missing_is_null: bits & 8 > 0,
        })
        .collect()
}

// The columns.

/// Columns of the catalogue, each twice: as it is, and as if its filter were known to work.
fn fields() -> Vec<Field> {
    use ColumnType as Column;
    let path = |path: &str| Source::Field(path.split('/').map(str::to_owned).collect());
    let started = Source::InstantOf { date: "startDateUtc".into(), time: "startTimeUtc".into() };
    let running = Source::SetWithout { set: "startTimeUtc".into(), unset: "endTimeUtc".into() };
    let columns = [
        ("time_entries", path("projectId"), Column::Uuid),
        ("time_entries", path("typeOfWorkId"), Column::Uuid),
        ("time_entries", path("isBillable"), Column::Boolean),
        ("projects", path("isBillableByDefault"), Column::Boolean),
        ("time_entries", path("duration"), Column::Integer),
        ("time_entries", path("duration"), Column::Numeric),
        ("time_entries", path("breakDuration"), Column::Float),
        ("projects", path("plannedDuration"), Column::Integer),
        ("tasks", path("laneOrder"), Column::Integer),
        ("tasks", path("order"), Column::Float),
        ("tasks", path("subtaskOrder"), Column::Float),
        ("time_entries", path("createdOn"), Column::Timestamp),
        ("time_entries", path("createdOn"), Column::Date),
        ("tasks", path("dueOn"), Column::Timestamp),
        ("time_entries", path("startDateUtc"), Column::Timestamp),
        ("time_entries", path("startDateUtc"), Column::Date),
        ("time_entries", path("startDateLocal"), Column::Timestamp),
        ("time_bookings", path("startDate"), Column::Date),
        ("time_bookings", path("startDate"), Column::Timestamp),
        ("time_entries", path("startTimeUtc"), Column::Other),
        ("time_entries", path("note"), Column::Text),
        ("projects", path("name"), Column::Text),
        ("time_entries", path("project/name"), Column::Text),
        ("time_entries", path("project/id"), Column::Uuid),
        ("tasks", path("taskStatus/type"), Column::Text),
        ("time_entries", started, Column::Timestamp),
        ("time_entries", running, Column::Boolean),
    ];
    let mut fields = Vec::new();
    for (resource, source, column) in columns {
        let resource = Catalogue::bundled().resource(resource).unwrap();
        let field = Field::new(resource, &source, column).unwrap();
        fields.push(Field { filter: Support::Yes, ..field.clone() });
        fields.push(field);
    }
    fields
}

/// Whether the test takes this column for a `real`, which shows fewer digits.
fn is_real(path: &str) -> bool {
    matches!(path, "breakDuration" | "subtaskOrder")
}

// Random values, close to each other so that bounds are met.

const MOMENTS: [i64; 12] =
    [0, 1, 4, 5, 6, 15, TICKS / 2, TICKS - 10, TICKS - 6, TICKS - 5, TICKS - 1, TICKS];
const TEXTS: [&str; 14] =
    ["a", "A", "a ", "ab", "AB ", "b", "", " ", "a'b", "x a", "Ä", "ä b", "abc", "a\\b"];
const NUMBERS: [f64; 9] = [-1.5, -1.0, -0.5, 0.0, 0.1, 1.0, 1.5, 2.0, 16_777_217.0];
const BIG: [i64; 6] = [i64::MIN, i64::MAX, 2_147_483_648, -2_147_483_649, 1 << 53, (1 << 53) + 1];

fn moment(rng: &mut Rng) -> i64 {
    let day = rng.i64(-1..=1) * DAY;
    let end = if rng.bool() { DAY - TICKS } else { 0 };
    day + end + rng.choice(MOMENTS).unwrap()
}

fn row(rng: &mut Rng) -> Row {
    let mut row = Row::new();
    let mut set = |name, nullable: bool, value: Raw, rng: &mut Rng| {
        let value = if nullable && rng.u8(0..4) == 0 { Raw::Null } else { value };
        row.insert(name, value);
    };
    for (name, nullable) in [("projectId", true), ("typeOfWorkId", false)] {
        set(name, nullable, Raw::Uuid([rng.u8(0..3); 16]), rng);
    }
    for (name, nullable) in [("isBillable", false), ("isBillableByDefault", true)] {
        set(name, nullable, Raw::Bool(rng.bool()), rng);
    }
    let small = |rng: &mut Rng| match rng.u8(0..8) {
        0 => i32::MAX.into(),
        1 => i32::MIN.into(),
        2 => 16_777_217,
        _ => rng.i64(-2..3),
    };
    for (name, nullable) in [("duration", true), ("breakDuration", true), ("laneOrder", false)] {
        set(name, nullable, Raw::Int(small(rng)), rng);
    }
    let big = if rng.bool() { rng.choice(BIG).unwrap() } else { small(rng) };
    set("plannedDuration", true, Raw::Int(big), rng);
    for (name, nullable) in [("order", false), ("subtaskOrder", true)] {
        set(name, nullable, Raw::Double(rng.choice(NUMBERS).unwrap()), rng);
    }
    for (name, nullable) in [("createdOn", false), ("dueOn", true)] {
        set(name, nullable, Raw::At(moment(rng)), rng);
    }
    for (name, nullable) in [("startDateUtc", true), ("startDateLocal", true)] {
        set(
            name,
            nullable,
            Raw::At(rng.i64(-1..=1) * DAY + rng.choice([0, DAY / 2]).unwrap()),
            rng,
        );
    }
    set("startDate", false, Raw::At(rng.i64(-2..=2) * DAY), rng);
    for name in ["startTimeUtc", "endTimeUtc"] {
        let time = if rng.bool() { moment(rng).rem_euclid(DAY) } else { DAY - 1 };
        set(name, true, Raw::At(time), rng);
    }
    let text = |rng: &mut Rng| Raw::Text(rng.choice(TEXTS).unwrap().to_owned());
    set("note", true, text(rng), rng);
    set("name", false, text(rng), rng);
    set("taskStatus/type", true, text(rng), rng);
    let has_project = rng.bool();
    set("project/name", true, if has_project { text(rng) } else { Raw::NoObject }, rng);
    let id = Raw::Uuid([rng.u8(0..3); 16]);
    set("project/id", true, if has_project { id } else { Raw::NoObject }, rng);
    row
}

/// A value to compare the column with.
fn value(field: &Field, rng: &mut Rng) -> Value {
    if rng.u8(0..12) == 0 {
        return if rng.bool() { Value::Null } else { Value::Other };
    }
    let micros = |rng: &mut Rng| match rng.u8(0..16) {
        0 => i64::MAX,
        1 => i64::MIN,
        // Before Christ.
        2 => -63_113_904_000_000_000 - 86_400_000_000,
        3..=5 => rng.i64(-1..=1) * DAY / 10,
        _ => moment(rng).div_euclid(10) + rng.i64(-1..=1),
    };
    match field.column {
        ColumnType::Uuid => Value::Uuid([rng.u8(0..4); 16]),
        ColumnType::Boolean => Value::Bool(rng.bool()),
        ColumnType::Integer | ColumnType::Numeric => match rng.u8(0..6) {
            0 => Value::Float(rng.choice([0.5, -0.5, 1.0, f64::INFINITY, f64::NAN, 3e9]).unwrap()),
            1 => {
                let texts = ["1.50", "2.000", "-0.5", "-1", "9223372036854775808", "NaN"];
                Value::Numeric(rng.choice(texts).unwrap().into())
            }
            2 => Value::Int(rng.choice(BIG).unwrap()),
            3 => Value::Int(rng.choice([i32::MAX, i32::MIN, 16_777_216]).unwrap().into()),
            _ => Value::Int(rng.i64(-2..3)),
        },
        ColumnType::Float => match rng.u8(0..8) {
            0 => Value::Float(rng.choice([f64::INFINITY, f64::NEG_INFINITY, f64::NAN]).unwrap()),
            1 => Value::Int(rng.i64(-2..3)),
            2 => Value::Int(16_777_216),
            _ => {
                let number = rng.choice(NUMBERS).unwrap();
                let real = field.path().is_some_and(is_real);
                Value::Float(if real { f64::from(number as f32) } else { number })
            }
        },
        ColumnType::Timestamp => Value::Timestamp(micros(rng)),
        ColumnType::Date => Value::Date(match rng.u8(0..12) {
            0 => i32::MAX,
            1 => i32::MIN,
            2 => -730_500,
            _ => rng.i32(-3..=3),
        }),
        ColumnType::Text => Value::Text(match rng.u8(0..16) {
            0 => "a".repeat(301),
            _ => rng.choice(TEXTS).unwrap().into(),
        }),
        ColumnType::Other => Value::Other,
    }
}

fn pattern(rng: &mut Rng) -> Value {
    let parts = ["a", "A", "b", " ", "%", "_", "\\%", "\\\\", "'", "%", "ab"];
    if rng.bool() {
        return Value::Text((0..rng.usize(0..5)).map(|_| rng.choice(parts).unwrap()).collect());
    }
    let wild = |rng: &mut Rng| rng.choice(["", "%", "_", " %"]).unwrap();
    let (before, after) = (wild(rng), wild(rng));
    Value::Text(format!("{before}{}{after}", rng.choice(TEXTS).unwrap()))
}

fn leaf(fields: &[Field], values: &mut Vec<Value>, rng: &mut Rng) -> Leaf {
    let field = fields[rng.usize(0..fields.len())].clone();
    let mut operand = |value: Value, rng: &mut Rng| {
        if rng.bool() {
            return Operand::Constant(value);
        }
        values.push(value);
        Operand::Expression(values.len() - 1)
    };
    let array = |rng: &mut Rng| match rng.u8(0..12) {
        0 => Value::Null,
        _ => Value::Array((0..rng.usize(0..4)).map(|_| value(&field, rng)).collect()),
    };
    let kinds = if field.column == ColumnType::Text { 9 } else { 7 };
    match rng.u8(0..kinds) {
        0..=1 => {
            use Comparison::*;
            let comparison = rng.choice([Eq, Ne, Lt, Le, Gt, Ge]).unwrap();
            let value = value(&field, rng);
            Leaf::Compare(field, comparison, operand(value, rng))
        }
        2 => Leaf::Null(field, rng.bool()),
        3..=4 => {
            let value = value(&field, rng);
            Leaf::Same(field, operand(value, rng), rng.bool())
        }
        5 => {
            let array = array(rng);
            Leaf::AnyOf(field, operand(array, rng))
        }
        6 => {
            let array = array(rng);
            Leaf::NoneOf(field, operand(array, rng))
        }
        7 => Leaf::Like(field, operand(pattern(rng), rng)),
        _ => {
            let value = value(&field, rng);
            Leaf::StartsWith(field, operand(value, rng))
        }
    }
}

fn condition(fields: &[Field], values: &mut Vec<Value>, depth: u8, rng: &mut Rng) -> Condition {
    let many = |values: &mut Vec<Value>, rng: &mut Rng| {
        (0..rng.usize(1..4)).map(|_| condition(fields, values, depth - 1, rng)).collect()
    };
    match rng.u8(0..10) {
        0..=2 if depth > 0 => Condition::And(many(values, rng)),
        3..=5 if depth > 0 => Condition::Or(many(values, rng)),
        6..=7 if depth > 0 => Condition::Not(Box::new(condition(fields, values, depth - 1, rng))),
        8 if depth > 0 && rng.bool() => {
            Condition::Local(Reason { column: None, why: rng.u8(0..9).to_string() })
        }
        _ => Condition::Leaf(leaf(fields, values, rng)),
    }
}

// SQL.

/// Ticks to microseconds as PostgreSQL rounds them: half to even.
fn micros(ticks: i64) -> i64 {
    let (whole, rest) = (ticks.div_euclid(10), ticks.rem_euclid(10));
    whole + i64::from(rest > 5 || (rest == 5 && whole % 2 != 0))
}

/// What PostgreSQL shows in the column.
fn shown(field: &Field, row: &Row) -> Value {
    let path = match &field.source {
        FieldSource::Property(path) => path.as_str(),
        FieldSource::InstantOf { date, time } => {
            return match (&row[date.as_str()], &row[time.as_str()]) {
                (Raw::At(date), Raw::At(time)) => {
                    Value::Timestamp(date.div_euclid(DAY) * DAY / 10 + micros(*time))
                }
                _ => Value::Null,
            };
        }
        FieldSource::SetWithout { set, unset } => {
            let is_null = |name: &str| row[name] == Raw::Null;
            return Value::Bool(!is_null(set) && is_null(unset));
        }
    };
    let real = |number: f64| if is_real(path) { f64::from(number as f32) } else { number };
    match (&row[path], field.column) {
        (Raw::Null | Raw::NoObject, _) => Value::Null,
        (Raw::Int(number), ColumnType::Float) => Value::Float(real(*number as f64)),
        (Raw::Double(number), _) => Value::Float(real(*number)),
        (Raw::Int(number), _) => Value::Int(*number),
        (Raw::Bool(value), _) => Value::Bool(*value),
        (Raw::Uuid(id), _) => Value::Uuid(*id),
        (Raw::Text(text), _) => Value::Text(text.clone()),
        (Raw::At(at), ColumnType::Date) => Value::Date(at.div_euclid(DAY) as i32),
        (Raw::At(at), ColumnType::Timestamp) => Value::Timestamp(micros(*at)),
        (Raw::At(_), _) => Value::Other,
    }
}

/// PostgreSQL's order, in which no number is above NaN.
fn floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// How two values compare; none where one is null. What means nothing here compares anyhow.
fn compared(a: &Value, b: &Value, row: &Row) -> Option<Ordering> {
    let number = |text: &str| text.parse::<f64>().unwrap();
    Some(match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Int(a), Value::Float(b)) => floats(*a as f64, *b),
        (Value::Float(a), Value::Int(b)) => floats(*a, *b as f64),
        (Value::Float(a), Value::Float(b)) => floats(*a, *b),
        (Value::Int(a), Value::Numeric(b)) => match b.parse::<i128>() {
            Ok(b) => i128::from(*a).cmp(&b),
            Err(_) => floats(*a as f64, number(b)),
        },
        (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Null, _) | (_, Value::Null) => return None,
        (Value::Other, _) | (_, Value::Other) => match arbitrary(&"order", row) {
            Some(true) => Ordering::Less,
            Some(false) => Ordering::Greater,
            None => Ordering::Equal,
        },
        _ => panic!("{a:?} is compared with {b:?}"),
    })
}

fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|at| like(&text[at..], rest)),
        ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        ['\\', c, rest @ ..] | [c, rest @ ..] => text.first() == Some(c) && like(&text[1..], rest),
    }
}

/// Whether one of them is true; none where that hangs on one that is unknown.
fn any(truths: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let truths: Vec<Option<bool>> = truths.collect();
    if truths.contains(&Some(true)) {
        return Some(true);
    }
    if truths.contains(&None) { None } else { Some(false) }
}

/// An answer that depends on what is asked and the row, and on nothing that awork could know.
fn arbitrary(what: &impl Hash, row: &Row) -> Option<bool> {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    let mut values: Vec<String> = row.iter().map(|(k, v)| format!("{k}{v:?}")).collect();
    values.sort_unstable();
    values.hash(&mut hasher);
    [Some(true), Some(false), None][(hasher.finish() % 3) as usize]
}

fn equals(column: &Value, other: &Value, row: &Row) -> Option<bool> {
    match (column, other) {
        (Value::Null, _) | (_, Value::Null) => None,
        _ => compared(column, other, row).map(Ordering::is_eq),
    }
}

fn sql_leaf(leaf: &Leaf, values: &[Value], row: &Row) -> Option<bool> {
    let column = shown(leaf.field(), row);
    let operand = match leaf.operand() {
        Some(Operand::Constant(value)) => value,
        Some(Operand::Expression(number)) => &values[*number],
        None => &Value::Null,
    };
    let elements = |operand: &Value| match operand {
        Value::Array(elements) => Some(elements.clone()),
        _ => None,
    };
    match leaf {
        Leaf::Null(_, null) => Some((column == Value::Null) == *null),
        Leaf::Same(_, _, same) => {
            let both_null = column == Value::Null && *operand == Value::Null;
            let equal = both_null || equals(&column, operand, row) == Some(true);
            Some(equal == *same)
        }
        Leaf::Compare(_, comparison, _) => {
            let order = compared(&column, operand, row)?;
            Some(match comparison {
                Comparison::Eq => order.is_eq(),
                Comparison::Ne => order.is_ne(),
                Comparison::Lt => order.is_lt(),
                Comparison::Le => order.is_le(),
                Comparison::Gt => order.is_gt(),
                Comparison::Ge => order.is_ge(),
            })
        }
        Leaf::AnyOf(..) => any(elements(operand)?.iter().map(|e| equals(&column, e, row))),
        Leaf::NoneOf(..) => {
            any(elements(operand)?.iter().map(|e| equals(&column, e, row))).map(|truth| !truth)
        }
        Leaf::Like(..) | Leaf::StartsWith(..) => match (&column, operand) {
            (Value::Text(text), Value::Text(pattern)) => Some(match leaf {
                Leaf::Like(..) => {
                    let chars = |text: &str| text.chars().collect::<Vec<_>>();
                    like(&chars(text), &chars(pattern))
                }
                _ => text.starts_with(pattern.as_str()),
            }),
            (Value::Text(_), Value::Other) => arbitrary(&"like", row),
            _ => None,
        },
    }
}

fn sql(condition: &Condition, values: &[Value], row: &Row) -> Option<bool> {
    let not = |truth: Option<bool>| truth.map(|truth| !truth);
    match condition {
        Condition::And(parts) => not(any(parts.iter().map(|p| not(sql(p, values, row))))),
        Condition::Or(parts) => any(parts.iter().map(|part| sql(part, values, row))),
        Condition::Not(inner) => not(sql(inner, values, row)),
        Condition::Leaf(leaf) => sql_leaf(leaf, values, row),
        Condition::Local(reason) => arbitrary(&reason.why, row),
    }
}

fn as_condition(remote: &Remote) -> Condition {
    let all = |parts: &[Remote]| parts.iter().map(as_condition).collect();
    match remote {
        Remote::And(parts) => Condition::And(all(parts)),
        Remote::Or(parts) => Condition::Or(all(parts)),
        Remote::Leaf(leaf) => Condition::Leaf(leaf.clone()),
    }
}

// The filter language, as far as it is used.

struct Filter<'a> {
    rest: &'a str,
    row: &'a Row,
    reading: Reading,
}

/// Whether the row satisfies the filter. Panics where the filter is malformed.
fn holds(text: &str, row: &Row, reading: Reading) -> bool {
    let mut filter = Filter { rest: text, row, reading };
    let holds = filter.or();
    assert_eq!(filter.rest, "", "{text}");
    holds
}

impl Filter<'_> {
    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) {
        assert!(self.take(token), "no {token} at {}", self.rest);
    }

    fn or(&mut self) -> bool {
        let mut holds = self.and();
        while self.take(" or ") {
            holds |= self.and();
        }
        holds
    }

    fn and(&mut self) -> bool {
        let mut holds = self.comparison();
        while self.take(" and ") {
            holds &= self.comparison();
        }
        holds
    }

    fn comparison(&mut self) -> bool {
        if self.take("(") {
            let holds = self.or();
            self.expect(")");
            return holds;
        }
        for name in ["startswith(", "endswith(", "substringof("] {
            if self.take(name) {
                let (text, searched) = if name == "substringof(" {
                    let searched = self.text();
                    self.expect(",");
                    (self.property(), searched)
                } else {
                    let text = self.property();
                    self.expect(",");
                    (text, self.text())
                };
                self.expect(")");
                return self.found(name, text, &searched);
            }
        }
        let property = self.property();
        self.expect(" ");
        let word = self.rest[..2].to_owned();
        self.rest = &self.rest[2..];
        self.expect(" ");
        if self.take("null") {
            let is_null = match property {
                Raw::NoObject => self.reading.missing_is_null,
                ref value => *value == Raw::Null,
            };
            return match word.as_str() {
                "eq" => is_null,
                "ne" => !matches!(property, Raw::Null | Raw::NoObject),
                _ => panic!("{word} null"),
            };
        }
        let literal = self.literal();
        if matches!(property, Raw::Null | Raw::NoObject) {
            return word == "ne" && self.reading.ne_finds_null;
        }
        let order = self.ordering(&property, &literal);
        let only_equal = matches!(property, Raw::Bool(_) | Raw::Uuid(_) | Raw::Text(_));
        match word.as_str() {
            "eq" => order.is_eq(),
            "ne" => order.is_ne(),
            _ if only_equal => panic!("{word} orders {property:?}"),
            "lt" => order.is_lt(),
            "le" => order.is_le(),
            "gt" => order.is_gt(),
            "ge" => order.is_ge(),
            _ => panic!("{word}"),
        }
    }

    fn property(&mut self) -> Raw {
        let end = self.rest.find([' ', ',', ')']).unwrap_or(self.rest.len());
        let (path, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.row.get(path).unwrap_or_else(|| panic!("no property {path}")).clone()
    }

    fn text(&mut self) -> String {
        self.expect("'");
        let mut text = String::new();
        loop {
            let end = self.rest.find(['\'', '\\']).expect("the quote is closed");
            text.push_str(&self.rest[..end]);
            assert!(self.rest[end..].starts_with('\''), "an escape may be misread");
            self.rest = &self.rest[end + 1..];
            if !self.take("'") {
                return text;
            }
            text.push('\'');
        }
    }

    fn literal(&mut self) -> Raw {
        if self.rest.starts_with('\'') {
            return Raw::Text(self.text());
        }
        if self.take("guid") {
            return Raw::Uuid(*uuid::Uuid::parse_str(&self.text()).unwrap().as_bytes());
        }
        if self.take("datetime") {
            let text = self.text();
            assert_eq!(text.len(), "2000-01-01T00:00:00".len(), "{text}");
            let at: jiff::civil::DateTime = text.parse().unwrap();
            let since = at.duration_since(jiff::civil::datetime(2000, 1, 1, 0, 0, 0, 0));
            return Raw::At(since.as_secs() * TICKS);
        }
        let end = self.rest.find([' ', ')']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "true" => Raw::Bool(true),
            "false" => Raw::Bool(false),
            _ if word.contains('.') => Raw::Double(word.parse().unwrap()),
            _ => match word.strip_suffix('L') {
                Some(digits) => Raw::Int(digits.parse().unwrap()),
                None => Raw::Int(word.parse::<i32>().unwrap().into()),
            },
        }
    }

    fn folded(&self, text: &str) -> String {
        if self.reading.case_counts { text.to_owned() } else { text.to_lowercase() }
    }

    fn ordering(&self, property: &Raw, literal: &Raw) -> Ordering {
        let trimmed = |text: &str| match self.reading.blanks_count {
            true => self.folded(text),
            false => self.folded(text).trim_end_matches(' ').to_owned(),
        };
        match (property, literal) {
            (Raw::Bool(a), Raw::Bool(b)) => a.cmp(b),
            (Raw::Int(a), Raw::Int(b)) => a.cmp(b),
            (Raw::Int(a), Raw::Double(b)) => (*a as f64).partial_cmp(b).unwrap(),
            (Raw::Double(a), Raw::Double(b)) => a.partial_cmp(b).unwrap(),
            (Raw::Uuid(a), Raw::Uuid(b)) => a.cmp(b),
            (Raw::At(a), Raw::At(b)) => a.cmp(b),
            (Raw::Text(a), Raw::Text(b)) => trimmed(a).cmp(&trimmed(b)),
            _ => panic!("{property:?} is compared with {literal:?}"),
        }
    }

    fn found(&self, name: &str, text: Raw, searched: &str) -> bool {
        let Raw::Text(text) = text else { return false };
        let (text, searched) = (self.folded(&text), self.folded(searched));
        // At worst the blanks count in what is looked for and not in what is there.
        let text = if self.reading.blanks_count { &text } else { text.trim_end_matches(' ') };
        match name {
            "startswith(" => text.starts_with(&searched),
            "endswith(" => text.ends_with(&searched),
            _ => text.contains(&searched),
        }
    }
}

// The properties.

#[derive(Debug, Default)]
struct Counts {
    local: usize,
    exact: usize,
    superset: usize,
    never: usize,
    always: usize,
    unsaid: usize,
    text: usize,
    wanted: usize,
    unwanted: usize,
    split: usize,
}

#[test]
fn every_wanted_row_satisfies_the_filter_and_no_other_an_exact_one() {
    let mut rng = Rng::with_seed(SEED);
    let (fields, readings) = (fields(), readings());
    let mut counts = Counts::default();
    for number in 0..CONDITIONS {
        let mut values = Vec::new();
        let depth = rng.u8(0..4);
        let condition = condition(&fields, &mut values, depth, &mut rng);
        let classified = classify(&condition);
        let Some(remote) = &classified.remote else {
            assert!(!classified.reasons.is_empty(), "{condition:?} is local without a reason");
            counts.local += 1;
            continue;
        };
        let (said, complete) = render(remote, &values);
        let exact = classified.exactness == Exactness::Exact && complete;
        *(if exact { &mut counts.exact } else { &mut counts.superset }) += 1;
        match &said {
            Said::Never => counts.never += 1,
            Said::Always => counts.always += 1,
            Said::Unsaid => counts.unsaid += 1,
            Said::Text(_) => counts.text += 1,
        }
        let whole = as_condition(remote);
        for _ in 0..ROWS {
            let row = row(&mut rng);
            let context = || {
                format!("number {number}: {condition:?}\nof {values:?}\nis {said:?}\nof {row:?}")
            };
            let wanted = sql(&condition, &values, &row) == Some(true);
            *(if wanted { &mut counts.wanted } else { &mut counts.unwanted }) += 1;
            let remotely = sql(&whole, &values, &row) == Some(true);
            assert!(!wanted || remotely, "a wanted row is classified away, {}", context());
            for (path, value) in &row {
                let null = matches!(value, Raw::Null | Raw::NoObject);
                if null && remotely {
                    assert!(!remote.excludes_null(path), "{path} may be null, {}", context());
                }
            }
            for &reading in &readings {
                let satisfied = match &said {
                    Said::Never => false,
                    Said::Always | Said::Unsaid => true,
                    Said::Text(conjunct) => {
                        let texts = conjunct.alternatives.iter();
                        let count = texts.filter(|text| holds(text, &row, reading)).count();
                        assert!(
                            count < 2 || conjunct.overlapping,
                            "the row would come twice, {reading:?}, {}",
                            context()
                        );
                        count > 0
                    }
                };
                assert!(!wanted || satisfied, "a row is lost, {reading:?}, {}", context());
                if exact {
                    assert!(wanted || !satisfied, "a row too many, {reading:?}, {}", context());
                }
            }
            if let Said::Text(conjunct) = &said {
                let split = filters(std::slice::from_ref(conjunct), 150, 99);
                let reading = readings[rng.usize(0..readings.len())];
                let by_split = |text: &String| text.is_empty() || holds(text, &row, reading);
                let satisfied = split.texts.iter().any(by_split);
                assert!(!wanted || satisfied, "splitting loses a row: {split:?}, {}", context());
                counts.split += usize::from(split.texts.len() > 1);
            }
        }
    }
    println!("{counts:?}");
    let Counts { local, exact, superset, never, always, unsaid, text, wanted, unwanted, split } =
        counts;
    for count in [local, exact, superset, never, always, unsaid, text, split] {
        assert!(count > CONDITIONS / 200, "hardly tested");
    }
    assert!(wanted.min(unwanted) > CONDITIONS, "hardly tested");
}

#[test]
fn types_of_the_columns_are_what_the_test_takes_them_for() {
    let types: Vec<Type> = fields().into_iter().map(|field| field.ty).collect();
    for ty in [
        Type::Uuid,
        Type::Text,
        Type::Boolean,
        Type::Integer,
        Type::Bigint,
        Type::Double,
        Type::Instant,
        Type::LocalTimestamp,
        Type::Date,
        Type::TimeOfDay,
    ] {
        assert!(types.contains(&ty), "{ty}");
    }
}
