//! What people call a custom field, as a name in SQL that needs no quotes.

use deunicode::deunicode_char;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use uuid::Uuid;

use crate::catalogue::names::unquoted;

/// The longest name that a column can have, in bytes (`NAMEDATALEN`, less its NUL).
const LONGEST: usize = 63;

/// How many digits an id has.
pub(super) const ID_DIGITS: usize = 32;

/// Letters and digits of ASCII joined by underscores: `Größe (m²)` is `groesse_m2`. A name that has
/// neither letters nor digits is made of the id.
pub(super) fn slug(name: &str, id: &Uuid) -> String {
    let mut slug = String::new();
    let mut push = |text: &str| {
        for c in text.chars() {
            match c {
                c if c.is_ascii_alphanumeric() => slug.push(c.to_ascii_lowercase()),
                _ if slug.is_empty() || slug.ends_with('_') => {}
                _ => slug.push('_'),
            }
        }
    };
    for c in name.nfc() {
        match c {
            'ä' | 'Ä' => push("ae"),
            'ö' | 'Ö' => push("oe"),
            'ü' | 'Ü' => push("ue"),
            'ß' | 'ẞ' => push("ss"),
            // What is left of an accent that has no letter with it.
            c if is_combining_mark(c) => {}
            c if c.is_alphanumeric() => push(deunicode_char(c).unwrap_or(" ")),
            _ => push(" "),
        }
    }
    let words = slug.trim_end_matches('_');
    let slug = match words.as_bytes().first() {
        None => with_id("field", id, 8),
        Some(b'0'..=b'9') => format!("field_{words}"),
        Some(_) => words.to_owned(),
    };
    with_id(&slug, id, 0)
}

/// A name with the first digits of an id at its end, cut so that a column can have it.
pub(super) fn with_id(name: &str, id: &Uuid, digits: usize) -> String {
    let id = id.simple().to_string();
    let suffix = if digits == 0 { String::new() } else { format!("_{}", &id[..digits]) };
    let end = name.floor_char_boundary(LONGEST - suffix.len());
    unquoted(format!("{}{suffix}", name[..end].trim_end_matches('_')))
}
