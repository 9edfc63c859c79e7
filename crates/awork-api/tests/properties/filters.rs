//! Filters: whatever a query compares with, what is sent is of awork's grammar, has the query's
//! texts inside of quotes only, and fits into an address.

use awork_api::catalogue::columns::Source;
use awork_api::catalogue::{Catalogue, Location};
use awork_api::filter::render::{Said, render};
use awork_api::filter::split::{LONGEST_TARGET, filters};
use awork_api::filter::{
    ColumnType, Comparison, Condition, Conjunct, Field, Leaf, Operand, Value, classify,
};
use awork_api::request;
use proptest::prelude::*;
use url::Url;

use super::hold;

/// Columns of every kind that conditions tell apart.
fn fields() -> Vec<Field> {
    let of = |resource: &str, source: Source, column| {
        Field::new(Catalogue::bundled().resource(resource).unwrap(), &source, column).unwrap()
    };
    let plain = [
        ("time_entries", "id", ColumnType::Uuid),
        ("time_entries", "projectId", ColumnType::Uuid),
        ("time_entries", "isBillable", ColumnType::Boolean),
        ("time_entries", "duration", ColumnType::Integer),
        ("time_entries", "duration", ColumnType::Numeric),
        ("time_entries", "note", ColumnType::Text),
        ("time_entries", "project/name", ColumnType::Text),
        ("time_entries", "startDateUtc", ColumnType::Timestamp),
        ("time_entries", "startDateLocal", ColumnType::Date),
        ("time_bookings", "startDate", ColumnType::Date),
        ("tasks", "order", ColumnType::Float),
        ("tasks", "order", ColumnType::Numeric),
        ("tasks", "name", ColumnType::Text),
        ("tasks", "createdOn", ColumnType::Timestamp),
        ("tasks", "createdOn", ColumnType::Date),
    ];
    let mut fields: Vec<Field> = plain
        .into_iter()
        .map(|(resource, path, column)| {
            of(resource, Source::Field(path.split('/').map(str::to_owned).collect()), column)
        })
        .collect();
    let started = Source::InstantOf { date: "startDateUtc".into(), time: "startTimeUtc".into() };
    fields.push(of("time_entries", started, ColumnType::Timestamp));
    let running = Source::SetWithout { set: "startTimeUtc".into(), unset: "endTimeUtc".into() };
    fields.push(of("time_entries", running, ColumnType::Boolean));
    fields
}

fn texts() -> impl Strategy<Value = String> {
    let parts = prop_oneof![
        any::<char>().prop_map(String::from),
        "[a-z '\"%_\\\\]{0,6}",
        prop::sample::select(
            &[
                "' or 1 eq 1 or name eq '",
                "'",
                "''",
                "\\'",
                "%27",
                "&filterby=",
                "#",
                "?",
                "+",
                "') or (",
                "\\",
                "\u{0}",
                "\n",
                "\u{2019}",
                "\u{ff07}",
                "null",
                " and ",
                "//",
                "ä",
                "%",
            ][..]
        )
        .prop_map(str::to_owned),
        Just("x".repeat(290)),
    ];
    prop::collection::vec(parts, 0..8).prop_map(|parts| parts.concat())
}

fn values() -> impl Strategy<Value = Value> {
    let one = prop_oneof![
        1 => Just(Value::Null),
        1 => Just(Value::Other),
        2 => any::<bool>().prop_map(Value::Bool),
        2 => any::<i64>().prop_map(Value::Int),
        2 => (-100_i64..100).prop_map(Value::Int),
        2 => any::<f64>().prop_map(Value::Float),
        2 => "-?[0-9]{1,45}(\\.[0-9]{1,20})?".prop_map(Value::Numeric),
        1 => prop::sample::select(&[
            "NaN", "Infinity", "-Infinity", "-0.5", "-170141183460469231731687303715884105728.5",
            "170141183460469231731687303715884105727.5",
        ][..]).prop_map(|text| Value::Numeric(text.to_owned())),
        2 => any::<[u8; 16]>().prop_map(Value::Uuid),
        2 => any::<i64>().prop_map(Value::Timestamp),
        2 => (-100_000_000_000_000_i64..900_000_000_000_000).prop_map(Value::Timestamp),
        2 => any::<i32>().prop_map(Value::Date),
        2 => (-4000..20_000).prop_map(Value::Date),
        8 => texts().prop_map(Value::Text),
    ];
    let one = one.boxed();
    prop_oneof![
        5 => one.clone(),
        2 => prop::collection::vec(one, 0..40).prop_map(Value::Array),
        1 => prop::collection::vec(texts().prop_map(Value::Text), 0..200).prop_map(Value::Array),
        1 => prop::collection::vec(any::<[u8; 16]>().prop_map(Value::Uuid), 0..400)
            .prop_map(Value::Array),
    ]
}

