//! A query as a tree, small enough to be drawn, written and reduced. Expressions are text in
//! which [`literal`] marks the constants that can be parameters.

/// A query with the session that it runs in.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Settings of the session.
    pub settings: Vec<(&'static str, &'static str)>,
    /// How it is run.
    pub how: How,
    /// The query.
    pub select: Select,
}

/// How a query is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As it stands.
    Plain,
    /// Prepared with its literals as parameters, under a generic plan, and executed this often.
    Prepared(u8),
    /// Through a cursor, in portions.
    Cursor,
}

/// A `SELECT`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Select {
    /// Common table expressions: name, `MATERIALIZED` or so, and query.
    pub with: Vec<(String, &'static str, Select)>,
    /// `DISTINCT`, or `DISTINCT ON (…)`.
    pub distinct: Option<String>,
    /// The select list.
    pub columns: Vec<String>,
    /// Tables and joins.
    pub from: Vec<Source>,
    /// `WHERE`.
    pub filter: Option<Predicate>,
    /// `GROUP BY`.
    pub group: Vec<String>,
    /// `HAVING`.
    pub having: Option<Predicate>,
    /// Further queries: `UNION ALL` and so on. With any, there is no order or limit.
    pub more: Vec<(&'static str, Select)>,
    /// `ORDER BY`, before [`Select::tie`].
    pub order: Vec<String>,
    /// The end of `ORDER BY` that makes the order total.
    pub tie: Vec<String>,
    /// `LIMIT`, or a whole `FETCH` clause.
    pub limit: Option<String>,
    /// `OFFSET`.
    pub offset: Option<String>,
}

/// An item of `FROM`.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// `JOIN`, `LEFT JOIN` …; empty for the first.
    pub join: &'static str,
    /// What is read.
    pub item: Item,
    /// Its alias.
    pub alias: String,
    /// `ON`.
    pub on: Option<Predicate>,
}

/// What an item of `FROM` reads.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A table or common table expression.
    Table(String),
    /// A subquery.
    Query(Box<Select>),
    /// A subquery that refers to earlier items.
    Lateral(Box<Select>),
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    /// All of them.
    And(Vec<Predicate>),
    /// Any of them.
    Or(Vec<Predicate>),
    /// The opposite.
    Not(Box<Predicate>),
    /// `(…) IS NOT TRUE` and so on.
    Test(Box<Predicate>, &'static str),
    /// Anything that is not taken apart.
    Leaf(String),
    /// A list: what is before, the items, what is after.
    List(String, Vec<String>, String),
    /// A subquery: what is before, the query, what is after.
    Query(String, Box<Select>, String),
}

impl Predicate {
    /// Both conditions.
    pub fn and(self, other: Option<Predicate>) -> Predicate {
        match other {
            Some(other) => Predicate::And(vec![self, other]),
            None => self,
        }
    }
}

impl Select {
    /// Whether the order of the rows is determined.
    pub fn is_ordered(&self) -> bool {
        !self.tie.is_empty() && self.more.is_empty()
    }
}

const TYPE: char = '\u{1}';
const VALUE: char = '\u{2}';
const END: char = '\u{3}';

/// A constant of a type that is a parameter where the query is prepared. It must not refer to
/// anything.
pub fn literal(sql: &str, ty: &str) -> String {
    format!("{TYPE}{ty}{VALUE}{sql}{END}")
}

/// Text with its literals as parameters: the text, and each parameter's type and value.
pub fn parameterize(text: &str) -> (String, Vec<(String, String)>) {
    let mut parameters = Vec::new();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, marked)) = rest.split_once(TYPE) {
        let (ty, marked) = marked.split_once(VALUE).unwrap_or_default();
        let (value, after) = marked.split_once(END).unwrap_or_default();
        parameters.push((ty.to_owned(), value.to_owned()));
        out.push_str(before);
        out.push_str(&format!("${}", parameters.len()));
        rest = after;
    }
    out.push_str(rest);
    (out, parameters)
}

/// Text with its literals in place.
pub fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, marked)) = rest.split_once(TYPE) {
        let (_, marked) = marked.split_once(VALUE).unwrap_or_default();
        let (value, after) = marked.split_once(END).unwrap_or_default();
        out.push_str(before);
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    out
}
