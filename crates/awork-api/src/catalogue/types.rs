//! The types of the API's values, each written as a word in the catalogue. How a type is
//! decoded stands in `rows`, which PostgreSQL type shows it in [`Type::sql`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The type of a JSON value, narrowed by what the specification says of its content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    /// A GUID in its hyphenated form.
    Uuid,
    /// Any string; enumerations too, since awork lets them grow.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number of 32 bits.
    Integer,
    /// A whole number of 64 bits.
    Bigint,
    /// A number.
    Double,
    /// A date and time that names an instant; without a zone it is UTC.
    Instant,
    /// A date and time on the wall clock of an unnamed zone (`*Local`).
    LocalTimestamp,
    /// A calendar date, `YYYY-MM-DD`.
    Date,
    /// A time of day, `HH:MM:SS.fffffff`.
    TimeOfDay,
    /// Whatever JSON comes.
    Json,
    /// An object of the named model.
    Model(String),
    /// An array.
    List(Box<Type>),
}

impl Type {
    /// The PostgreSQL type of a column that shows a value of this type.
    pub fn sql(&self) -> &'static str {
        match self {
            Type::Uuid => "uuid",
            Type::Text => "text",
            Type::Boolean => "boolean",
            Type::Integer => "integer",
            Type::Bigint => "bigint",
            Type::Double => "double precision",
            Type::Instant => "timestamp with time zone",
            Type::LocalTimestamp => "timestamp without time zone",
            Type::Date => "date",
            Type::TimeOfDay => "time without time zone",
            Type::Json | Type::Model(_) | Type::List(_) => "jsonb",
        }
    }
}

/// `uuid`, `instant`, …; a model by its name (`TaskStatus`); an array in brackets (`[uuid]`).
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Uuid => f.write_str("uuid"),
            Type::Text => f.write_str("text"),
            Type::Boolean => f.write_str("boolean"),
            Type::Integer => f.write_str("integer"),
            Type::Bigint => f.write_str("bigint"),
            Type::Double => f.write_str("double"),
            Type::Instant => f.write_str("instant"),
            Type::LocalTimestamp => f.write_str("local timestamp"),
            Type::Date => f.write_str("date"),
            Type::TimeOfDay => f.write_str("time of day"),
            Type::Json => f.write_str("json"),
            Type::Model(name) => f.write_str(name),
            Type::List(item) => write!(f, "[{item}]"),
        }
    }
}

impl FromStr for Type {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Ok(match word {
            "uuid" => Type::Uuid,
            "text" => Type::Text,
            "boolean" => Type::Boolean,
            "integer" => Type::Integer,
            "bigint" => Type::Bigint,
            "double" => Type::Double,
            "instant" => Type::Instant,
            "local timestamp" => Type::LocalTimestamp,
            "date" => Type::Date,
            "time of day" => Type::TimeOfDay,
            "json" => Type::Json,
            _ => match word.strip_prefix('[').and_then(|w| w.strip_suffix(']')) {
                Some(item) => Type::List(Box::new(item.parse()?)),
                None if word.starts_with(|c: char| c.is_ascii_uppercase()) => {
                    Type::Model(word.to_owned())
                }
                None => return Err(format!("unrecognized type \"{word}\"")),
            },
        })
    }
}

impl Serialize for Type {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Type {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        word.parse().map_err(serde::de::Error::custom)
    }
}