fn leaves() -> impl Strategy<Value = Leaf> {
    let comparisons = prop::sample::select(
        &[
            Comparison::Eq,
            Comparison::Ne,
            Comparison::Lt,
            Comparison::Le,
            Comparison::Gt,
            Comparison::Ge,
        ][..],
    );
    let inputs = (prop::sample::select(fields()), values(), any::<bool>(), comparisons, 0..7_u8);
    inputs.prop_map(|(field, value, is, comparison, what)| {
        let operand = Operand::Constant(value);
        match what {
            0 => Leaf::Same(field, operand, is),
            1 => Leaf::AnyOf(field, operand),
            2 => Leaf::NoneOf(field, operand),
            3 => Leaf::Null(field, is),
            4 => Leaf::Like(field, operand),
            5 => Leaf::StartsWith(field, operand),
            _ => Leaf::Compare(field, comparison, operand),
        }
    })
}

fn conditions() -> impl Strategy<Value = Condition> {
    leaves().prop_map(Condition::Leaf).prop_recursive(3, 10, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::And),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::Or),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

/// The texts of a condition, as a LIKE pattern says them too.
fn texts_of(condition: &Condition, found: &mut Vec<String>) {
    fn of_value(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Text(text) => {
                // An escaped character stands for itself; a filter never has a backslash.
                found.push(text.clone());
                let mut plain = String::new();
                let mut chars = text.chars();
                while let Some(c) = chars.next() {
                    plain.extend(if c == '\\' { chars.next() } else { Some(c) });
                }
                found.push(plain);
            }
            Value::Array(values) => values.iter().for_each(|value| of_value(value, found)),
            _ => {}
        }
    }
    match condition {
        Condition::And(parts) | Condition::Or(parts) => {
            parts.iter().for_each(|part| texts_of(part, found));
        }
        Condition::Not(inner) => texts_of(inner, found),
        Condition::Leaf(leaf) => {
            if let Some(Operand::Constant(value)) = leaf.operand() {
                of_value(value, found);
            }
        }
        Condition::Local(_) => {}
    }
}

#[test]
fn what_is_sent_is_of_the_grammar_and_has_texts_in_quotes_only() {
    let inputs = (
        prop::collection::vec(conditions(), 1..4),
        prop_oneof![Just(LONGEST_TARGET - 200), 0..LONGEST_TARGET],
        1_usize..200,
    );
    hold("filters: any conditions", 2000, inputs, |(conditions, room, most)| {
        let mut known = Vec::new();
        let mut conjuncts: Vec<Conjunct> = Vec::new();
        for condition in &conditions {
            texts_of(condition, &mut known);
            let Some(remote) = classify(condition).remote else { continue };
            let (said, _) = render(&remote, &[]);
            if let Said::Text(conjunct) = said {
                prop_assert!(!conjunct.alternatives.is_empty());
                conjuncts.push(conjunct);
            }
        }
        let filters = filters(&conjuncts, room, most);
        prop_assert!(!filters.texts.is_empty() && filters.texts.len() <= most);
        for text in &filters.texts {
            prop_assert!(request::encoded(text).len() <= room, "{} > {}", text.len(), room);
            if text.is_empty() {
                continue;
            }
            let mut grammar = Grammar { rest: text, texts: Vec::new() };
            if let Err(why) = grammar.whole() {
                return Err(TestCaseError::fail(format!("{why}: {text}")));
            }
            for quoted in &grammar.texts {
                let is_known = known.iter().any(|known| known.contains(quoted.as_str()));
                prop_assert!(is_known, "nobody said {:?}: {}", quoted, text);
                prop_assert!(!quoted.chars().any(|c| c == '\\' || c.is_control()));
            }
            let address = request::page("/tasks", 1, 1000, Some("createdOn asc,id asc"), text);
            let url = Url::parse(&format!("https://api.awork.com/api/v1{address}")).unwrap();
            let pairs: Vec<_> = url.query_pairs().collect();
            prop_assert_eq!(pairs.len(), 4);
            prop_assert_eq!(&pairs[2].1, text);
            prop_assert!(url.fragment().is_none());
        }
        Ok(())
    });
}

