//! Marks: what stands in error replies and Received fields so that a report from outside leads to a log line.
//!
//! A mark is the connection id, encrypted together with random octets of this installation: one block of AES-128, in
//! base64url. Outsiders learn neither how many connections there were nor whether two marks are close; the operator
//! gets the id back. One block of distinct plaintexts needs no mode of operation.

use std::fmt;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use mailstead_net::ConnectionId;
use mailstead_runtime::Random;

/// Name of the key file in the data directory.
const FILE: &str = "mark.key";
const KEY: usize = 16;
const SALT: usize = 8;

/// Makes and reads marks.
#[derive(Clone)]
pub struct Marks {
    cipher: Aes128,
    salt: [u8; SALT],
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marks")
    }
}

impl Marks {
    /// Marks with this key: 16 octets for the cipher, 8 that stand before the id.
    #[must_use]
    pub fn new(key: &[u8; KEY + SALT]) -> Marks {
        let (mut cipher, mut salt) = ([0; KEY], [0; SALT]);
        cipher.copy_from_slice(&key[..KEY]);
        salt.copy_from_slice(&key[KEY..]);
        Marks { cipher: Aes128::new(&cipher.into()), salt }
    }

    /// Reads the key file in the data directory; the first time it is made. Blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be read or written, or has another length than a key.
    pub fn load(directory: &Path, random: &Arc<dyn Random>) -> io::Result<Marks> {
        let path = directory.join(FILE);
        let octets = match std::fs::read(&path) {
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key: [u8; KEY + SALT] = random.bytes();
                let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
                file.write_all(&key)?;
                file.sync_all()?;
                key.to_vec()
            }
            Err(error) => return Err(error),
        };
        let key = octets.as_slice().try_into().map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: not {} octets", path.display(), KEY + SALT))
        })?;
        Ok(Marks::new(key))
    }

    /// The mark of a connection.
    #[must_use]
    pub fn mark(&self, connection: ConnectionId) -> String {
        let mut block = [0; 16];
        block[..SALT].copy_from_slice(&self.salt);
        block[SALT..].copy_from_slice(&connection.0.to_be_bytes());
        let mut block = block.into();
        self.cipher.encrypt_block(&mut block);
        BASE64.encode(block)
    }

    /// The connection that a mark belongs to; `None` if we did not make it.
    #[must_use]
    pub fn read(&self, mark: &str) -> Option<ConnectionId> {
        let octets: [u8; 16] = BASE64.decode(mark).ok()?.try_into().ok()?;
        let mut block = octets.into();
        self.cipher.decrypt_block(&mut block);
        let block: [u8; 16] = block.into();
        let id = block[SALT..].try_into().ok().map(u64::from_be_bytes)?;
        (block[..SALT] == self.salt).then_some(ConnectionId(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailstead_runtime::SystemRandom;

    #[test]
    fn marks_lead_back_and_forgeries_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let marks = Marks::load(directory.path(), &random).unwrap();
        let mark = marks.mark(ConnectionId(7));
        assert_eq!(mark.len(), 22);
        let again = Marks::load(directory.path(), &random).unwrap();
        assert_eq!(again.read(&mark), Some(ConnectionId(7)));
        assert_eq!(Marks::new(&[7; 24]).read(&mark), None);
        for foreign in ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAAA", "!"] {
            assert_eq!(marks.read(foreign), None);
        }
    }

    #[test]
    fn damaged_key_files_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), b"short").unwrap();
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        assert!(Marks::load(directory.path(), &random).is_err());
    }
}
