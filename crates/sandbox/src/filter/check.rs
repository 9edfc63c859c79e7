//! Gives names and types to a parsed condition: which properties it means, whether they can be
//! filtered by, and whether what it compares belongs together.

use awork_api::catalogue::{Catalogue, Model, Type};

use super::parse::{Atom, Expression, Literal, Operator};
use super::{Habits, Refusal, Refused};
use crate::data::fabric::table_of;

/// What the service computes after the database has answered, and so cannot filter by.
const COMPUTED: [&str; 8] = [
    "isSubtask",
    "trackedDuration",
    "totalTrackedDuration",
    "tasksCount",
    "commentCount",
    "isExternal",
    "resourceVersion",
    "customFields",
];

/// A condition with its properties resolved.
#[derive(Debug, Clone)]
pub(crate) enum Predicate {
    Or(Vec<Predicate>),
    And(Vec<Predicate>),
    Not(Box<Predicate>),
    Compare(Operator, Term, Term),
    In(Term, Vec<Literal>),
    Truth(Term),
}

/// A value with its properties resolved.
#[derive(Debug, Clone)]
pub(crate) enum Term {
    Constant(Literal),
    Property(Path),
    /// Whether any item satisfies, or how many do.
    Over {
        path: Path,
        count: bool,
        each: Option<Box<Predicate>>,
    },
    StartsWith(Box<Term>, Box<Term>),
    EndsWith(Box<Term>, Box<Term>),
    SubstringOf(Box<Term>, Box<Term>),
    ToLower(Box<Term>),
}

/// The way from a row to a value.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    pub(crate) steps: Vec<Step>,
    pub(crate) ty: Type,
}

/// A property on the way; a reference leads to the whole row that it names, since filters see
/// the server's entities rather than the trimmed JSON.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) ty: Type,
    /// The table, and the property that holds the id.
    pub(crate) via: Option<(&'static str, String)>,
}

/// What a value is for the purpose of comparing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Boolean,
    Number,
    Text,
    Guid,
    At,
    Time,
    Object,
}

/// What names mean at a place of the condition.
struct Scope<'a> {
    catalogue: &'a Catalogue,
    model: &'a str,
    /// The variable of the innermost `any`, of items of `model`.
    variable: Option<&'a str>,
    /// The way from the row to those items.
    above: Vec<String>,
    top_level_in: bool,
    refused: &'a Refused,
}

/// Resolves a condition on rows of `model`.
pub(crate) fn check(
    catalogue: &Catalogue,
    model: &str,
    expression: &Expression,
    habits: Habits,
    refused: &Refused,
) -> Result<Predicate, Refusal> {
    let top_level_in = habits.top_level_in;
    let above = Vec::new();
    Scope { catalogue, model, variable: None, above, top_level_in, refused }.predicate(expression)
}

/// Resolves a path to order rows of `model` by.
pub(crate) fn check_path(
    catalogue: &Catalogue,
    model: &str,
    names: &[String],
    refused: &Refused,
) -> Result<Path, Refusal> {
    let above = Vec::new();
    let scope = Scope { catalogue, model, variable: None, above, top_level_in: false, refused };
    let path = scope.path(names)?;
    match kind_of(&path.ty) {
        Kind::Object => Refusal::new("cannot order by an object or a list"),
        _ => Ok(path),
    }
}

/// The model of the whole rows of a table.
fn model_of(table: &str) -> Option<&'static str> {
    Some(match table {
        "users" => "User",
        "projects" => "Project",
        "tasks" => "TaskModel",
        "companies" => "Company",
        "types_of_work" => "TypeOfWork",
        "project_types" => "ProjectType",
        "project_statuses" => "ProjectStatus",
        "task_statuses" => "TaskStatus",
        _ => return None,
    })
}

fn kind_of(ty: &Type) -> Kind {
    match ty {
        Type::Uuid => Kind::Guid,
        Type::Text => Kind::Text,
        Type::Boolean => Kind::Boolean,
        Type::Integer | Type::Bigint | Type::Double => Kind::Number,
        Type::Instant | Type::LocalTimestamp | Type::Date => Kind::At,
        Type::TimeOfDay => Kind::Time,
        Type::Json | Type::Model(_) | Type::List(_) => Kind::Object,
    }
}

fn kind_of_literal(literal: &Literal) -> Kind {
    match literal {
        Literal::Null => Kind::Null,
        Literal::Boolean(_) => Kind::Boolean,
        Literal::Whole(_) | Literal::Number(_) => Kind::Number,
        Literal::Text(_) => Kind::Text,
        Literal::Guid(_) => Kind::Guid,
        Literal::At(_) => Kind::At,
    }
}

