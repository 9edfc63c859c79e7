//! What a LIKE pattern says of the beginning, the end and the middle of a text.

/// A test that every text satisfies that the pattern matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    /// It is this text.
    Equals(String),
    /// It begins so.
    Prefix(String),
    /// It ends so.
    Suffix(String),
    /// It has this somewhere.
    Contains(String),
}

/// The tests that follow from a pattern with PostgreSQL's default escape, the backslash; none
/// where the pattern is malformed. Blanks at the end of a part are left out, since awork may
/// not count them; a part that ends the text cannot do without them, so it says nothing.
pub(super) fn tests(pattern: &str) -> Option<Vec<Test>> {
    let mut parts = vec![String::new()];
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' | '_' => parts.push(String::new()),
            '\\' => parts.last_mut()?.push(chars.next()?),
            c => parts.last_mut()?.push(c),
        }
    }
    if parts.len() == 1 {
        return Some(vec![Test::Equals(parts.remove(0))]);
    }
    let trimmed = |part: &str| part.trim_end_matches(' ').to_owned();
    let last = parts.pop()?;
    let first = trimmed(&parts[0]);
    let mut tests = Vec::new();
    if !first.is_empty() {
        tests.push(Test::Prefix(first));
    }
    if !last.is_empty() && !last.ends_with(' ') {
        tests.push(Test::Suffix(last));
    }
    let inner = parts[1..].iter().map(|part| trimmed(part)).max_by_key(String::len);
    if let Some(inner) = inner.filter(|inner| !inner.is_empty()) {
        tests.push(Test::Contains(inner));
    }
    Some(tests)
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn patterns_become_tests() {
        let of = |pattern: &str| tests(pattern).unwrap();
        let text = |t: &str| t.to_owned();
        assert_eq!(of("abc"), [Test::Equals(text("abc"))]);
        assert_eq!(of(""), [Test::Equals(text(""))]);
        assert_eq!(of("abc%"), [Test::Prefix(text("abc"))]);
        assert_eq!(of("%abc"), [Test::Suffix(text("abc"))]);
        assert_eq!(of("%abc%"), [Test::Contains(text("abc"))]);
        assert_eq!(of("a_c"), [Test::Prefix(text("a")), Test::Suffix(text("c"))]);
        assert_eq!(
            of("a%long%b%c"),
            [Test::Prefix(text("a")), Test::Suffix(text("c")), Test::Contains(text("long"))]
        );
        assert_eq!(of(r"100\%%"), [Test::Prefix(text("100%"))]);
        assert_eq!(of("a %"), [Test::Prefix(text("a"))]);
        assert_eq!(of("%a "), []);
        assert_eq!(of("%"), []);
        assert_eq!(of("__"), []);
        assert_eq!(tests(r"abc\"), None);
    }
}
