//! The parts of the filter and order language, each of which a sandbox may be told to refuse,
//! since nobody outside awork knows which of them its server takes.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::parse::{Atom, Expression, Literal, Operator};

/// A part of the filter and order language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// Any `filterby`.
    Filter,
    /// `eq`.
    Eq,
    /// `ne`.
    Ne,
    /// `gt`, `ge`, `lt` and `le`.
    Range,
    /// `and`.
    And,
    /// `or`.
    Or,
    /// `not`.
    Not,
    /// `in`.
    In,
    /// A comparison with `null`.
    Null,
    /// A guid, `me.id` included.
    Guid,
    /// A date and time, the relative ones included.
    Datetime,
    /// `true`, `false`, or a property that stands for itself.
    Boolean,
    /// A number.
    Number,
    /// A text.
    String,
    /// `startswith`.
    Startswith,
    /// `endswith`.
    Endswith,
    /// `substringof`.
    Substringof,
    /// `tolower`.
    Tolower,
    /// A path through an object, in a filter or an order.
    Nested,
    /// `any` on a list.
    Any,
    /// `count` on a list.
    Count,
    /// Any `orderby`.
    Order,
    /// An order by more than one key.
    OrderSeveral,
    /// A descending order.
    OrderDesc,
}

impl Feature {
    /// All features.
    pub const ALL: [Feature; 24] = [
        Feature::Filter,
        Feature::Eq,
        Feature::Ne,
        Feature::Range,
        Feature::And,
        Feature::Or,
        Feature::Not,
        Feature::In,
        Feature::Null,
        Feature::Guid,
        Feature::Datetime,
        Feature::Boolean,
        Feature::Number,
        Feature::String,
        Feature::Startswith,
        Feature::Endswith,
        Feature::Substringof,
        Feature::Tolower,
        Feature::Nested,
        Feature::Any,
        Feature::Count,
        Feature::Order,
        Feature::OrderSeveral,
        Feature::OrderDesc,
    ];

    /// The name, as the command line and the control calls take it.
    pub fn name(self) -> &'static str {
        match self {
            Feature::Filter => "filter",
            Feature::Eq => "eq",
            Feature::Ne => "ne",
            Feature::Range => "range",
            Feature::And => "and",
            Feature::Or => "or",
            Feature::Not => "not",
            Feature::In => "in",
            Feature::Null => "null",
            Feature::Guid => "guid",
            Feature::Datetime => "datetime",
            Feature::Boolean => "boolean",
            Feature::Number => "number",
            Feature::String => "string",
            Feature::Startswith => "startswith",
            Feature::Endswith => "endswith",
            Feature::Substringof => "substringof",
            Feature::Tolower => "tolower",
            Feature::Nested => "nested",
            Feature::Any => "any",
            Feature::Count => "count",
            Feature::Order => "order",
            Feature::OrderSeveral => "order-several",
            Feature::OrderDesc => "order-desc",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Feature {
    type Err = String;

    fn from_str(name: &str) -> Result<Feature, String> {
        let found = Feature::ALL.into_iter().find(|feature| feature.name() == name);
        found.ok_or_else(|| {
            let names = Feature::ALL.map(Feature::name).join(", ");
            format!("there is no feature \"{name}\"; there are {names}")
        })
    }
}

/// What a sandbox refuses in filters and orders though it could do it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Refused {
    /// Parts of the language.
    pub features: BTreeSet<Feature>,
    /// Properties by their path from the row, whatever its case: `projectId`, `project/name`,
    /// `tags/name` for what is compared inside of `any`. What lies beyond one is refused too.
    pub properties: BTreeSet<String>,
}

impl Refused {
    /// Refuses parts of the language.
    pub fn features(features: impl IntoIterator<Item = Feature>) -> Refused {
        Refused { features: features.into_iter().collect(), ..Refused::default() }
    }

    /// Refuses properties.
    pub fn properties<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Refused {
        let properties = names.into_iter().map(Into::into).collect();
        Refused { properties, ..Refused::default() }
    }

    /// Whether a path, or one on its way, is refused.
    pub(super) fn has_path<'a>(&self, path: impl Iterator<Item = &'a str> + Clone) -> bool {
        self.properties.iter().any(|name| {
            let mut path = path.clone();
            name.split('/').all(|part| path.next().is_some_and(|p| p.eq_ignore_ascii_case(part)))
        })
    }

