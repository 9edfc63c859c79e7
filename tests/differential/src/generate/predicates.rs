//! Conditions: comparisons, lists, ranges, patterns, tests for null and truth, subqueries, and
//! trees of them.

use super::constants::quote;
use super::{Bound, Generator, Operand};
use crate::ast::{Predicate, literal};
use crate::schema::Kind;

const COMPARISONS: &[&str] = &["=", "=", "=", "<>", "<>", "!=", "<", "<=", ">", ">="];
const TRUTHS: &[&str] =
    &["IS TRUE", "IS NOT TRUE", "IS FALSE", "IS NOT FALSE", "IS UNKNOWN", "IS NOT UNKNOWN"];

impl Generator<'_> {
    /// A condition over the tables in scope, of this depth at most.
    pub(super) fn predicate(&mut self, scope: &[Bound], depth: usize) -> Predicate {
        if depth == 0 || self.percent(50) {
            return self.leaf(scope);
        }
        let several =
            |g: &mut Self| (0..g.rng.usize(2..=3)).map(|_| g.predicate(scope, depth - 1)).collect();
        match self.rng.u32(0..12) {
            0..5 => Predicate::And(several(self)),
            5..9 => Predicate::Or(several(self)),
            9 | 10 => Predicate::Not(Box::new(self.predicate(scope, depth - 1))),
            _ => {
                let test = self.pick(TRUTHS);
                Predicate::Test(Box::new(self.predicate(scope, depth - 1)), test)
            }
        }
    }

    fn leaf(&mut self, scope: &[Bound]) -> Predicate {
        // A pattern or truth needs a column of its type.
        let text = self.column_where(scope, |kind| kind == Kind::Text);
        let boolean = self.column_where(scope, |kind| kind == Kind::Boolean);
        match self.rng.u32(0..100) {
            0..32 => self.comparison(scope),
            32..40 => self.null_test(scope),
            40..46 => match boolean {
                Some(column) => self.truth(&column),
                None => self.null_test(scope),
            },
            46..51 => self.distinct(scope),
            51..62 => self.list(scope),
            62..68 => self.range(scope),
            68..85 => match text {
                Some(column) => self.pattern(column, scope),
                None => self.comparison(scope),
            },
            85..90 => self.two_columns(scope),
            90..93 => self.row(scope),
            93..98 => self.subquery(scope),
            _ => Predicate::Leaf(
                self.pick(&["true", "false", "NULL::boolean", "random() >= 0"]).into(),
            ),
        }
    }

    fn comparison(&mut self, scope: &[Bound]) -> Predicate {
        let operand = self.operand(scope);
        let (constant, operator) = (self.constant(&operand), self.pick(COMPARISONS));
        Predicate::Leaf(match self.percent(25) {
            true => format!("{constant} {operator} {}", operand.sql),
            false => format!("{} {operator} {constant}", operand.sql),
        })
    }

    fn null_test(&mut self, scope: &[Bound]) -> Predicate {
        let column = if self.percent(80) { self.column(scope) } else { self.operand(scope) };
        let test = self.pick(&["IS NULL", "IS NOT NULL"]);
        Predicate::Leaf(format!("{} {test}", column.sql))
    }

    fn truth(&mut self, column: &Operand) -> Predicate {
        let c = &column.sql;
        Predicate::Leaf(match self.rng.u32(0..4) {
            0 => c.clone(),
            1 => format!("NOT {c}"),
            _ => format!("{c} {}", self.pick(TRUTHS)),
        })
    }

    fn distinct(&mut self, scope: &[Bound]) -> Predicate {
        let operand = self.operand(scope);
        let constant = self.constant(&operand);
        let test = self.pick(&["IS DISTINCT FROM", "IS NOT DISTINCT FROM"]);
        Predicate::Leaf(format!("{} {test} {constant}", operand.sql))
    }

    fn list(&mut self, scope: &[Bound]) -> Predicate {
        let operand = self.operand(scope);
        let (c, kind) = (&operand.sql, operand.kind);
        let items = self.constants(&operand, true);
        // Untyped constants would make an array of texts.
        let typed = kind.is_number() && items.iter().any(|item| item != "NULL");
        let end = if typed { "])".into() } else { format!("]::{}[])", kind.sql()) };
        match self.rng.u32(0..12) {
            0..4 => Predicate::List(format!("{c} IN ("), items, ")".into()),
            4..6 => Predicate::List(format!("{c} NOT IN ("), items, ")".into()),
            6 => Predicate::List(format!("{c} = ANY (ARRAY["), items, end),
            7 => Predicate::List(format!("{c} <> ALL (ARRAY["), items, end),
            8 => {
                let operator = self.pick(&["<", ">=", "<>", "="]);
                let all = self.pick(&["ANY", "ALL"]);
                Predicate::List(format!("{c} {operator} {all} (ARRAY["), items, end)
            }
            _ => {
                // One constant array, which a prepared query has as a parameter.
                let (operator, ty) = (self.pick(&["= ANY", "<> ALL"]), kind.sql());
                let values = match self.percent(8) {
                    true => String::new(),
                    false => (0..self.rng.usize(1..=4))
                        .map(|_| self.array_item(&operand))
                        .collect::<Vec<_>>()
                        .join(","),
                };
                let array = literal(
                    &format!("{}::{ty}[]", quote(&format!("{{{values}}}"))),
                    &format!("{ty}[]"),
                );
                Predicate::Leaf(format!("{c} {operator} ({array})"))
            }
        }
    }

    fn array_item(&mut self, operand: &Operand) -> String {
        let (table, column) = operand.values;
        let same = self.table(table).columns[column].kind == operand.kind;
        let value = self.value(operand.values);
        if !same || value.is_empty() || self.percent(8) {
            return "NULL".to_owned();
        }
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    }

    fn range(&mut self, scope: &[Bound]) -> Predicate {
        let operand = self.operand(scope);
        let (c, kind) = (&operand.sql, operand.kind);
        let low = self.constant(&operand);
        let high = match self.column_where(scope, |k| k == kind) {
            Some(column) if self.percent(15) => column.sql,
            _ => self.constant(&operand),
        };
        Predicate::Leaf(match self.rng.u32(0..6) {
            0 => format!("{c} NOT BETWEEN {low} AND {high}"),
            1 => format!("{c} BETWEEN SYMMETRIC {low} AND {high}"),
            2 => format!("({c} >= {low} AND {c} < {high})"),
            3 => format!("{low} BETWEEN {c} AND {high}"),
            _ => format!("{c} BETWEEN {low} AND {high}"),
        })
    }

    fn pattern(&mut self, column: Operand, scope: &[Bound]) -> Predicate {
        let of = if self.percent(80) { column } else { self.expression(column, scope) };
        if of.kind != Kind::Text {
            return self.comparison(scope);
        }
        let c = &of.sql;
        let value = self.value(of.values);
        let text = match self.rng.u32(0..5) {
            0 => value.to_lowercase(),
            1 => value.to_uppercase(),
            _ => self.text(&value),
        };
        let chars: Vec<char> = text.chars().collect();
        let from = self.rng.usize(0..=chars.len().min(8));
        let to = self.rng.usize(from..=chars.len().min(from + 4));
        let (infix, prefix): (String, String) =
            (chars[from..to].iter().collect(), chars[..to].iter().collect());
        // What is special in a pattern is escaped, or left as it is by way of trial. A pattern
        // must not end in an escape, which fails for some rows only.
        let escaped = |text: &str, by: char| -> String {
            let special = |c: char| matches!(c, '%' | '_') || c == by;
            text.chars().flat_map(|c| special(c).then_some(by).into_iter().chain([c])).collect()
        };
        let raw = self.percent(30);
        let as_pattern = |text: &str| match raw {
            true => text.replace('\\', ""),
            false => escaped(text, '\\'),
        };
        let pattern = match self.rng.u32(0..10) {
            0..3 => format!("{}%", as_pattern(&prefix)),
            3..6 => format!("%{}%", as_pattern(&infix)),
            6 => format!("%{}", as_pattern(&chars[from..].iter().collect::<String>())),
            7 => as_pattern(&value),
            8 => format!("_{}%", as_pattern(&chars.iter().skip(1).take(3).collect::<String>())),
            _ => self.pick(&["%", "_%", "%%", "", "\\%%", "%\\_%", "%\\\\%", "___"]).to_owned(),
        };
        let like = self.pick(&["LIKE", "LIKE", "LIKE", "NOT LIKE", "ILIKE", "NOT ILIKE", "~~"]);
        Predicate::Leaf(match self.rng.u32(0..20) {
            0 | 1 => format!("starts_with({c}, {})", self.text_constant(&prefix)),
            2 => format!("{c} ^@ {}", self.text_constant(&prefix)),
            3 => format!("position({} IN {c}) > 0", quote(&infix)),
            4 => format!(
                "{c} {} {} ESCAPE '!'",
                self.pick(&["LIKE", "ILIKE"]),
                quote(&format!("%{}%", escaped(&infix, '!')))
            ),
            5 => format!("lower({c}) LIKE lower({})", quote(&format!("%{}%", as_pattern(&infix)))),
            6 => format!("lower({c}) = lower({})", quote(&value)),
            7 => format!("strpos({c}, {}) > 0", self.text_constant(&infix)),
            8 => format!("{c} LIKE ANY (ARRAY[{}, 'x%'])", quote(&pattern)),
            _ => format!("{c} {like} {}", self.text_constant(&pattern)),
        })
    }

    fn text_constant(&mut self, text: &str) -> String {
        match self.percent(50) {
            true => quote(text),
            false => literal(&format!("{}::text", quote(text)), "text"),
        }
    }

    fn two_columns(&mut self, scope: &[Bound]) -> Predicate {
        let left = self.operand(scope);
        let kind = left.kind;
        match self.column_where(scope, |other| kind.compares_with(other)) {
            Some(right) => {
                let operator = self.pick(COMPARISONS);
                Predicate::Leaf(format!("{} {operator} {}", left.sql, right.sql))
            }
            None => self.comparison(scope),
        }
    }

    fn row(&mut self, scope: &[Bound]) -> Predicate {
        let (a, b) = (self.operand(scope), self.operand(scope));
        let pair = |g: &mut Self| format!("({}, {})", g.constant(&a), g.constant(&b));
        let left = format!("({}, {})", a.sql, b.sql);
        match self.percent(40) {
            true => {
                let pairs = vec![pair(self), pair(self)];
                Predicate::List(format!("{left} IN ("), pairs, ")".into())
            }
            false => {
                let operator = self.pick(&["=", "<>", "<", ">="]);
                Predicate::Leaf(format!("{left} {operator} {}", pair(self)))
            }
        }
    }
}
