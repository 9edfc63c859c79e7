//! GUIDs as the service shows them: they look like SQL Server's sequential ones, and sort in
//! that server's order rather than by their text.

use super::seed::mix;

/// The actor that awork names where no user changed a row.
pub(crate) const SYSTEM_ACTOR: u128 = 0x01010001_0000_0000_0000_111111111111;

/// The network cards that the sequential GUIDs of the server seem to come from.
const NODES: [u64; 4] = [0x38563d6e4a56, 0xdc984023d4ed, 0x00224880a1b2, 0x6045bd8f1c07];
/// The version digit and the year's part of the clock.
const CLOCKS: [u64; 6] = [0xeb11, 0xec11, 0xed11, 0xee11, 0xef11, 0xf011];

/// The id of row `number` of `kind`; distinct for distinct keys but for hash collisions in
/// 62 bits.
pub(crate) fn make(seed: u64, kind: &str, number: u64) -> u128 {
    let h = mix(mix(seed ^ super::seed::text(kind)).wrapping_add(number));
    let first = h >> 16;
    let clock = CLOCKS[(mix(number ^ seed) % CLOCKS.len() as u64) as usize];
    let sequence = 0x8000 | (h & 0x3fff);
    let node = NODES[(h >> 14 & 3) as usize];
    (u128::from(first) << 80)
        | (u128::from(clock) << 64)
        | (u128::from(sequence) << 48)
        | u128::from(node)
}

/// Appends the hyphenated lower-case form.
pub(crate) fn write(out: &mut Vec<u8>, id: u128) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (i, byte) in id.to_be_bytes().iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    out.extend_from_slice(&text);
}

/// The hyphenated lower-case form.
pub(crate) fn show(id: u128) -> String {
    let mut out = Vec::with_capacity(36);
    write(&mut out, id);
    String::from_utf8(out).unwrap_or_default()
}

/// Reads the hyphenated form; letters of either case.
pub(crate) fn parse(text: &str) -> Option<u128> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 {
        return None;
    }
    let mut id = 0u128;
    for (i, &byte) in bytes.iter().enumerate() {
        if matches!(i, 8 | 13 | 18 | 23) {
            if byte != b'-' {
                return None;
            }
        } else {
            id = id << 4 | u128::from((byte as char).to_digit(16)?);
        }
    }
    Some(id)
}

/// The key by which SQL Server sorts a `uniqueidentifier`: the last six bytes count most, and
/// the first three groups are stored with their bytes reversed.
pub(crate) fn server_order(id: u128) -> u128 {
    let b = id.to_be_bytes();
    u128::from_be_bytes([
        b[10], b[11], b[12], b[13], b[14], b[15], b[8], b[9], b[7], b[6], b[5], b[4], b[3], b[2],
        b[1], b[0],
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let id = make(1, "users", 3);
        assert_eq!(parse(&show(id)), Some(id));
        assert_eq!(show(SYSTEM_ACTOR), "01010001-0000-0000-0000-111111111111");
        assert_eq!(parse("01010001-0000-0000-0000-11111111111"), None);
        assert_eq!(parse("01010001x0000-0000-0000-111111111111"), None);
    }

    #[test]
    fn last_group_sorts_first() {
        let low = parse("ffffffff-ffff-ffff-ffff-000000000001").unwrap();
        let high = parse("00000000-0000-0000-0000-000000000002").unwrap();
        assert!(server_order(low) < server_order(high));
    }
}
