//! JSON read strictly by RFC 8259, one pass over the bytes and no tree. What nobody wants is
//! passed over at the speed of the scan for quotes, and is checked like everything else, except
//! that its text may be other than UTF-8. Nesting may be of any depth.

use wide::u8x16;

/// The bytes are no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax;

/// A value, as its text in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'b> {
    /// From its first byte to its last, quotes included.
    pub(super) raw: &'b [u8],
    /// Whether it is a string with escapes.
    pub(super) escaped: bool,
}

impl<'b> Token<'b> {
    pub(super) fn is_null(self) -> bool {
        self.raw == b"null"
    }

    /// The text of a string with escapes; none where they make no text.
    pub(super) fn unescaped(self) -> Option<String> {
        serde_json::from_slice(self.raw).ok()
    }

    /// What is between the quotes of a string; none where it is no string.
    pub(super) fn inner(self) -> Option<&'b [u8]> {
        match self.raw {
            [b'"', inner @ .., b'"'] => Some(inner),
            _ => None,
        }
    }
}

/// Where the reading is.
pub(super) struct Json<'b> {
    bytes: &'b [u8],
    at: usize,
    /// What closes each array or object around the innermost that is being passed over.
    around: Vec<u8>,
}

impl<'b> Json<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0, around: Vec::new() }
    }

    /// How many bytes have been read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What has been read since `start`.
    pub(super) fn since(&self, start: usize) -> &'b [u8] {
        &self.bytes[start..self.at]
    }

    /// The next byte that is no space; 0 at the end, which begins and ends nothing in JSON.
    #[inline]
    pub(super) fn peek(&mut self) -> u8 {
        let (byte, at) = peek(self.bytes, self.at);
        self.at = at;
        byte
    }

    /// Passes over a byte that must be next, after spaces.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Syntax> {
        if self.peek() != byte || byte == 0 {
            return Err(Syntax);
        }
        self.at += 1;
        Ok(())
    }

    /// Enters an array or object, which must be next; false where it is empty and has ended.
    #[inline]
    pub(super) fn enter(&mut self, open: u8, close: u8) -> Result<bool, Syntax> {
        self.expect(open)?;
        let is_empty = self.peek() == close;
        self.at += usize::from(is_empty);
        Ok(!is_empty)
    }

    /// Goes on after an element; false where the array or object has ended.
    #[inline]
    pub(super) fn more(&mut self, close: u8) -> Result<bool, Syntax> {
        let byte = self.peek();
        if byte != b',' && byte != close {
            return Err(Syntax);
        }
        self.at += 1;
        Ok(byte == b',')
    }

    /// The name of a property, with its colon.
    #[inline]
    pub(super) fn name(&mut self) -> Result<Token<'b>, Syntax> {
        if self.peek() != b'"' {
            return Err(Syntax);
        }
        let name = self.string()?;
        self.expect(b':')?;
        Ok(name)
    }

    /// The end of the text, after spaces.
    pub(super) fn end(&mut self) -> Result<(), Syntax> {
        self.peek();
        if self.at == self.bytes.len() { Ok(()) } else { Err(Syntax) }
    }

    /// A whole value.
    #[inline]
    pub(super) fn value(&mut self) -> Result<Token<'b>, Syntax> {
        if self.peek() == b'"' {
            return self.string();
        }
        let start = self.at;
        self.skip()?;
        Ok(Token { raw: self.since(start), escaped: false })
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self) -> Result<(), Syntax> {
        let bytes = self.bytes;
        let mut at = self.at;
        // What closes the innermost array or object; 0 outside of all.
        let mut close = 0;
        loop {
            let (byte, start) = peek(bytes, at);
            at = match byte {
                b'"' => string(bytes, start)?.0,
                b'{' | b'[' => {
                    let (next, inside) = peek(bytes, start + 1);
                    // The closing brackets come two after the opening ones.
                    if next != byte + 2 {
                        self.around.push(close);
                        close = byte + 2;
                        at = if byte == b'{' { name(bytes, inside)? } else { inside };
                        continue;
                    }
                    inside + 1
                }
                b'n' => literal(bytes, start, b"null")?,
                b't' => literal(bytes, start, b"true")?,
                b'f' => literal(bytes, start, b"false")?,
                _ => number(bytes, start)?,
            };
            loop {
                if close == 0 {
                    self.at = at;
                    return Ok(());
                }
                let (byte, end) = peek(bytes, at);
                at = end + 1;
                if byte == b',' {
                    if close == b'}' {
                        at = name(bytes, at)?;
                    }
                    break;
                }
                if byte != close {
                    return Err(Syntax);
                }
                close = self.around.pop().unwrap_or(0);
            }
        }
    }

    /// A string, whose quote is next.
    #[inline]
    fn string(&mut self) -> Result<Token<'b>, Syntax> {
        let start = self.at;
        let (end, escaped) = string(self.bytes, start)?;
        self.at = end;
        Ok(Token { raw: self.since(start), escaped })
    }
}

