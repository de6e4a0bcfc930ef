//! Files that commands read, of bounded length, and write, never over others.

use std::fs::{File, OpenOptions, remove_file};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::failure::Failure;

/// Reads a file, or standard input for none and `-`, of at most so many octets.
pub(crate) fn read_file(path: Option<&Path>, most: u64) -> Result<Vec<u8>, Failure> {
    match path {
        Some(path) if path != Path::new("-") => {
            let failed = |reason: String| Failure::new(format!("{}: {reason}", path.display()));
            let file = File::open(path).map_err(|error| failed(format!("cannot read it: {error}")))?;
            read(file, most).map_err(failed)
        }
        _ => read(io::stdin().lock(), most).map_err(|reason| Failure::new(format!("standard input: {reason}"))),
    }
}

fn read(file: impl Read, most: u64) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let read = file.take(most + 1).read_to_end(&mut octets).map_err(|error| format!("cannot read it: {error}"))?;
    if u64::try_from(read).unwrap_or(u64::MAX) > most {
        return Err(format!("longer than {most} octets"));
    }
    Ok(octets)
}

/// Writes a file that nobody else can read, and that must not have been there: it might be a key in use.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::new(format!("{}: cannot write it: {error}", path.display()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
        // Half a file is none; that it stays is no worse than the failure that is told.
        let _ = remove_file(path);
        failed(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_are_refused() {
        assert_eq!(read(&b"12345678"[..], 8).unwrap(), b"12345678");
        assert_eq!(read(&b"123456789"[..], 8).unwrap_err(), "longer than 8 octets");
    }
}
