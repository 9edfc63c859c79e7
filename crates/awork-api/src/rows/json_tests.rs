use serde::de::IgnoredAny;

use super::*;

/// Whether the reader takes the text for one JSON value.
fn is_json(bytes: &[u8]) -> bool {
    let mut json = Json::new(bytes);
    json.skip().and_then(|()| json.end()).is_ok()
}

fn is_json_for_serde(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

/// A document with everything that there is, of random sizes.
fn document(random: &mut fastrand::Rng, depth: usize, to: &mut String) {
    let space = |random: &mut fastrand::Rng| ["", "", "", " ", "\n\t\r "][random.usize(0..5)];
    to.push_str(space(random));
    let choices = if depth > 4 { 12 } else { 16 };
    match random.usize(0..choices) {
        0 => to.push_str("null"),
        1 => to.push_str("true"),
        2 => to.push_str("false"),
        3 => to.push_str(["0", "-0", "12", "-3.25", "1e5", "2E-7", "0.5e+3"][random.usize(0..7)]),
        4..12 => string(random, to),
        choice => {
            let is_object = choice > 13;
            to.push(if is_object { '{' } else { '[' });
            for i in 0..random.usize(0..5) {
                if i > 0 {
                    to.push(',');
                }
                if is_object {
                    to.push_str(space(random));
                    string(random, to);
                    to.push_str(space(random));
                    to.push(':');
                }
                document(random, depth + 1, to);
            }
            to.push_str(space(random));
            to.push(if is_object { '}' } else { ']' });
        }
    }
    to.push_str(space(random));
}

fn string(random: &mut fastrand::Rng, to: &mut String) {
    const PARTS: [&str; 12] =
        ["a", "bcdefgh", "ä", "😀", "{[", "\\n", "\\\"", "\\\\", "\\u00e4", "\\ud83d", " ", ":,"];
    to.push('"');
    for _ in 0..random.usize(0..8) {
        to.push_str(PARTS[random.usize(0..PARTS.len())]);
    }
    to.push('"');
}

#[test]
fn what_is_json_is_passed_over() {
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..5_000 {
        let mut text = String::new();
        document(&mut random, 0, &mut text);
        assert!(is_json_for_serde(text.as_bytes()), "{text}");
        assert!(is_json(text.as_bytes()), "{text}");
    }
}

#[test]
fn what_is_no_json_is_refused() {
    let mut random = fastrand::Rng::with_seed(4);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..50_000 {
        let mut text = String::new();
        document(&mut random, 0, &mut text);
        let mut bytes = text.into_bytes();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(0..bytes.len());
            let byte = b"\"\\{}[]:,0e.-+ntu \x1f\x00\xff\x80"[random.usize(0..21)];
            match random.usize(0..4) {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => bytes.truncate(at + 1),
                _ => {
                    bytes.remove(at);
                    if bytes.is_empty() {
                        bytes.push(b'1');
                    }
                }
            }
        }
        let expected = is_json_for_serde(&bytes);
        assert_eq!(is_json(&bytes), expected, "{}", String::from_utf8_lossy(&bytes));
        *(if expected { &mut good } else { &mut bad }) += 1;
    }
    assert!(good > 5_000 && bad > 5_000, "{good} good, {bad} bad");
}

#[test]
fn every_cut_of_a_document_is_refused() {
    let text = r#"[{"a":"x\u00e4\\","b":[1.5e3,true,null,{"c":{}}],"d":-0}]"#;
    assert!(is_json(text.as_bytes()));
    for end in 0..text.len() {
        assert!(!is_json(&text.as_bytes()[..end]), "{}", &text[..end]);
    }
}

#[test]
fn strings_end_where_they_end() {
    for length in 0..40 {
        for special in [b'"', b'\\', 0, 0x1F] {
            let mut bytes = vec![b' '; length];
            bytes.push(special);
            bytes.extend([b'"'; 9]);
            for start in 0..=length {
                assert_eq!(plain_end(&bytes, start), length);
            }
        }
        // Neither these nor what comes after the end.
        let plain: Vec<u8> = [0x20, 0x21, 0x23, 0x5B, 0x5D, 0x7F, 0x80, 0xFF, 0xA2, 0xDC]
            .into_iter()
            .cycle()
            .take(length)
            .collect();
        assert_eq!(plain_end(&plain, 0), length);
        assert_eq!(plain_end(&plain, length + 3), length + 3);
    }
}

#[test]
fn nesting_may_be_deep() {
    let text = "[".repeat(100_000) + &"]".repeat(100_000);
    assert!(is_json(text.as_bytes()));
    assert!(!is_json(&text.as_bytes()[..150_000]));
}
