//! API keys in files of the database server.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Secret;
use crate::error::Error;
use crate::files::{invalid, read};

/// The largest file that can be a key, in bytes.
const LARGEST: u64 = 16 * 1024;

/// The key in a file, without white space around it. An error where the file is open to all users
/// of the operating system.
pub fn key_in_file(path: &Path) -> Result<Secret, Error> {
    let option = "api_key_file";
    let content = read(option, path, LARGEST, |metadata| match metadata.mode() & 0o007 {
        0 => Ok(()),
        _ => Err(invalid(option, "must not be open to all users of the operating system")
            .hint("chmod 0600 leaves it to its owner, which is to be the user of the server.")),
    })?;
    let key = String::from_utf8_lossy(&content);
    Secret::new("key in the file of option \"api_key_file\"", key.trim())
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_read_from_a_file_that_few_can_read() {
        let folder = std::env::temp_dir().join(format!("awork-key-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("key");
        let with = |text: &str, mode| {
            write(&path, text).unwrap();
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            key_in_file(&path)
        };
        assert_eq!(with(" abc.def\n", 0o600).unwrap().reveal(), "abc.def");
        assert_eq!(with("abc", 0o640).unwrap().reveal(), "abc");
        for (text, mode) in [("abc", 0o644), ("abc", 0o602), ("", 0o600), ("a\nb", 0o600)] {
            let error = with(text, mode).unwrap_err();
            assert!(!format!("{error:?}").contains("abc"), "{error:?}");
            assert!(!error.message.contains(path.to_str().unwrap()), "{error:?}");
        }
        assert!(with(&"a".repeat(20_000), 0o600).is_err());
        assert!(key_in_file(&folder).is_err());
        assert!(key_in_file(&folder.join("none")).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
