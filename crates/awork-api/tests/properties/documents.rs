//! JSON as text, with what its grammar allows and nobody writes, and what is left of it after some
//! bytes have changed.

use std::sync::OnceLock;

use awork_sandbox::{Config, Sandbox};
use proptest::collection::vec;
use proptest::prelude::*;

/// The names that the properties' columns know, and one that they do not; one has an escape.
const NAMES: [&str; 13] =
    ["id", "name", "n", "m", "x", "r", "on", "d", "t", "b", "o", "p", "\\u006e"];

/// An array of objects, with each name at most once in an object.
pub(crate) fn rows() -> impl Strategy<Value = String> {
    vec(object(value()), 0..4).prop_map(|rows| format!("[{}]", rows.join(", ")))
}

/// An array of objects whose names may come twice.
pub(crate) fn rows_with_repeated_names() -> impl Strategy<Value = String> {
    let row = vec((name(), value()), 0..12).prop_map(|pairs| braces(&pairs));
    vec(row, 0..4).prop_map(|rows| format!("[{}]", rows.join(",")))
}

/// Two custom fields.
pub(crate) const CUSTOM_FIELDS: [&str; 2] =
    ["00000000-0000-0000-0000-0000000000aa", "00000000-0000-0000-0000-0000000000bb"];

/// An array of objects with values of custom fields, or what may stand in their place.
pub(crate) fn custom_fields() -> impl Strategy<Value = String> {
    const PLACES: [&str; 6] = [
        "textValue",
        "numberValue",
        "dateValue",
        "moneyValue",
        "selectionOption",
        "selectionOptionIdValue",
    ];
    let id = prop_oneof![
        9 => prop::sample::select(&CUSTOM_FIELDS[..]).prop_map(|id| format!("\"{id}\"")),
        1 => value(),
    ];
    let option = value().prop_map(|value| braces(&[("value".to_owned(), value)]));
    let place = prop_oneof![3 => value(), 1 => option];
    let values =
        prop::sample::subsequence(&PLACES[..], 0..PLACES.len()).prop_flat_map(move |names| {
            let count = names.len();
            (Just(names), vec(place.clone(), count))
        });
    let entry = (id, values, any::<bool>()).prop_map(|(id, (names, values), is_first)| {
        let mut pairs: Vec<_> = names.into_iter().map(str::to_owned).zip(values).collect();
        let at = if is_first { 0 } else { pairs.len() };
        pairs.insert(at, ("customFieldDefinitionId".to_owned(), id));
        braces(&pairs)
    });
    let entry = prop_oneof![9 => entry, 1 => value()];
    let fields = vec(entry, 0..5).prop_map(|entries| format!("[{}]", entries.join(",")));
    let fields = prop_oneof![9 => fields, 1 => value()];
    let row = fields.prop_map(|fields| braces(&[("customFields".to_owned(), fields)]));
    vec(row, 0..4).prop_map(|rows| format!("[{}]", rows.join(",")))
}

/// Any value, of any depth up to 6.
pub(crate) fn value() -> impl Strategy<Value = String> + Clone {
    let leaf = prop_oneof![
        3 => Just("null".to_owned()),
        2 => prop_oneof![Just("true".to_owned()), Just("false".to_owned())],
        6 => number(),
        8 => string(),
        4 => awork_text(),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(" ,\n"))),
            object(inner),
        ]
    })
}

/// Bytes of all kinds, mostly those that mean something in JSON.
pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        prop::sample::select(
            &[
                "[", "]", "{", "}", ",", ":", "\"", "\\", "null", "true", "false", "-", "0", "12",
                ".", "e+", " ", "\"id\":", "\"o\":{", "\\u", "d83d", "\\u0000", "[[[[[[[[",
                "]]]]]]]]", "[{", "}]", "\u{0}", "\u{feff}", "ä",
            ][..]
        )
        .prop_map(|text: &str| text.as_bytes().to_vec()),
    ];
    vec(token, 0..60).prop_map(|tokens| tokens.concat())
}

/// Pages of the sandbox, some of whose bytes have changed.
pub(crate) fn changed_pages() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), 0..4_u8, byte());
    (any::<prop::sample::Index>(), vec(change, 0..6)).prop_map(|(page, changes)| {
        let pages = pages();
        let mut bytes = pages[page.index(pages.len())].clone();
        for (at, what, byte) in changes {
            let at = at.index(bytes.len().max(1));
            match what {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                3 => bytes.truncate(at),
                _ => {}
            }
        }
        bytes
    })
}

/// A byte, mostly one that means something in JSON.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), prop::sample::select(&b"\"\\{}[]:,0e.-+ntu \x00\x1f\x80\xff"[..])]
}

/// Some rows of several lists, as awork sends them.
fn pages() -> &'static [Vec<u8>] {
    static PAGES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    PAGES.get_or_init(|| {
        let sandbox = Sandbox::start(Config { scale: 100, ..Config::default() }).unwrap();
        let page = |resource: &&str| {
            let rows: Vec<_> = sandbox.rows(resource, &[]).into_iter().take(3).collect();
            assert!(!rows.is_empty(), "{resource}");
            serde_json::to_vec(&rows).unwrap()
        };
        ["projects", "tasks", "time_entries", "users", "companies"].iter().map(page).collect()
    })
}

fn name() -> impl Strategy<Value = String> + Clone {
    prop::sample::select(&NAMES[..]).prop_map(str::to_owned)
}

fn object(inner: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = String> {
    prop::sample::subsequence(&NAMES[..], 0..NAMES.len()).prop_flat_map(move |names| {
        // One is the other without its escape.
        let escaped = names.contains(&"\\u006e");
        let names: Vec<_> = names.into_iter().filter(|name| !escaped || *name != "n").collect();
        let count = names.len();
        vec(inner.clone(), count).prop_map(move |values| {
            let names = names.iter().map(|name| (*name).to_owned());
            braces(&names.zip(values).collect::<Vec<_>>())
        })
    })
}

fn braces(pairs: &[(String, String)]) -> String {
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("\"{name}\" :\t{value}")).collect();
    format!("{{{}}}", pairs.join(","))
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i16>().prop_map(|n| n.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_filter_map("is no number of JSON", |n| {
            n.is_finite().then(|| format!("{n:e}"))
        }),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?",
        any::<i32>().prop_map(|n| format!("{n}.000")),
        prop::sample::select(
            &[
                "-0",
                "-0.0",
                "9223372036854775807",
                "9223372036854775808",
                "-9223372036854775808",
                "-9223372036854775809",
                "2147483648",
                "-2147483649",
                "3.4028236e38",
                "1e-400",
                "9.223372036854775807e18",
            ][..]
        )
        .prop_map(str::to_owned),
    ]
}

fn string() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[ -!#-\\[\\]-~]{0,20}",
        2 => prop::char::range('\u{7f}', '\u{10ffff}').prop_map(String::from),
        1 => any::<u16>().prop_map(|unit| format!("\\u{unit:04x}")),
        2 => any::<char>().prop_map(|c| {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04X}")).collect()
        }),
        1 => prop::sample::select(
            &["\\n", "\\\"", "\\\\", "\\/", "\\b", "\\f", "\\r", "\\t", "\\u0000", "\u{2028}"][..]
        )
        .prop_map(str::to_owned),
    ];
    vec(part, 0..4).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

/// What awork writes: GUIDs, dates and times.
fn awork_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\"",
        "\"20[0-9]{2}-0[1-9]-[0-2][0-9]T[01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,7})?Z?\"",
        "\"[12][0-9]{3}-[01][0-9]-[0-3][0-9]\"",
        "\"[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?\"",
    ]
}
