//! Files of the database server that an option names.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

use crate::error::{Error, ErrorKind};

/// Reads a regular file of at most `largest` bytes, which `check` has nothing against. Errors do not
/// show the path: those who use the file need not know where it is.
pub(crate) fn read(
    option: &str,
    path: &Path,
    largest: u64,
    check: impl FnOnce(&Metadata) -> Result<(), Error>,
) -> Result<Vec<u8>, Error> {
    let unreadable = |error: io::Error| invalid(option, &format!("could not be read: {error}"));
    // Opening a pipe would wait for its writer.
    let flags = OFlag::O_NONBLOCK.bits();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(invalid(option, "is no regular file"));
    }
    check(&metadata)?;
    if metadata.len() > largest {
        return Err(invalid(option, &format!("has more than {} kB", largest / 1024)));
    }
    let mut content = Vec::new();
    file.take(largest).read_to_end(&mut content).map_err(unreadable)?;
    Ok(content)
}

/// What is wrong with the file of an option.
pub(crate) fn invalid(option: &str, why: &str) -> Error {
    Error::new(ErrorKind::Setting, format!("file of option \"{option}\" {why}"))
}
