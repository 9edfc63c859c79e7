//! JSON read strictly by RFC 8259, one pass over the bytes and no tree. What nobody wants is
//! passed over at the speed of the scan for quotes, and is checked like everything else, except
//! that its text may be other than UTF-8. Nesting may be of any depth.

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
    /// For each array or object that is being passed over, whether it is an object.
    open: Vec<bool>,
}

impl<'b> Json<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0, open: Vec::new() }
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
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                Some(&byte) => return byte,
                None => return 0,
            }
        }
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
        loop {
            match self.peek() {
                b'"' => {
                    self.string()?;
                }
                b'{' => {
                    if self.enter(b'{', b'}')? {
                        self.open.push(true);
                        self.name()?;
                        continue;
                    }
                }
                b'[' => {
                    if self.enter(b'[', b']')? {
                        self.open.push(false);
                        continue;
                    }
                }
                b'n' => self.literal(b"null")?,
                b't' => self.literal(b"true")?,
                b'f' => self.literal(b"false")?,
                _ => self.number()?,
            }
            loop {
                let Some(&is_object) = self.open.last() else { return Ok(()) };
                if self.more(if is_object { b'}' } else { b']' })? {
                    if is_object {
                        self.name()?;
                    }
                    break;
                }
                self.open.pop();
            }
        }
    }

    #[inline]
    fn literal(&mut self, literal: &[u8]) -> Result<(), Syntax> {
        if !self.bytes[self.at..].starts_with(literal) {
            return Err(Syntax);
        }
        self.at += literal.len();
        Ok(())
    }

    #[inline]
    fn number(&mut self) -> Result<(), Syntax> {
        self.at += usize::from(self.next_is(b"-"));
        if self.next_is(b"0") {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.next_is(b".") {
            self.at += 1;
            self.digits()?;
        }
        if self.next_is(b"eE") {
            self.at += 1;
            self.at += usize::from(self.next_is(b"+-"));
            self.digits()?;
        }
        Ok(())
    }

    #[inline]
    fn next_is(&self, any_of: &[u8]) -> bool {
        self.bytes.get(self.at).is_some_and(|byte| any_of.contains(byte))
    }

    #[inline]
    fn digits(&mut self) -> Result<(), Syntax> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Syntax) }
    }

    /// A string, whose quote is next.
    #[inline]
    fn string(&mut self) -> Result<Token<'b>, Syntax> {
        let start = self.at;
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at = plain_end(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Token { raw: self.since(start), escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(Syntax),
            }
        }
    }

    /// Passes over an escape. Whether the surrogates match is the business of who wants the text.
    fn escape(&mut self) -> Result<(), Syntax> {
        let length = match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6).ok_or(Syntax)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(Syntax);
                }
                6
            }
            _ => return Err(Syntax),
        };
        self.at += length;
        Ok(())
    }
}

/// The first byte from `at` on that is a quote, a backslash or a control character, which may not
/// stand in a string. Eight bytes at a time, by the arithmetic of which "Bit Twiddling Hacks" says
/// "determine if a word has a byte less than n": borrows can only mark bytes after the first.
#[inline]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*eight);
        let (quote, backslash) = (word ^ ONES * 0x22, word ^ ONES * 0x5C);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = quote.wrapping_sub(ONES) & !quote;
        let backslash = backslash.wrapping_sub(ONES) & !backslash;
        let found = (control | quote | backslash) & HIGH;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(special).unwrap_or(rest.len())
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
