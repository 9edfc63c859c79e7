//! Which columns a resource gives its table. The rules, in the order of the columns:
//!
//! 1. every path parameter, named as the parameter; it holds the value of the request, also
//!    where the row has a property of that name (which may be null for a shared status);
//! 2. `id`, then every property in the specification's order, in snake_case; an object is
//!    followed by its name-like parts (`company_name`), and those of the objects in it;
//! 3. what is worked out from several properties (`started_at`);
//! 4. every query parameter that selects rows; it holds the value of the request, or what the
//!    API assumes where the request has none;
//! 5. `attrs`, the row as it came.
//!
//! A name that would need quotes in SQL, being a key word, ends with an underscore (`order_`).

use std::collections::HashSet;

use uuid::Uuid;

use super::names::unquoted;
use super::{Catalogue, Location, Model, Parameter, Property, Resource, Shape, Type};

/// The column that holds the row as it came.
pub const ATTRS: &str = "attrs";

/// The column of a list whose rows are plain strings.
pub const VALUE: &str = "value";

/// The parts of a nested object that name it, and so become columns of their own.
const NAME_LIKE: &[&str] = &["id", "name", "firstName", "lastName", "type", "projectKey"];

/// How deep the name-like parts of nested objects are followed: `project/company/name`.
const DEPTH: usize = 2;

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name in SQL.
    pub name: String,
    /// The type of its values.
    pub ty: Type,
    /// Where its values come from.
    pub source: Source,
    /// Whether it always has a value: what every request has to be given, and the `id` of a list
    /// whose rows awork can be asked for by it.
    pub not_null: bool,
    /// Whether no two rows of the list have the same: the `id` of a list that needs no key, and the
    /// only key of a single object.
    pub is_unique: bool,
    /// The column of another table whose values it has.
    pub refers_to: Option<Reference>,
    /// For `COMMENT ON`; none where the name says it all.
    pub description: Option<String>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The name of the table's resource.
    pub table: String,
    /// The name of the column.
    pub column: String,
}

/// Where the values of a column come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// A property of the row, as a path of names from the row inwards; the empty path is the
    /// row itself.
    Field(Vec<String>),
    /// The parameter of this index in [`Resource::parameters`].
    Parameter(usize),
    /// An instant from two properties: the day of the first, the time of day of the second,
    /// both UTC; null where either is.
    InstantOf {
        /// The property with the date.
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
    /// The value of the custom field with this definition.
    CustomField(Uuid),
}

impl Source {
    /// The form of the column option `field`: a path such as `project/name`, or the name of
    /// the parameter. None for what has no single field.
    pub fn field(&self, resource: &Resource) -> Option<String> {
        match self {
            Source::Field(path) if path.is_empty() => None,
            Source::Field(path) => Some(path.join("/")),
            Source::Parameter(i) => Some(resource.parameters[*i].name.clone()),
            Source::InstantOf { .. } | Source::SetWithout { .. } | Source::CustomField(_) => None,
        }
    }
}

/// The value of the column option `field` that names this column whatever its name is then.
pub fn field_option(resource: &Resource, column: &Column) -> String {
    match &column.source {
        // A property has the parameter's own name.
        Source::Parameter(i) if resource.parameters[*i].column.is_some() => column.name.clone(),
        source => source.field(resource).unwrap_or_else(|| column.name.clone()),
    }
}

/// Where the values of a column come from, by its option `field` or else by its name, among the
/// columns that the resource is known to have; none where the resource has nothing for it.
pub fn resolve(
    resource: &Resource,
    known: &[Column],
    name: &str,
    field: Option<&str>,
) -> Option<Source> {
    let by_name = |name: &str| {
        let name = unquoted(name.to_owned());
        known.iter().find(|c| c.name == name).map(|c| c.source.clone())
    };
    let Some(field) = field else { return by_name(name) };
    known
        .iter()
        .find(|c| c.source.field(resource).as_deref() == Some(field))
        .map(|c| c.source.clone())
        .or_else(|| by_name(field))
        // A property that the catalogue does not have yet.
        .or_else(|| Some(Source::Field(field.split('/').map(str::to_owned).collect())))
}

