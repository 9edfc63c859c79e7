//! A remote condition for people, with names in the place of values that are not known yet.

use super::classify::Remote;
use super::condition::{Leaf, Operand, Value};
use crate::rows::time;

/// The condition in awork's words; `label` names the values that are known only later.
pub fn describe<'l>(remote: &Remote, label: &dyn Fn(usize) -> &'l str) -> String {
    let joined = |parts: &[Remote], word: &str| {
        let parts: Vec<String> = parts.iter().map(|part| describe(part, label)).collect();
        format!("({})", parts.join(word))
    };
    match remote {
        Remote::And(parts) => joined(parts, " and "),
        Remote::Or(parts) => joined(parts, " or "),
        Remote::Leaf(leaf) => self::leaf(leaf, label),
    }
}

fn leaf<'l>(leaf: &Leaf, label: &dyn Fn(usize) -> &'l str) -> String {
    let name = leaf.field().name();
    let value = leaf.operand().map(|value| operand(value, label)).unwrap_or_default();
    match leaf {
        Leaf::Compare(_, comparison, _) => format!("{name} {} {value}", comparison.word()),
        Leaf::Same(_, _, true) => format!("{name} eq {value}"),
        Leaf::Same(_, _, false) => format!("{name} ne {value}"),
        Leaf::AnyOf(..) => format!("{name} in {value}"),
        Leaf::NoneOf(..) => format!("{name} not in {value}"),
        Leaf::Null(_, true) => format!("{name} eq null"),
        Leaf::Null(_, false) => format!("{name} ne null"),
        Leaf::Like(..) => format!("{name} like {value}"),
        Leaf::StartsWith(..) => format!("startswith({name},{value})"),
    }
}

/// A value, or the name of one.
pub fn operand<'l>(operand: &Operand, label: &dyn Fn(usize) -> &'l str) -> String {
    match operand {
        Operand::Constant(value) => self::value(value),
        Operand::Expression(number) => format!("{{{}}}", label(*number)),
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Numeric(value) => value.clone(),
        Value::Uuid(bytes) => format!("'{}'", uuid::Uuid::from_bytes(*bytes).hyphenated()),
        Value::Timestamp(at) => {
            time::show_timestamp(*at).map_or_else(|| "...".to_owned(), |at| format!("'{at}'"))
        }
        Value::Date(day) => {
            time::show_date(*day).map_or_else(|| "...".to_owned(), |day| format!("'{day}'"))
        }
        Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(self::value).collect();
            format!("({})", elements.join(","))
        }
        Value::Other => "...".to_owned(),
    }
}
