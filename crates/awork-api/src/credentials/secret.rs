//! Text that must not be shown: API keys, tokens, secrets of client applications.

use std::fmt;

use crate::error::{Error, ErrorKind};

/// What stands in the place of a secret.
const MASK: &str = "********";

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
    /// it.
    pub fn redact(&self, text: &str) -> String {
        text.replace(&self.0, MASK).replace(&encoded(&self.0), MASK)
    }

    /// Something made of secrets.
    pub(super) fn from(text: String) -> Self {
        Self(text)
    }
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
        let key = Secret::new("api_key", "a+b/c=").unwrap();
        assert_eq!(key.redact("a+b/c= and a%2Bb%2Fc%3D"), "******** and ********");
        for bad in ["", "a b", "a\nb", "ä"] {
            assert!(!Secret::new("api_key", bad).unwrap_err().message.contains('ä'));
        }
    }
}