    /// Refuses what uses a refused feature.
    fn allow(&self, used: &BTreeSet<Feature>) -> Result<(), Refusal> {
        match used.intersection(&self.features).next() {
            Some(feature) => Refusal::new(format!("\"{feature}\" is refused on request")),
            None => Ok(()),
        }
    }

    /// Refuses a filter that uses a refused feature.
    pub(crate) fn allow_filter(&self, expression: &Expression) -> Result<(), Refusal> {
        let mut used = BTreeSet::from([Feature::Filter]);
        in_expression(expression, None, &mut used);
        self.allow(&used)
    }

    /// Refuses an order that uses a refused feature: keys as steps, and whether each descends.
    pub(super) fn allow_order(&self, keys: &[(Vec<String>, bool)]) -> Result<(), Refusal> {
        let mut used = BTreeSet::from([Feature::Order]);
        if keys.len() > 1 {
            used.insert(Feature::OrderSeveral);
        }
        for (path, descends) in keys {
            if *descends {
                used.insert(Feature::OrderDesc);
            }
            if path.len() > 1 {
                used.insert(Feature::Nested);
            }
        }
        self.allow(&used)
    }
}

/// Notes what a condition uses; `variable` is that of the innermost `any`.
fn in_expression(expression: &Expression, variable: Option<&str>, used: &mut BTreeSet<Feature>) {
    match expression {
        Expression::Or(parts) | Expression::And(parts) => {
            let or = matches!(expression, Expression::Or(_));
            used.insert(if or { Feature::Or } else { Feature::And });
            parts.iter().for_each(|part| in_expression(part, variable, used));
        }
        Expression::Not(inner) => {
            used.insert(Feature::Not);
            in_expression(inner, variable, used);
        }
        Expression::Compare(operator, left, right) => {
            used.insert(match operator {
                Operator::Eq => Feature::Eq,
                Operator::Ne => Feature::Ne,
                _ => Feature::Range,
            });
            in_atom(left, variable, used);
            in_atom(right, variable, used);
        }
        Expression::In(left, items) => {
            used.insert(Feature::In);
            in_atom(left, variable, used);
            items.iter().for_each(|item| {
                used.insert(of_literal(item));
            });
        }
        Expression::Truth(atom) => {
            if matches!(atom, Atom::Path(_)) {
                used.insert(Feature::Boolean);
            }
            in_atom(atom, variable, used);
        }
    }
}

fn in_atom(atom: &Atom, variable: Option<&str>, used: &mut BTreeSet<Feature>) {
    // The variable of an `any` is no object on the way.
    let nested = |path: &[String]| {
        let start = usize::from(path.first().map(String::as_str) == variable);
        path.len() > start + 1
    };
    match atom {
        Atom::Literal(literal) => {
            used.insert(of_literal(literal));
        }
        Atom::Path(path) => {
            if nested(path) {
                used.insert(Feature::Nested);
            }
        }
        Atom::Over { path, count, each } => {
            used.insert(if *count { Feature::Count } else { Feature::Any });
            if nested(path) {
                used.insert(Feature::Nested);
            }
            if let Some((name, inner)) = each {
                in_expression(inner, Some(name), used);
            }
        }
        Atom::StartsWith(a, b) | Atom::EndsWith(a, b) | Atom::SubstringOf(a, b) => {
            used.insert(match atom {
                Atom::StartsWith(..) => Feature::Startswith,
                Atom::EndsWith(..) => Feature::Endswith,
                _ => Feature::Substringof,
            });
            in_atom(a, variable, used);
            in_atom(b, variable, used);
        }
        Atom::ToLower(inner) => {
            used.insert(Feature::Tolower);
            in_atom(inner, variable, used);
        }
    }
}

fn of_literal(literal: &Literal) -> Feature {
    match literal {
        Literal::Null => Feature::Null,
        Literal::Boolean(_) => Feature::Boolean,
        Literal::Whole(_) | Literal::Number(_) => Feature::Number,
        Literal::Text(_) => Feature::String,
        Literal::Guid(_) => Feature::Guid,
        Literal::At(_) => Feature::Datetime,
    }
}
