//! Text that must not be shown: API keys, tokens, secrets of client applications.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind};

/// What stands in the place of a secret.
const MASK: &str = "********";

/// What stands for the rest of a text that was cut off.
const CUT: char = '…';

/// A shorter beginning of a secret says nothing of it.
const SHORTEST: usize = 4;

/// A secret that can travel in a header. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Takes the value of an option, which must be visible ASCII characters. The error names the
    /// option and not the value, which may be right but for a line break.
    pub fn new(option: &str, value: &str) -> Result<Self, Error> {
        if value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::new(
                ErrorKind::Setting,
                format!("{option} must be visible ASCII characters without spaces"),
            ));
        }
        Ok(Self(value.to_owned()))
    }

    /// The secret itself, for where it is sent or stored.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Removes the secret from a text of the remote server, should it echo it, also as a form has
    /// it, or cut off by [`excerpt`](crate::error::excerpt).
    pub fn redact(&self, text: &str) -> String {
        let text = text.replace(&self.0, MASK).replace(&encoded(&self.0), MASK);
        let mut parts = text.split(CUT);
        let last = parts.next_back().unwrap_or_default();
        parts.map(|part| format!("{}{CUT}", self.without_beginning(part))).collect::<String>()
            + last
    }

    /// A text without the beginning of the secret that it may end with.
    fn without_beginning(&self, text: &str) -> String {
        let beginnings = (SHORTEST..self.0.len()).rev().map(|length| &self.0[..length]);
        match beginnings.filter_map(|beginning| text.strip_suffix(beginning)).next() {
            Some(rest) => format!("{rest}{MASK}"),
            None => text.to_owned(),
        }
    }

    /// Something made of secrets.
    pub(super) fn from(text: String) -> Self {
        Self(text)
    }
}

/// The secrets that this process has used last, so that no error shows one, wherever it is from.
static IN_USE: Mutex<VecDeque<Secret>> = Mutex::new(VecDeque::new());

/// More are hardly in use at a time.
const MOST_IN_USE: usize = 64;

fn in_use() -> MutexGuard<'static, VecDeque<Secret>> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Secret {
    /// Takes note of a secret that is about to be sent.
    pub(crate) fn used(&self) {
        let mut in_use = in_use();
        if in_use.back() == Some(self) {
            return;
        }
        in_use.retain(|secret| secret != self);
        if in_use.len() == MOST_IN_USE {
            in_use.pop_front();
        }
        in_use.push_back(self.clone());
    }
}

/// A text without the secrets that this process has sent.
pub fn redacted(text: &str) -> String {
    in_use().iter().fold(text.to_owned(), |text, secret| secret.redact(&text))
}

/// A value as a form has it.
pub(super) fn encoded(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({MASK})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::bearer;

    #[test]
    fn a_secret_is_never_shown() {
        let key = Secret::new("api_key", "abc.def").unwrap();
        assert!(!format!("{key:?} {:?}", bearer(&key)).contains("abc"));
        assert_eq!(key.redact("key abc.def refused"), "key ******** refused");
        assert_eq!(key.redact("of abc.de… and abc…"), "of ********… and abc…");
        key.used();
        assert_eq!(redacted("abc.def abc.d…"), "******** ********…");
        let key = Secret::new("api_key", "a+b/c=").unwrap();
        assert_eq!(key.redact("a+b/c= and a%2Bb%2Fc%3D"), "******** and ********");
        for bad in ["", "a b", "a\nb", "ä"] {
            assert!(!Secret::new("api_key", bad).unwrap_err().message.contains('ä'));
        }
    }
}
