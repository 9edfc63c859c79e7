//! The escapes of JSON strings, whose syntax the reader has checked.

/// Half a surrogate pair, or bytes that are no UTF-8.
pub(super) const NO_TEXT: &str = "is no valid Unicode text";

/// Writes the characters of a string, given without its quotes, to the end of `to`. The error
/// says why they are no text for PostgreSQL, in words that follow "the value".
pub(super) fn unescape(inner: &str, to: &mut Vec<u8>) -> Result<(), &'static str> {
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        to.extend_from_slice(plain.as_bytes());
        let (kind, after) = escape.split_at_checked(1).ok_or(NO_TEXT)?;
        rest = after;
        let byte = match kind {
            "b" => 0x08,
            "f" => 0x0C,
            "n" => b'\n',
            "r" => b'\r',
            "t" => b'\t',
            "u" => {
                let (character, after) = character(after).ok_or(NO_TEXT)?;
                if character == '\0' {
                    return Err("contains a NUL character, which PostgreSQL text cannot hold");
                }
                to.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
                continue;
            }
            // A quote, a backslash or a slash stands for itself.
            _ => kind.as_bytes()[0],
        };
        to.push(byte);
    }
    to.extend_from_slice(rest.as_bytes());
    Ok(())
}

/// The character whose hexadecimal digits come next, of a pair of escapes where it needs two.
fn character(text: &str) -> Option<(char, &str)> {
    let (unit, rest) = unit(text)?;
    let is_high = (0xD800..0xDC00).contains(&unit);
    let (low, rest) = match is_high {
        true => self::unit(rest.strip_prefix("\\u")?).map(|(low, rest)| (Some(low), rest))?,
        false => (None, rest),
    };
    let character = char::decode_utf16([unit].into_iter().chain(low)).next()?.ok()?;
    Some((character, rest))
}

fn unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u16::from_str_radix(digits, 16).ok()?, rest))
}

/// Refuses what is JSON but cannot be jsonb: NUL characters and half surrogate pairs
/// (`jsonapi.c`, `json_lex_string`).
pub(super) fn check(raw: &str) -> Result<(), &'static str> {
    let mut rest = raw;
    let mut high = false;
    while let Some(at) = rest.find('\\') {
        let lone = high && at > 0;
        let escape = &rest.as_bytes()[at..];
        let unit = match escape.get(1) {
            Some(b'u') => {
                rest.get(at + 2..at + 6).and_then(|hex| u16::from_str_radix(hex, 16).ok())
            }
            _ => None,
        };
        let low = matches!(unit, Some(0xDC00..=0xDFFF));
        if lone || (high != low) {
            return Err(NO_TEXT);
        }
        if unit == Some(0) {
            return Err("contains a NUL character, which PostgreSQL jsonb cannot hold");
        }
        high = matches!(unit, Some(0xD800..=0xDBFF));
        rest = &rest[at + if unit.is_some() { 6 } else { 2 }..];
    }
    if high { Err(NO_TEXT) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `unescape` makes of a string is what serde_json makes of it.
    #[test]
    fn strings_are_those_of_serde_json() {
        let parts = [
            "a",
            "ä",
            "😀",
            "\\n",
            "\\\"",
            "\\\\",
            "\\/",
            "\\b",
            "\\f",
            "\\r",
            "\\t",
            "\\u00e4",
            "\\u20AC",
            "\\ud83d",
            "\\ude00",
            "\\ud83d\\ude00",
            "\\u0001",
            "u",
            "\\uFFFF",
        ];
        let mut random = fastrand::Rng::with_seed(1);
        let mut refused = 0;
        for _ in 0..20_000 {
            let count = random.usize(0..6);
            let inner: String = (0..count).map(|_| parts[random.usize(0..parts.len())]).collect();
            let mut text = Vec::new();
            let ours = unescape(&inner, &mut text).map(|()| String::from_utf8(text).unwrap());
            let theirs = serde_json::from_str::<String>(&format!("\"{inner}\""));
            assert_eq!(ours.clone().ok(), theirs.ok(), "{inner}");
            refused += usize::from(ours.is_err());
        }
        assert!(refused > 1_000 && refused < 15_000, "{refused}");
        assert!(unescape("\\u0000", &mut Vec::new()).unwrap_err().contains("NUL"));
    }
}
