use super::*;
use crate::catalogue::columns::Source;
use crate::rows::Kind;
use crate::rows::Target;

fn target(name: &str, path: &str, kind: Kind) -> Target {
    let path = path.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect();
    Target { name: name.to_owned(), source: Source::Field(path), kind }
}

fn decode(body: &str, targets: &[Target]) -> Result<Vec<Vec<String>>, DecodeError> {
    let batch = page(body.as_bytes(), Shape::List, &Projection::new(targets, false))?;
    let show = |row: usize, column: usize| {
        let (words, nulls) = batch.row(row);
        match targets[column].kind {
            _ if nulls[column] => "Null".to_owned(),
            Kind::Text | Kind::Json => batch.text_at(words[column]).to_owned(),
            kind => format!("{kind:?}({})", words[column] as i64),
        }
    };
    let rows = 0..batch.rows();
    Ok(rows.map(|row| (0..targets.len()).map(|column| show(row, column)).collect()).collect())
}

#[test]
fn wanted_properties_are_taken_and_others_passed_over() {
    let rows = decode(
        r#"[{"extra":[1,{"name":"no"}],"name":"A","project":{"id":1,"name":"P","status":{"type":"x"}}},
            {"project":null},{"name":null,"project":{"status":null}}]"#,
        &[
            target("name", "name", Kind::Text),
            target("project_name", "project/name", Kind::Text),
            target("project", "project", Kind::Json),
            target("status", "project/status/type", Kind::Text),
        ],
    );
    assert_eq!(
        rows.unwrap(),
        [
            vec!["A", "P", r#"{"id":1,"name":"P","status":{"type":"x"}}"#, "x"],
            vec!["Null"; 4],
            vec!["Null", "Null", r#"{"status":null}"#, "Null"],
        ]
    );
}

#[test]
fn the_whole_row_comes_as_it_was() {
    let rows = decode(
        r#"[ {"a": 1,  "b":"é"} ]"#,
        &[target("attrs", "", Kind::Json), target("a", "a", Kind::Int { bits: 32 })],
    );
    assert_eq!(rows.unwrap(), [[r#"{"a": 1,  "b":"é"}"#, "Int { bits: 32 }(1)"]]);
}

#[test]
fn plain_strings_are_rows_too() {
    let rows = decode(r#"["a","b"]"#, &[target("value", "", Kind::Text)]);
    assert_eq!(rows.unwrap(), [["a"], ["b"]]);
}

#[test]
fn rows_without_columns_are_counted() {
    let batch = page(br#"[{"id":1},{"id":2}]"#, Shape::List, &Projection::new(&[], true)).unwrap();
    assert_eq!(batch.rows(), 2);
    assert_eq!(batch.ids().len(), 2);
    assert_ne!(batch.ids()[0], batch.ids()[1]);
}

#[test]
fn plain_strings_without_columns_are_counted() {
    let batch = page(br#"["a","b","c"]"#, Shape::List, &Projection::new(&[], false)).unwrap();
    assert_eq!(batch.rows(), 3);
}

#[test]
fn derived_columns() {
    let started = Target {
        name: "started_at".into(),
        source: Source::InstantOf { date: "d".into(), time: "t".into() },
        kind: Kind::Instant,
    };
    let running = Target {
        name: "is_running".into(),
        source: Source::SetWithout { set: "t".into(), unset: "e".into() },
        kind: Kind::Bool,
    };
    let rows = decode(
        r#"[{"d":"2000-01-02T00:00:00Z","t":"00:00:01","e":"00:10:00"},
            {"d":"2000-01-02T00:00:00Z","t":"00:00:01"},
            {"d":"2000-01-02T00:00:00Z","t":null,"e":null}]"#,
        &[started, running],
    );
    assert_eq!(
        rows.unwrap(),
        [
            ["Instant(86401000000)", "Bool(0)"],
            ["Instant(86401000000)", "Bool(1)"],
            ["Null", "Bool(0)"],
        ]
    );
}

#[test]
fn a_bad_value_names_column_row_and_text() {
    let body = r#"[{"id":"one","n":1},{"n":"many","id":"two"}]"#;
    let error = decode(body, &[target("n", "n", Kind::Int { bits: 32 })]).unwrap_err();
    let DecodeError::Value(bad) = error else { panic!("{error:?}") };
    assert_eq!(
        (bad.column.as_str(), bad.id.as_deref(), bad.text.as_str()),
        ("n", Some("two"), "\"many\"")
    );

    let body = r#"[{"id":"one","project":"gone flat"}]"#;
    let error = decode(body, &[target("project_name", "project/name", Kind::Text)]).unwrap_err();
    let DecodeError::Value(bad) = error else { panic!("{error:?}") };
    assert_eq!((bad.column.as_str(), bad.reason), ("project_name", "is no object"));
}

#[test]
fn long_offending_text_is_cut() {
    let body = format!(r#"[{{"n":"{}"}}]"#, "ä".repeat(500));
    let error = decode(&body, &[target("n", "n", Kind::Int { bits: 32 })]).unwrap_err();
    let DecodeError::Value(bad) = error else { panic!("{error:?}") };
    assert_eq!(bad.text.chars().count(), 101);
}

#[test]
fn what_is_no_array_of_rows_is_malformed() {
    let name = [target("name", "name", Kind::Text)];
    for body in [
        "",
        "<html>",
        "{\"a\":1}",
        "[{\"name\":\"A\"}",
        "[{\"name\":\"A\"}] x",
        "[1]",
        "[null]",
        "5",
    ] {
        assert!(
            matches!(decode(body, &name), Err(DecodeError::Malformed(_))),
            "{body}: {:?}",
            decode(body, &name)
        );
    }
}

#[test]
fn a_single_object_is_one_row_and_null_is_none() {
    let projection = Projection::new(&[target("name", "name", Kind::Text)], false);
    assert_eq!(page(b"{\"name\":\"A\"}", Shape::Object, &projection).unwrap().rows(), 1);
    assert_eq!(page(b"null", Shape::Object, &projection).unwrap().rows(), 0);
    assert!(page(b"{\"name\":", Shape::Object, &projection).is_err());
}

/// Rows with their properties in any order, some of them missing, null or repeated, are those
/// that a tree of the document has.
#[test]
fn rows_are_those_of_serde_json() {
    let mut random = fastrand::Rng::with_seed(5);
    let strings = ["", "a", "näher", "\\\"\\\\\\u00e4\\ud83d\\ude00", "sixteen and more bytes"];
    let mut value = |depth: usize| -> String {
        let string = strings[random.usize(0..strings.len())];
        let number = random.i32(-50..50);
        match random.usize(0..if depth == 0 { 6 } else { 3 }) {
            0 => format!("\"{string}\""),
            1 => "null".to_owned(),
            2 => format!(" {number} "),
            3 => format!("{{ \"name\" : \"{string}\",\"\\u006eo\":[{number},{{}}] }}"),
            4 => format!("{{\"x\":{{\"name\":1}},\"no\":{number},\"name\":null}}"),
            _ => "{}".to_owned(),
        }
    };
    let mut body = String::from("[");
    let mut random = fastrand::Rng::with_seed(6);
    for row in 0..2_000 {
        let mut properties = Vec::new();
        let names = ["name", "Name", "n\\u0061me", "other", "names", "eman", "namé"];
        for _ in 0..random.usize(0..6) {
            properties.push(format!("\"{}\":{}", names[random.usize(0..names.len())], value(1)));
        }
        if random.bool() {
            let project = match value(0) {
                object if object.starts_with('{') => object,
                _ => "null".to_owned(),
            };
            let at = random.usize(0..=properties.len());
            properties.insert(at, format!("\"project\":{project}"));
        }
        body += if row == 0 { "" } else { ", " };
        body += &format!("{{{}}}", properties.join(","));
    }
    body += "]";
    let rows = decode(
        &body,
        &[
            target("name", "name", Kind::Text),
            target("project_name", "project/name", Kind::Text),
            target("no", "project/no", Kind::Json),
            target("again", "project/name", Kind::Presence),
        ],
    )
    .unwrap();
    let tree: Vec<serde_json::Value> = serde_json::from_str(&body).unwrap();
    assert_eq!(rows.len(), tree.len());
    for (row, tree) in rows.iter().zip(&tree) {
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::Null => "Null".to_owned(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let project = &tree["project"];
        let present = format!("Presence({})", u8::from(!project["name"].is_null()));
        let expected = [text(&tree["name"]), text(&project["name"]), text(&project["no"]), present];
        assert_eq!(row, &expected, "{tree}");
    }
}

#[test]
fn what_is_no_utf_8_is_malformed_where_it_is_wanted() {
    let projection = Projection::new(&[target("name", "name", Kind::Text)], false);
    let decode = |body: &[u8]| page(body, Shape::List, &projection);
    let bad = decode(b"[{\"name\":\"\xff\"}]");
    assert!(matches!(bad, Err(DecodeError::Malformed(_))), "{bad:?}");
    assert_eq!(decode(b"[{\"name\":\"a\",\"other\":\"\xff\"}]").unwrap().text(0, 0), Some("a"));
}

#[test]
fn a_syntax_error_says_where_it_is() {
    let error = decode("[{\"name\":\"A\"", &[target("name", "name", Kind::Text)]).unwrap_err();
    let DecodeError::Malformed(why) = error else { panic!("{error:?}") };
    assert!(why.contains("EOF") && why.contains("column 12"), "{why}");
}

#[test]
fn a_value_that_does_not_fit_may_be_null() {
    let targets = [
        target("budget", "timeBudget", Kind::Int { bits: 32 }),
        target("company", "company/name", Kind::Text),
        target("name", "name", Kind::Text),
    ];
    let body = br#"[{"timeBudget":"12","company":"flat","name":"A"},{"timeBudget":7,"name":"B"}]"#;
    let strict = Projection::new(&targets, false);
    assert!(matches!(page(body, Shape::List, &strict), Err(DecodeError::Value(_))));
    let lenient = strict.clone().with_mismatches_as_null(true);
    assert_ne!(strict.columns(), lenient.columns());
    let batch = page(body, Shape::List, &lenient).unwrap();
    assert_eq!(batch.mismatches, 2);
    assert_eq!(batch.row(0).1, [true, true, false]);
    assert_eq!((batch.row(1).0[0], batch.row(1).1[0]), (7, false));
    // Rows are still rows.
    assert!(matches!(page(b"[1]", Shape::List, &lenient), Err(DecodeError::Malformed(_))));
}

#[test]
fn of_a_name_that_comes_twice_the_last_value_counts() {
    let targets = [
        target("name", "name", Kind::Text),
        target("project_name", "project/name", Kind::Text),
        target("status", "project/status/type", Kind::Text),
    ];
    let first = r#""name":"A","project":{"name":"P","status":{"type":"x"}}"#;
    let rows = decode(
        &format!(
            r#"[{{{first},"name":null,"project":null}},
                {{{first},"project":{{"name":"Q"}},"name":"B"}},
                {{{first},"project":{{"name":"Q","status":{{}}}}}}]"#
        ),
        &targets,
    );
    assert_eq!(rows.unwrap(), [["Null", "Null", "Null"], ["B", "Q", "Null"], ["A", "Q", "Null"]]);
}

fn custom_field(name: &str, id: u128, kind: Kind) -> Target {
    let source = Source::CustomField(Uuid::from_u128(id));
    Target { name: name.to_owned(), source, kind }
}

/// An element of `customFields` with these further properties.
fn entry(id: u128, properties: &str) -> String {
    format!(r#"{{"customFieldDefinitionId":"{}",{properties}}}"#, Uuid::from_u128(id))
}

#[test]
fn custom_fields_are_found_by_their_definitions() {
    let chosen =
        r#""selectionOption":{"id":"x","value":"S\u0031","order":1},"selectionOptionIdValue":"x""#;
    let row = [
        entry(1, r#""textValue":"A \"b\"""#),
        entry(2, r#""numberValue":12.50,"textValue":null"#),
        entry(3, r#""dateValue":"2026-03-29T00:00:00Z""#),
        entry(4, chosen),
        entry(5, r#""booleanValue":false"#),
        entry(6, r#""clientIdValue":"123e4567-e89b-12d3-a456-426614174000""#),
        entry(7, r#""moneyValue":{"amount":1}"#),
        entry(8, r#""selectionOption":null,"selectionOptionIdValue":"x""#),
        entry(9, r#""textValue":null"#),
    ];
    let body = format!(
        r#"[{{"customFields":[{}],"id":"a"}},{{"customFields":[]}},{{"customFields":null}},{{}}]"#,
        row.join(",")
    );
    let targets = [
        custom_field("text", 1, Kind::Text),
        custom_field("number", 2, Kind::Text),
        custom_field("float", 2, Kind::Float { bits: 64 }),
        custom_field("date", 3, Kind::Date),
        custom_field("instant", 3, Kind::Instant),
        custom_field("choice", 4, Kind::Text),
        custom_field("is", 5, Kind::Bool),
        custom_field("client", 6, Kind::Text),
        custom_field("new", 7, Kind::Text),
        custom_field("id_only", 8, Kind::Text),
        custom_field("null", 9, Kind::Text),
        custom_field("none", 10, Kind::Text),
    ];
    let rows = decode(&body, &targets).unwrap();
    assert_eq!(
        rows[0],
        [
            "A \"b\"",
            "12.50",
            &format!("Float {{ bits: 64 }}({})", 12.5_f64.to_bits()),
            "Date(9584)",
            &format!("Instant({})", 9584_i64 * 86_400_000_000),
            "S1",
            "Bool(0)",
            "123e4567-e89b-12d3-a456-426614174000",
            r#"{"amount":1}"#,
            "x",
            "Null",
            "Null",
        ]
    );
    for row in &rows[1..] {
        assert!(row.iter().all(|value| value == "Null"), "{row:?}");
    }
}

#[test]
fn custom_fields_come_beside_their_array_and_the_row() {
    let array = format!("[{}]", entry(1, r#""textValue":"A""#));
    let row = format!(r#"{{"customFields":{array}}}"#);
    let targets = [
        custom_field("text", 1, Kind::Text),
        target("custom_fields", "customFields", Kind::Json),
        target("attrs", "", Kind::Json),
    ];
    let expected = ["A".to_owned(), array, row.clone()];
    assert_eq!(decode(&format!("[{row}]"), &targets).unwrap(), [expected]);
}

#[test]
fn the_last_value_of_a_custom_field_counts() {
    let (first, second) = (entry(1, r#""textValue":"A""#), entry(1, r#""textValue":"B""#));
    let text = [custom_field("text", 1, Kind::Text)];
    let of = |row: &str| decode(&format!("[{row}]"), &text).unwrap();
    assert_eq!(of(&format!(r#"{{"customFields":[{first},{second}]}}"#)), [["B"]]);
    assert_eq!(of(&format!(r#"{{"customFields":[{first}],"customFields":[]}}"#)), [["Null"]]);
    let escaped = first.replace("textValue", "text\\u0056alue");
    assert_eq!(of(&format!(r#"{{"customFields":[7,null,{escaped}]}}"#)), [["A"]]);
}

#[test]
fn a_custom_field_that_does_not_fit_is_named() {
    let number = [custom_field("hours", 1, Kind::Int { bits: 32 })];
    let body = format!(r#"[{{"id":"x","customFields":[{}]}}]"#, entry(1, r#""textValue":"A""#));
    let Err(DecodeError::Value(bad)) = decode(&body, &number) else { panic!("accepted") };
    assert_eq!(
        (bad.column.as_str(), bad.id.as_deref(), bad.text.as_str()),
        ("hours", Some("x"), "\"A\"")
    );
    let Err(DecodeError::Value(bad)) = decode(r#"[{"customFields":"none"}]"#, &number) else {
        panic!("accepted")
    };
    assert_eq!(bad.reason, "is no list of custom fields");
    let lenient = Projection::new(&number, false).with_mismatches_as_null(true);
    let batch = page(body.as_bytes(), Shape::List, &lenient).unwrap();
    assert_eq!((batch.row(0).1, batch.mismatches), ([true].as_slice(), 1));
    assert!(decode(r#"[{"customFields":[{"a":1]}]"#, &number).is_err());
}