/// The columns of a resource, in order.
pub fn columns(catalogue: &Catalogue, resource: &Resource) -> Vec<Column> {
    let mut list = ColumnList::default();
    for (i, parameter) in resource.parameters.iter().enumerate() {
        if parameter.location == Location::Path {
            list.push_parameter(resource, i);
        }
    }
    match &resource.item {
        Type::Model(name) => {
            if let Some(model) = catalogue.model(name) {
                list.push_model(catalogue, model);
            }
        }
        scalar => list.push(Column {
            name: VALUE.to_owned(),
            ty: scalar.clone(),
            source: Source::Field(Vec::new()),
            not_null: false,
            is_unique: false,
            refers_to: None,
            description: None,
        }),
    }
    for (i, parameter) in resource.parameters.iter().enumerate() {
        if parameter.location == Location::Query {
            list.push_parameter(resource, i);
        }
    }
    list.push(Column {
        name: ATTRS.to_owned(),
        ty: Type::Json,
        source: Source::Field(Vec::new()),
        not_null: false,
        is_unique: false,
        refers_to: None,
        description: Some("The row as the API sent it, with every field.".to_owned()),
    });
    let id = Source::Field(vec!["id".to_owned()]);
    let is_id = |column: &&mut Column| column.source == id;
    if let Some(id) = list.columns.iter_mut().find(is_id) {
        id.not_null = resource.lookups.iter().any(|lookup| lookup.property == "id");
        id.is_unique = id.not_null && !resource.is_keyed();
    }
    if let (Shape::Object, [Parameter { location: Location::Path, .. }]) =
        (resource.shape, &resource.parameters[..])
    {
        // Keys come first.
        list.columns[0].is_unique = true;
    }
    list.columns
}

#[derive(Default)]
struct ColumnList {
    columns: Vec<Column>,
    names: HashSet<String>,
}

impl ColumnList {
    /// Adds a column unless an earlier one has its name.
    fn push(&mut self, column: Column) {
        if self.names.insert(column.name.clone()) {
            self.columns.push(column);
        }
    }

    fn push_parameter(&mut self, resource: &Resource, index: usize) {
        let parameter = &resource.parameters[index];
        self.push(Column {
            name: match &parameter.column {
                Some(name) => name.clone(),
                None => unquoted(snake_case(&parameter.name)),
            },
            ty: parameter.ty.clone(),
            source: Source::Parameter(index),
            not_null: parameter.required || parameter.location == Location::Path,
            is_unique: false,
            refers_to: parameter.parent.as_ref().map(|parent| Reference {
                table: parent.resource.clone(),
                column: column_name(std::slice::from_ref(&parent.property)),
            }),
            description: parameter.description.clone(),
        });
    }

    fn push_model(&mut self, catalogue: &Catalogue, model: &Model) {
        // A property always wins over a part of a nested object that would have its name.
        let name = |p: &Property| column_name(std::slice::from_ref(&p.name));
        let own: HashSet<String> = model.properties.iter().map(name).collect();
        let (ids, others): (Vec<_>, Vec<_>) = model.properties.iter().partition(|p| p.name == "id");
        for property in ids.into_iter().chain(others) {
            self.push(field_column(&[], property, property.refers_to.as_ref()));
            if let Type::Model(name) = &property.ty
                && let Some(nested) = catalogue.model(name)
            {
                self.push_nested(catalogue, nested, &own, &[], property);
            }
        }
        for (name, date, time) in [
            ("started_at", "startDateUtc", "startTimeUtc"),
            ("ended_at", "endDateUtc", "endTimeUtc"),
        ] {
            if model.property(date).is_some() && model.property(time).is_some() {
                self.push(derived_column(
                    name,
                    Type::Instant,
                    Source::InstantOf { date: date.to_owned(), time: time.to_owned() },
                    &format!("The day of {date} at {time}; null where there is no time of day."),
                ));
            }
        }
        if model.property("startTimeUtc").is_some() && model.property("endTimeUtc").is_some() {
            self.push(derived_column(
                "is_running",
                Type::Boolean,
                Source::SetWithout { set: "startTimeUtc".into(), unset: "endTimeUtc".into() },
                "Whether the timer is still running: a start time of day and no end.",
            ));
        }
    }

