//! Reads a `filterby` expression. Keywords are lower-case, one blank stands around operators,
//! and none beside the comma of a function.

use super::Refusal;
use crate::data::clock::{self, DAY, Ticks};
use crate::data::guid;

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Or(Vec<Expression>),
    And(Vec<Expression>),
    Not(Box<Expression>),
    Compare(Operator, Atom, Atom),
    In(Atom, Vec<Literal>),
    /// A value that is true by itself.
    Truth(Atom),
}

/// The comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

/// A value in a condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Atom {
    Literal(Literal),
    Path(Vec<String>),
    /// `list/any(x: …)` or `list/count(x: …)`.
    Over {
        path: Vec<String>,
        count: bool,
        each: Option<(String, Box<Expression>)>,
    },
    StartsWith(Box<Atom>, Box<Atom>),
    EndsWith(Box<Atom>, Box<Atom>),
    /// The second contains the first.
    SubstringOf(Box<Atom>, Box<Atom>),
    ToLower(Box<Atom>),
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Null,
    Boolean(bool),
    Whole(i64),
    Number(f64),
    Text(String),
    Guid(u128),
    At(Ticks),
}

/// What the relative words mean.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now: Ticks,
    /// The caller, for `me.id`.
    pub(crate) me: u128,
}

/// Reads the whole text.
pub(crate) fn parse(text: &str, moment: Moment) -> Result<Expression, Refusal> {
    let mut reader = Reader { text, at: 0, moment };
    let expression = reader.or()?;
    match reader.rest() {
        "" => Ok(expression),
        rest => Refusal::new(format!("cannot read on at \"{rest}\"")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    moment: Moment,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), Refusal> {
        if self.take(token) {
            return Ok(());
        }
        Refusal::new(format!("\"{token}\" is missing at \"{}\"", self.rest()))
    }

    fn or(&mut self) -> Result<Expression, Refusal> {
        let mut parts = vec![self.and()?];
        while self.take(" or ") {
            parts.push(self.and()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Or(parts) })
    }

    fn and(&mut self) -> Result<Expression, Refusal> {
        let mut parts = vec![self.unary()?];
        while self.take(" and ") {
            parts.push(self.unary()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::And(parts) })
    }

    fn unary(&mut self) -> Result<Expression, Refusal> {
        if self.take("not ") {
            let inner = if self.take("(") { self.closed()? } else { self.comparison()? };
            return Ok(Expression::Not(Box::new(inner)));
        }
        if self.take("(") {
            return self.closed();
        }
        self.comparison()
    }

    fn closed(&mut self) -> Result<Expression, Refusal> {
        let inner = self.or()?;
        self.expect(")")?;
        Ok(inner)
    }

    fn comparison(&mut self) -> Result<Expression, Refusal> {
        let left = self.atom()?;
        if self.take(" in ") {
            self.expect("(")?;
            let mut items = vec![self.literal()?];
            while self.take(",") {
                items.push(self.literal()?);
            }
            self.expect(")")?;
            return Ok(Expression::In(left, items));
        }
        let words = [
            (" eq ", Operator::Eq),
            (" ne ", Operator::Ne),
            (" gt ", Operator::Gt),
            (" ge ", Operator::Ge),
            (" lt ", Operator::Lt),
            (" le ", Operator::Le),
        ];
        for (word, operator) in words {
            if self.take(word) {
                return Ok(Expression::Compare(operator, left, self.atom()?));
            }
        }
        Ok(Expression::Truth(left))
    }

    fn literal(&mut self) -> Result<Literal, Refusal> {
        match self.atom()? {
            Atom::Literal(literal) => Ok(literal),
            _ => Refusal::new("a list may only hold constants"),
        }
    }

    fn atom(&mut self) -> Result<Atom, Refusal> {
        for (name, arguments) in
            [("startswith(", 2), ("endswith(", 2), ("substringof(", 2), ("tolower(", 1)]
        {
            if !self.take(name) {
                continue;
            }
            let first = Box::new(self.atom()?);
            if arguments == 1 {
                self.expect(")")?;
                return Ok(Atom::ToLower(first));
            }
            self.expect(",")?;
            let second = Box::new(self.atom()?);
            self.expect(")")?;
            return Ok(match name {
                "startswith(" => Atom::StartsWith(first, second),
                "endswith(" => Atom::EndsWith(first, second),
                _ => Atom::SubstringOf(first, second),
            });
        }
        let literal = match self.rest().bytes().next() {
            Some(b'\'') => Literal::Text(self.string()?),
            Some(b'0'..=b'9' | b'-' | b'.') => self.number()?,
            _ if self.rest().starts_with("guid'") => {
                let text = self.prefixed("guid")?;
                match guid::parse(&text) {
                    Some(id) => Literal::Guid(id),
                    None => return Refusal::new(format!("\"{text}\" is no guid")),
                }
            }
            _ if self.rest().starts_with("datetime'") => {
                let text = self.prefixed("datetime")?;
                Literal::At(date_time(&text)?)
            }
            _ => return self.word(),
        };
        Ok(Atom::Literal(literal))
    }

    /// The content of `prefix'…'`.
    fn prefixed(&mut self, prefix: &str) -> Result<String, Refusal> {
        self.at += prefix.len() + 1;
        match self.rest().split_once('\'') {
            Some((inner, _)) => {
                let inner = inner.to_owned();
                self.at += inner.len() + 1;
                Ok(inner)
            }
            None => Refusal::new("a quote is not closed"),
        }
    }

    /// A text: quotes are doubled, and the ancestor's backslash escapes hold.
    fn string(&mut self) -> Result<String, Refusal> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some(c) = self.rest().chars().next() else {
                return Refusal::new("a quote is not closed");
            };
            self.at += c.len_utf8();
            match c {
                '\'' if self.take("'") => text.push('\''),
                '\'' => return Ok(text),
                '\\' => text.push(self.escape()?),
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Refusal> {
        let Some(c) = self.rest().chars().next() else {
            return Refusal::new("a backslash ends the text");
        };
        self.at += c.len_utf8();
        let code =
            |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        let escaped = match c {
            'b' => Some('\u{8}'),
            't' => Some('\t'),
            'n' => Some('\n'),
            'f' => Some('\u{c}'),
            'r' => Some('\r'),
            '\'' | '"' | '\\' => Some(c),
            'u' => {
                let digits = self.rest().get(..4).map(str::to_owned);
                self.at += digits.as_ref().map_or(0, String::len);
                digits.and_then(|d| code(&d, 16))
            }
            '0'..='7' => {
                let more = self.rest().bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b));
                let length = more.count();
                let digits = self.text[self.at - 1..self.at + length].to_owned();
                self.at += length;
                code(&digits, 8)
            }
            _ => None,
        };
        escaped.ok_or_else(|| Refusal(format!("\"\\{c}\" is no escape")))
    }

    fn number(&mut self) -> Result<Literal, Refusal> {
        let end = self.rest().find(|c: char| !(c.is_ascii_alphanumeric() || "-.".contains(c)));
        let word = self.rest()[..end.unwrap_or(self.rest().len())].to_owned();
        self.at += word.len();
        let (digits, suffix) = match word.char_indices().last() {
            Some((i, c @ ('L' | 'M' | 'm' | 'f' | 'F' | 'd'))) if !word.starts_with("0x") => {
                (&word[..i], Some(c))
            }
            _ => (word.as_str(), None),
        };
        let literal = if let Some(hex) = word.strip_prefix("0x") {
            i64::from_str_radix(hex, 16).ok().map(Literal::Whole)
        } else if digits.contains('.') || matches!(suffix, Some('M' | 'm' | 'f' | 'F' | 'd')) {
            digits.parse().ok().map(Literal::Number)
        } else {
            digits.parse().ok().map(Literal::Whole)
        };
        literal.ok_or_else(|| Refusal(format!("\"{word}\" is no number")))
    }

    /// A keyword, a relative date or a path.
    fn word(&mut self) -> Result<Atom, Refusal> {
        let first = self.identifier()?;
        if first == "me" && self.take(".id") {
            return Ok(Atom::Literal(Literal::Guid(self.moment.me)));
        }
        if !self.rest().starts_with('/')
            && let Some(literal) = self.keyword(&first)?
        {
            return Ok(Atom::Literal(literal));
        }
        let mut path = vec![first];
        while self.take("/") {
            let part = self.identifier()?;
            if !matches!(part.as_str(), "any" | "count") || !self.take("(") {
                path.push(part);
                continue;
            }
            let each = if self.take(")") {
                None
            } else {
                let name = self.identifier()?;
                self.expect(": ")?;
                let inner = self.or()?;
                self.expect(")")?;
                Some((name, Box::new(inner)))
            };
            return Ok(Atom::Over { path, count: part == "count", each });
        }
        Ok(Atom::Path(path))
    }

    fn identifier(&mut self) -> Result<String, Refusal> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let word = &rest[..end.unwrap_or(rest.len())];
        if word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit()) {
            return Refusal::new(format!("a name is missing at \"{rest}\""));
        }
        let word = word.to_owned();
        self.at += word.len();
        Ok(word)
    }

    fn keyword(&mut self, word: &str) -> Result<Option<Literal>, Refusal> {
        let now = self.moment.now;
        let today = now.div_euclid(DAY);
        let (year, month, _) = clock::civil(today);
        let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        Ok(Some(match word {
            "null" => Literal::Null,
            "true" => Literal::Boolean(true),
            "false" => Literal::Boolean(false),
            "now" => Literal::At(now),
            "sow" => Literal::At((today - clock::weekday(today)) * DAY),
            "eow" => Literal::At((today - clock::weekday(today) + 7) * DAY - 1),
            "som" => Literal::At(clock::days(year, month, 1) * DAY),
            "eom" => Literal::At(clock::days(next.0, next.1, 1) * DAY - 1),
            "today" => {
                let sign = if self.take("-") {
                    -1
                } else if self.take("+") {
                    1
                } else {
                    return Ok(Some(Literal::At(today * DAY)));
                };
                let rest = self.rest();
                let length = rest.bytes().take_while(u8::is_ascii_digit).count();
                let days = rest[..length].parse::<i64>();
                self.at += length;
                self.expect("d")?;
                match days {
                    Ok(days) if days < 100_000 => Literal::At((today + sign * days) * DAY),
                    _ => return Refusal::new("a count of days is missing"),
                }
            }
            _ => return Ok(None),
        }))
    }
}

/// Minutes or whole seconds, without a zone; the service stumbles over anything else.
fn date_time(text: &str) -> Result<Ticks, Refusal> {
    let plain = matches!(text.len(), 16 | 19)
        && text.as_bytes().get(10) == Some(&b'T')
        && text.bytes().all(|b| b.is_ascii_digit() || b"-:T".contains(&b));
    match clock::parse(text) {
        Some(at) if plain => Ok(at),
        _ => Refusal::new(format!("\"{text}\" is no date and time")),
    }
}