#[test]
fn values_of_parameters_stay_in_their_places() {
    let resources: Vec<_> = Catalogue::bundled()
        .resources
        .iter()
        .filter(|resource| !resource.parameters.is_empty())
        .collect();
    let inputs =
        (prop::sample::select(resources), prop::collection::vec(texts(), 8), any::<bool>());
    hold("filters: parameters", 2000, inputs, |(resource, values, short)| {
        let bindings: request::Bindings = (0..resource.parameters.len())
            .map(|at| values.get(at).cloned().filter(|value| !short || value.len() < 3))
            .collect();
        let all_in_path = resource
            .parameters
            .iter()
            .zip(&bindings)
            .all(|(parameter, value)| parameter.location == Location::Query || value.is_some());
        let Some(target) = request::target(resource, &bindings) else { return Ok(()) };
        if !all_in_path {
            return Ok(());
        }
        let url = Url::parse(&format!("https://api.awork.com/api/v1{target}")).unwrap();
        prop_assert_eq!(url.host_str(), Some("api.awork.com"));
        prop_assert!(url.fragment().is_none());
        let segments = url.path().split('/').count();
        prop_assert_eq!(segments, resource.path.split('/').count() + 2, "{}", target);
        let sent: Vec<String> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
        let query: Vec<String> = resource
            .parameters
            .iter()
            .zip(&bindings)
            .filter(|(parameter, _)| parameter.location == Location::Query)
            .filter_map(|(_, value)| value.clone())
            .collect();
        prop_assert_eq!(sent, query, "{}", target);
        Ok(())
    });
}

/// A reader of the part of awork's grammar that conditions are said in; it knows no escape but
/// the doubled quote, and takes note of the texts.
struct Grammar<'t> {
    rest: &'t str,
    texts: Vec<String>,
}

impl Grammar<'_> {
    fn whole(&mut self) -> Result<(), String> {
        self.or()?;
        if self.rest.is_empty() { Ok(()) } else { Err(format!("more at {:?}", self.rest)) }
    }

    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(format!("no {token:?} at {:?}", self.rest)) }
    }

    fn or(&mut self) -> Result<(), String> {
        self.and()?;
        while self.take(" or ") {
            self.and()?;
        }
        Ok(())
    }

    fn and(&mut self) -> Result<(), String> {
        self.test()?;
        while self.take(" and ") {
            self.test()?;
        }
        Ok(())
    }

    fn test(&mut self) -> Result<(), String> {
        if self.take("(") {
            self.or()?;
            return self.expect(")");
        }
        for name in ["startswith(", "endswith("] {
            if self.take(name) {
                self.path()?;
                self.expect(",")?;
                self.text()?;
                return self.expect(")");
            }
        }
        if self.take("substringof(") {
            self.text()?;
            self.expect(",")?;
            self.path()?;
            return self.expect(")");
        }
        self.path()?;
        if ![" eq ", " ne ", " lt ", " le ", " gt ", " ge "].into_iter().any(|word| self.take(word))
        {
            return Err(format!("no comparison at {:?}", self.rest));
        }
        self.constant()
    }

    /// The characters at the beginning of which a test is true.
    fn while_true(&mut self, is: impl Fn(char) -> bool) -> String {
        let end = self.rest.find(|c| !is(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    fn path(&mut self) -> Result<(), String> {
        let path = self.while_true(|c| c.is_ascii_alphabetic() || c == '/');
        let known = [
            "id",
            "projectId",
            "isBillable",
            "duration",
            "note",
            "project/name",
            "startDateUtc",
            "startTimeUtc",
            "endTimeUtc",
            "startDateLocal",
            "startDate",
            "order",
            "name",
            "createdOn",
        ];
        if known.contains(&path.as_str()) { Ok(()) } else { Err(format!("no path: {path:?}")) }
    }

    fn constant(&mut self) -> Result<(), String> {
        if self.rest.starts_with('\'') {
            return self.text();
        }
        for (prefix, form) in
            [("guid", "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"), ("datetime", "0000-00-00T00:00:00")]
        {
            if self.take(prefix) {
                let quoted = self.quoted()?;
                let fits = |(c, form): (char, char)| match form {
                    'x' => c.is_ascii_hexdigit(),
                    '0' => c.is_ascii_digit(),
                    form => c == form,
                };
                let is_so =
                    quoted.len() == form.len() && quoted.chars().zip(form.chars()).all(fits);
                return if is_so { Ok(()) } else { Err(format!("no {prefix}: {quoted:?}")) };
            }
        }
        let word = self.while_true(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
        let digits = word.strip_suffix('L').unwrap_or(&word);
        let is_number = digits.parse::<f64>().is_ok_and(f64::is_finite)
            && digits.bytes().all(|b| b.is_ascii_digit() || b"-.".contains(&b));
        match word.as_str() {
            "null" | "true" | "false" => Ok(()),
            _ if is_number => Ok(()),
            _ => Err(format!("no constant: {word:?}")),
        }
    }

    fn text(&mut self) -> Result<(), String> {
        let text = self.quoted()?;
        self.texts.push(text);
        Ok(())
    }

    fn quoted(&mut self) -> Result<String, String> {
        self.expect("'")?;
        let mut text = String::new();
        loop {
            text += &self.while_true(|c| c != '\'');
            self.expect("'")?;
            if !self.take("'") {
                return Ok(text);
            }
            text.push('\'');
        }
    }
}
