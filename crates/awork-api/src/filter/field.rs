//! A column as `filterby` and `orderby` see it: the property behind it, and what is known of
//! that property.

use serde::{Deserialize, Serialize};

use crate::catalogue::columns::Source;
use crate::catalogue::{Catalogue, Property, Resource, Support, Type};

/// The column of a foreign table that a condition tests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// What stands for it on the wire.
    pub source: FieldSource,
    /// The type of the property.
    pub ty: Type,
    /// How the column shows the property.
    pub column: ColumnType,
    /// Whether `filterby` knows it.
    pub filter: Support,
    /// Whether `orderby` knows it.
    pub order: Support,
    /// Whether it may be null. What is nested may always be.
    pub nullable: bool,
    /// Whether its times have no fraction of a second.
    pub whole_seconds: bool,
}

/// What stands for a column on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldSource {
    /// A property by its path: `projectStatus/type`.
    Property(String),
    /// An instant made of a day and a time of day.
    InstantOf {
        /// The property with the day.
        date: String,
        /// The property with the time of day.
        time: String,
    },
    /// Whether the first property has a value and the second has none.
    SetWithout {
        /// The property that must have a value.
        set: String,
        /// The property that must have none.
        unset: String,
    },
}

/// The type of a column, as far as conditions are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColumnType {
    /// `uuid`
    Uuid,
    /// `boolean`
    Boolean,
    /// `smallint`, `integer`, `bigint`
    Integer,
    /// `real`, `double precision`
    Float,
    /// `numeric` of any precision
    Numeric,
    /// `timestamp` with or without time zone
    Timestamp,
    /// `date`
    Date,
    /// `text`, `varchar`
    Text,
    /// Any other.
    Other,
}

impl Field {
    /// The field behind a column; the error says why there is none.
    pub fn new(
        resource: &Resource,
        source: &Source,
        column: ColumnType,
    ) -> Result<Self, &'static str> {
        let property = |name: &str| {
            property(resource, std::slice::from_ref(&name.to_owned()))
                .ok_or("awork_fdw does not know the property")
        };
        match source {
            Source::Parameter(_) => Err("a parameter takes one value per request"),
            Source::CustomField(_) => Err("awork is not known to filter by custom fields"),
            Source::Field(path) => {
                let found =
                    self::property(resource, path).ok_or("awork_fdw does not know the property")?;
                Ok(Self {
                    source: FieldSource::Property(path.join("/")),
                    ty: found.ty.clone(),
                    column,
                    filter: found.filter,
                    order: found.order,
                    nullable: found.nullable || path.len() > 1,
                    whole_seconds: found.whole_seconds,
                })
            }
            Source::InstantOf { date, time } => {
                let filter = weaker(property(date)?.filter, property(time)?.filter);
                let source = FieldSource::InstantOf { date: date.clone(), time: time.clone() };
                Ok(Self::derived(source, Type::Instant, column, filter, true))
            }
            Source::SetWithout { set, unset } => {
                let filter = weaker(property(set)?.filter, property(unset)?.filter);
                let source = FieldSource::SetWithout { set: set.clone(), unset: unset.clone() };
                Ok(Self::derived(source, Type::Boolean, column, filter, false))
            }
        }
    }

    fn derived(
        source: FieldSource,
        ty: Type,
        column: ColumnType,
        filter: Support,
        nullable: bool,
    ) -> Self {
        let (order, whole_seconds) = (Support::No, false);
        Self { source, ty, column, filter, order, nullable, whole_seconds }
    }

    /// The property's path, where the column is one property.
    pub fn path(&self) -> Option<&str> {
        match &self.source {
            FieldSource::Property(path) => Some(path),
            _ => None,
        }
    }

    /// Whether the property belongs to an object inside of the row.
    pub fn is_nested(&self) -> bool {
        self.path().is_some_and(|path| path.contains('/'))
    }

    /// Whether its times have no fraction of a second; dates have none.
    pub(super) fn has_whole_seconds(&self) -> bool {
        self.whole_seconds || self.ty == Type::Date
    }

    /// A name for people.
    pub fn name(&self) -> String {
        match &self.source {
            FieldSource::Property(path) => path.clone(),
            FieldSource::InstantOf { date, time } => format!("{date} and {time}"),
            FieldSource::SetWithout { set, unset } => format!("{set} and {unset}"),
        }
    }

    /// Whether `orderby` on this column gives the order that PostgreSQL would give, but for
    /// nulls: numbers and times only, since awork orders text and GUIDs by its own rules.
    pub fn is_ordered_alike(&self) -> bool {
        let alike = match self.ty {
            Type::Boolean => self.column == ColumnType::Boolean,
            Type::Integer | Type::Bigint => {
                matches!(self.column, ColumnType::Integer | ColumnType::Numeric)
            }
            Type::Double => self.column == ColumnType::Float,
            Type::Instant | Type::LocalTimestamp | Type::Date => {
                matches!(self.column, ColumnType::Timestamp | ColumnType::Date)
            }
            _ => false,
        };
        alike && self.order != Support::No && self.path().is_some() && !self.is_nested()
    }

    /// Whether two rows that differ in the property also differ in the column. Where they do
    /// not, a second key of an order would sort rows that awork has sorted by the first.
    pub fn is_lossless(&self) -> bool {
        match self.ty {
            Type::Instant | Type::LocalTimestamp => {
                self.whole_seconds && self.column == ColumnType::Timestamp
            }
            _ => true,
        }
    }
}

fn weaker(a: Support, b: Support) -> Support {
    match (a, b) {
        (Support::No, _) | (_, Support::No) => Support::No,
        (Support::Yes, Support::Yes) => Support::Yes,
        _ => Support::Unknown,
    }
}

/// The property at the end of a path from a row inwards.
fn property(resource: &Resource, path: &[String]) -> Option<&'static Property> {
    let catalogue = Catalogue::bundled();
    let mut ty = &resource.item;
    let mut found = None;
    for name in path {
        let Type::Model(model) = ty else { return None };
        let property = catalogue.model(model)?.property(name)?;
        ty = &property.ty;
        found = Some(property);
    }
    found
}
