//! A file that is written from its beginning to its end, and hashed on the way. It is open only while something is written to
//! it: an export of many months has many of them.

use super::Outlet;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io::{self, Write};

/// Bytes kept before the file is opened for them.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Such a file.
pub struct Appending {
    outlet: Outlet,
    path: String,
    kept: Vec<u8>,
    hash: Sha256,
    bytes: u64,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Sealed {
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its content, in hex.
    pub sha256: String,
}

impl Appending {
    /// A new, empty file.
    ///
    /// # Errors
    /// It can't be made.
    pub fn create(outlet: &Outlet, path: &str) -> Result<Appending> {
        outlet.create(path)?;
        Ok(Appending { outlet: outlet.clone(), path: path.to_owned(), kept: Vec::new(), hash: Sha256::new(), bytes: 0 })
    }

    fn spill(&mut self) -> io::Result<()> {
        self.outlet.append(&self.path, &self.kept)?;
        self.kept.clear();
        Ok(())
    }

    /// Writes what is left, and makes it durable.
    ///
    /// # Errors
    /// It can't be written.
    pub fn seal(mut self) -> Result<Sealed> {
        self.spill()?;
        self.outlet.sync(&self.path)?;
        Ok(Sealed { bytes: self.bytes, sha256: hex(&self.hash.finalize()) })
    }
}

impl Write for Appending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.kept.extend_from_slice(bytes);
        if self.kept.len() >= KEPT_BYTES_MAX {
            self.spill()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes in hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