impl Scope<'_> {
    fn predicate(&self, expression: &Expression) -> Result<Predicate, Refusal> {
        let all = |parts: &[Expression]| -> Result<Vec<Predicate>, Refusal> {
            parts.iter().map(|part| self.predicate(part)).collect()
        };
        Ok(match expression {
            Expression::Or(parts) => Predicate::Or(all(parts)?),
            Expression::And(parts) => Predicate::And(all(parts)?),
            Expression::Not(inner) => Predicate::Not(Box::new(self.predicate(inner)?)),
            Expression::Compare(operator, left, right) => {
                let (left, a) = self.term(left)?;
                let (right, b) = self.term(right)?;
                comparable(*operator, a, b)?;
                Predicate::Compare(*operator, left, right)
            }
            Expression::In(left, items) => {
                if self.variable.is_none() && !self.top_level_in {
                    return Refusal::new("\"in\" is only known inside of \"any\"");
                }
                let (left, kind) = self.term(left)?;
                for item in items {
                    comparable(Operator::Eq, kind, kind_of_literal(item))?;
                }
                Predicate::In(left, items.clone())
            }
            Expression::Truth(atom) => match self.term(atom)? {
                (term, Kind::Boolean) => Predicate::Truth(term),
                _ => return Refusal::new("a value stands where a condition is needed"),
            },
        })
    }

    fn term(&self, atom: &Atom) -> Result<(Term, Kind), Refusal> {
        let texts = |a: &Atom, b: &Atom| -> Result<(Box<Term>, Box<Term>), Refusal> {
            Ok((Box::new(self.text(a)?), Box::new(self.text(b)?)))
        };
        Ok(match atom {
            Atom::Literal(literal) => (Term::Constant(literal.clone()), kind_of_literal(literal)),
            Atom::Path(names) => {
                let path = self.path(names)?;
                let kind = kind_of(&path.ty);
                if kind == Kind::Object && matches!(path.ty, Type::List(_) | Type::Json) {
                    return Refusal::new("a list cannot be compared");
                }
                (Term::Property(path), kind)
            }
            Atom::Over { path, count, each } => {
                let path = self.path(path)?;
                let steps = path.steps.iter().map(|step| step.name.clone());
                let above = self.above.iter().cloned().chain(steps).collect();
                let Type::List(item) = &path.ty else {
                    return Refusal::new("\"any\" and \"count\" need a list");
                };
                let each = match (&**item, each) {
                    (_, None) => None,
                    (Type::Model(model), Some((name, inner))) => {
                        let scope = Scope { model, variable: Some(name), above, ..*self };
                        Some(Box::new(scope.predicate(inner)?))
                    }
                    _ => return Refusal::new("the list holds no objects"),
                };
                let kind = if *count { Kind::Number } else { Kind::Boolean };
                (Term::Over { path, count: *count, each }, kind)
            }
            Atom::StartsWith(a, b) => {
                let (a, b) = texts(a, b)?;
                (Term::StartsWith(a, b), Kind::Boolean)
            }
            Atom::EndsWith(a, b) => {
                let (a, b) = texts(a, b)?;
                (Term::EndsWith(a, b), Kind::Boolean)
            }
            Atom::SubstringOf(a, b) => {
                let (a, b) = texts(a, b)?;
                (Term::SubstringOf(a, b), Kind::Boolean)
            }
            Atom::ToLower(a) => (Term::ToLower(Box::new(self.text(a)?)), Kind::Text),
        })
    }

    fn text(&self, atom: &Atom) -> Result<Term, Refusal> {
        match self.term(atom)? {
            (term, Kind::Text) => Ok(term),
            _ => Refusal::new("a text is needed"),
        }
    }

    fn path(&self, names: &[String]) -> Result<Path, Refusal> {
        let mut names = names;
        if let Some(variable) = self.variable {
            match names.split_first() {
                Some((first, rest)) if first == variable && !rest.is_empty() => names = rest,
                _ => return Refusal::new(format!("a name inside of \"any\" is not of {variable}")),
            }
        }
        let mut model = self.model.to_owned();
        let mut steps: Vec<Step> = Vec::new();
        for (i, name) in names.iter().enumerate() {
            let Some(shape) = self.catalogue.model(&model) else {
                return Refusal::new(format!("\"{name}\" is no property"));
            };
            let step = step(shape, name)?;
            if COMPUTED.contains(&step.name.as_str())
                || (step.name == "isDeactivated" && shape.name == "UserStatus")
            {
                return Refusal::new(format!("\"{name}\" is computed"));
            }
            model = match (&step.via, &step.ty) {
                (Some((table, _)), _) => model_of(table).unwrap_or_default().to_owned(),
                (None, Type::Model(inner)) => inner.clone(),
                _ if i + 1 < names.len() => {
                    return Refusal::new(format!("\"{name}\" has no properties"));
                }
                _ => String::new(),
            };
            steps.push(step);
        }
        let way = self.above.iter().map(String::as_str);
        if self.refused.has_path(way.chain(steps.iter().map(|step| step.name.as_str()))) {
            return Refusal::new("a property is refused on request");
        }
        let ty = steps.last().map_or(Type::Json, |step| step.ty.clone());
        Ok(Path { steps, ty })
    }
}

/// The property of this name, whatever its letters' case.
fn step(shape: &Model, name: &str) -> Result<Step, Refusal> {
    let Some(property) = shape.properties.iter().find(|p| p.name.eq_ignore_ascii_case(name)) else {
        return Refusal::new(format!("\"{}\" has no property \"{name}\"", shape.name));
    };
    let key = format!("{}Id", property.name);
    let via = match &property.ty {
        Type::Model(_) if shape.property(&key).is_some() => {
            table_of(&key).filter(|table| model_of(table).is_some()).map(|table| (table, key))
        }
        _ => None,
    };
    Ok(Step { name: property.name.clone(), ty: property.ty.clone(), via })
}

fn comparable(operator: Operator, a: Kind, b: Kind) -> Result<(), Refusal> {
    let equality = matches!(operator, Operator::Eq | Operator::Ne);
    let fits = match (a, b) {
        (_, Kind::Null) | (Kind::Null, _) => equality,
        (Kind::Object | Kind::Time, _) | (_, Kind::Object | Kind::Time) => false,
        (Kind::Boolean | Kind::Guid, _) => a == b && equality,
        _ => a == b,
    };
    if fits { Ok(()) } else { Refusal::new(format!("cannot compare {a:?} with {b:?}")) }
}