// The parts of the grammar, each from a position to that after it.

/// Passes over spaces; returns the byte that is next, or 0 at the end, and where it is.
#[inline]
fn peek(bytes: &[u8], mut at: usize) -> (u8, usize) {
    loop {
        match bytes.get(at) {
            Some(b' ' | b'\n' | b'\t' | b'\r') => at += 1,
            Some(&byte) => return (byte, at),
            None => return (0, at),
        }
    }
}

/// A property's name with its colon, after spaces.
#[inline]
fn name(bytes: &[u8], at: usize) -> Result<usize, Syntax> {
    let (b'"', at) = peek(bytes, at) else { return Err(Syntax) };
    let (b':', at) = peek(bytes, string(bytes, at)?.0) else { return Err(Syntax) };
    Ok(at + 1)
}

/// A string from its quote on; also returns whether it has escapes.
#[inline]
fn string(bytes: &[u8], start: usize) -> Result<(usize, bool), Syntax> {
    let at = plain_end(bytes, start + 1);
    match bytes.get(at) {
        Some(b'"') => Ok((at + 1, false)),
        Some(b'\\') => escaped_string(bytes, at),
        _ => Err(Syntax),
    }
}

/// The rest of a string from its first escape on.
fn escaped_string(bytes: &[u8], mut at: usize) -> Result<(usize, bool), Syntax> {
    loop {
        at = match bytes.get(at) {
            Some(b'"') => return Ok((at + 1, true)),
            Some(b'\\') => plain_end(bytes, at + escape(&bytes[at + 1..])?),
            _ => return Err(Syntax),
        };
    }
}

/// The length of an escape, of which what follows the backslash is given. Whether surrogates match
/// is the business of who wants the text.
fn escape(bytes: &[u8]) -> Result<usize, Syntax> {
    match bytes {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Ok(2),
        [b'u', a, b, c, d, ..] if [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit) => Ok(6),
        _ => Err(Syntax),
    }
}

#[inline]
fn literal(bytes: &[u8], at: usize, literal: &[u8]) -> Result<usize, Syntax> {
    let is_there = bytes[at..].starts_with(literal);
    if is_there { Ok(at + literal.len()) } else { Err(Syntax) }
}

#[inline]
fn number(bytes: &[u8], mut at: usize) -> Result<usize, Syntax> {
    let next_is = |at: usize, any_of: &[u8]| bytes.get(at).is_some_and(|b| any_of.contains(b));
    at += usize::from(next_is(at, b"-"));
    at = if next_is(at, b"0") { at + 1 } else { digits(bytes, at)? };
    if next_is(at, b".") {
        at = digits(bytes, at + 1)?;
    }
    if next_is(at, b"eE") {
        at += 1;
        at = digits(bytes, at + usize::from(next_is(at, b"+-")))?;
    }
    Ok(at)
}

#[inline]
fn digits(bytes: &[u8], start: usize) -> Result<usize, Syntax> {
    let mut at = start;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    if at > start { Ok(at) } else { Err(Syntax) }
}

/// The first byte from `at` on that is a quote, a backslash or a control character, which may not
/// stand in a string.
#[inline]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        if let Some(special) = first_special(block) {
            return at + special;
        }
        at += block.len();
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// Where in a block the first such byte is.
#[inline]
fn first_special(block: &[u8; 16]) -> Option<usize> {
    let block = u8x16::new(*block);
    let is = |byte| block.simd_eq(u8x16::splat(byte));
    let is_control = block.min(u8x16::splat(0x1F)).simd_eq(block);
    let found = (is(b'"') | is(b'\\') | is_control).to_bitmask();
    (found != 0).then(|| found.trailing_zeros() as usize)
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
