//! API keys in files of the database server.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

use super::Secret;
use crate::error::{Error, ErrorKind};

/// The largest file that can be a key, in bytes.
const LARGEST: u64 = 16 * 1024;

/// The key in a file, without white space around it. An error where the file is open to all users
/// of the operating system. Errors do not show the path: those who use a key need not know where
/// it is.
pub fn key_in_file(path: &Path) -> Result<Secret, Error> {
    let bad = |why: String| {
        Error::new(ErrorKind::Setting, format!("file of option \"api_key_file\" {why}"))
    };
    let unreadable = |error: io::Error| bad(format!("could not be read: {error}"));
    // Opening a pipe would wait for its writer.
    let flags = OFlag::O_NONBLOCK.bits();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(bad("is no regular file".into()));
    }
    if metadata.mode() & 0o007 != 0 {
        return Err(bad("must not be open to all users of the operating system".into())
            .hint("chmod 0600 leaves it to its owner, which is to be the user of the server."));
    }
    if metadata.len() > LARGEST {
        return Err(bad("is too large to be a key".into()));
    }
    let mut key = String::new();
    file.take(LARGEST).read_to_string(&mut key).map_err(unreadable)?;
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
