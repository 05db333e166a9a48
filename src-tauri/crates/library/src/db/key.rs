//! Pseudonyms: keyed hashes of identifiers, and the file of the key.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use rand::TryRngCore as _;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

use crate::error::{LibraryError, Result};
use crate::files::{hex, unhex};

/// HMAC-SHA-256 block length, bytes.
const BLOCK: usize = 64;

/// The secret that makes pseudonyms: without it nobody can find a patient by trying identifiers.
#[derive(Clone)]
pub(crate) struct PatientKey([u8; 32]);

impl std::fmt::Debug for PatientKey {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("PatientKey(…)")
    }
}

impl PatientKey {
    /// Reads the key from its file; none if there is no file.
    ///
    /// Errors if the file holds something else, or if others may read it.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(LibraryError::io(path)(e)),
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(path)
                .map_err(LibraryError::io(path))?
                .permissions()
                .mode();
            if mode & 0o077 != 0 {
                return Err(LibraryError::PatientKey {
                    path: path.into(),
                    message:
                        "others may read the key of the patients' pseudonyms; run `chmod 600` on it"
                            .into(),
                });
            }
        }
        unhex(text.trim())
            .map(|key| Some(Self(key)))
            .ok_or_else(|| LibraryError::PatientKey {
                path: path.into(),
                message: "this is no key of 64 hexadecimal digits; put the right file back".into(),
            })
    }

    /// Makes a key and writes it to a new file that only its owner may read.
    pub fn create(path: &Path) -> Result<Self> {
        let mut key = [0; 32];
        OsRng.try_fill_bytes(&mut key).map_err(|e| {
            LibraryError::io(path)(std::io::Error::other(format!("no random numbers: {e}")))
        })?;
        // The file appears whole or not at all; temporary files are their owner's alone (0600).
        let parent = path.parent().unwrap_or(Path::new("."));
        let write = || -> std::io::Result<tempfile::NamedTempFile> {
            let mut file = tempfile::NamedTempFile::new_in(parent)?;
            writeln!(file, "{}", hex(&key))?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        let file = write().map_err(LibraryError::io(path))?;
        match file.persist_noclobber(path) {
            Ok(_) => Ok(Self(key)),
            // Another program was faster: its key is the key.
            Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Self::read(path)?.ok_or_else(|| LibraryError::io(path)(e.error))
            }
            Err(e) => Err(LibraryError::io(path)(e.error)),
        }
    }

    /// Pseudonym of an identifier, 32 hexadecimal digits.
    ///
    /// - `purpose`: keeps the same text under two purposes apart
    pub fn pseudonym(&self, purpose: &str, text: &str) -> String {
        let mut message = purpose.as_bytes().to_vec();
        message.push(0);
        message.extend(text.as_bytes());
        hex(&hmac_sha256(&self.0, &message)[..16])
    }
}

/// Source: RFC 2104.
fn hmac_sha256(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let pad = |byte: u8| {
        let mut block = [byte; BLOCK];
        block.iter_mut().zip(key).for_each(|(b, k)| *b ^= k);
        block
    };
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keyed_hash_is_hmac_sha_256() {
        // RFC 4231, test case 1, its key of 20 bytes padded with zeros as RFC 2104 does.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        assert_eq!(hex(&hmac_sha256(&key, b"Hi There")), expected);
    }
}