    fn push_nested(
        &mut self,
        catalogue: &Catalogue,
        model: &Model,
        own: &HashSet<String>,
        parents: &[String],
        object: &Property,
    ) {
        let path = [parents, std::slice::from_ref(&object.name)].concat();
        // An object of scalars without identity (capacities per weekday, a status of flags) has
        // no name to stand for it, so that all of it is shown.
        let is_value = model.property("id").is_none()
            && model
                .properties
                .iter()
                .all(|p| !matches!(p.ty, Type::Model(_) | Type::List(_) | Type::Json));
        for property in &model.properties {
            match &property.ty {
                Type::Model(name) if path.len() < DEPTH => {
                    if let Some(nested) = catalogue.model(name) {
                        self.push_nested(catalogue, nested, own, &path, property);
                    }
                }
                Type::Model(_) | Type::List(_) | Type::Json => {}
                _ if is_value || NAME_LIKE.contains(&property.name.as_str()) => {
                    let refers_to = match property.name.as_str() {
                        "id" => object.refers_to.as_ref(),
                        _ => property.refers_to.as_ref(),
                    };
                    let column = field_column(&path, property, refers_to);
                    if !own.contains(&column.name) {
                        self.push(column);
                    }
                }
                _ => {}
            }
        }
    }
}

fn field_column(parents: &[String], property: &Property, refers_to: Option<&String>) -> Column {
    let mut path = parents.to_vec();
    path.push(property.name.clone());
    // An object refers by its id, which is a column of its own.
    let has_id = property.ty == Type::Uuid;
    Column {
        name: column_name(&path),
        ty: property.ty.clone(),
        source: Source::Field(path),
        not_null: false,
        is_unique: false,
        refers_to: refers_to
            .filter(|_| has_id)
            .map(|table| Reference { table: table.clone(), column: "id".to_owned() }),
        description: property.description.clone(),
    }
}

fn derived_column(name: &str, ty: Type, source: Source, description: &str) -> Column {
    Column {
        name: name.to_owned(),
        ty,
        source,
        not_null: false,
        is_unique: false,
        refers_to: None,
        description: Some(description.to_owned()),
    }
}

/// The column of a path: its words joined, a word that the next one repeats left out, so that
/// `project/projectStatus/type` is `project_status_type`.
pub(crate) fn column_name(path: &[String]) -> String {
    let words: Vec<String> = path.iter().map(|name| snake_case(name)).collect();
    let said_again = |i: usize| {
        let next = words.get(i + 1).and_then(|next| next.strip_prefix(words[i].as_str()));
        next.is_some_and(|rest| rest.starts_with('_'))
    };
    let kept: Vec<&str> =
        (0..words.len()).filter(|&i| !said_again(i)).map(|i| words[i].as_str()).collect();
    unquoted(kept.join("_"))
}

/// `startDateUtc` → `start_date_utc`, `allowSSOLogin` → `allow_sso_login`.
pub fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (i, &c) in chars.iter().enumerate() {
        let after_lower = i > 0 && (chars[i - 1].is_lowercase() || chars[i - 1].is_ascii_digit());
        let ends_acronym = i > 0
            && chars[i - 1].is_uppercase()
            && chars.get(i + 1).is_some_and(|n| n.is_lowercase());
        if c.is_uppercase() && (after_lower || ends_acronym) {
            out.push('_');
        }
        if c == '-' {
            out.push('_');
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}

#[cfg(test)]
#[path = "columns_tests.rs"]
mod tests;
