//! The data directory: who may open it, what format it has, which shards it holds.
//!
//! ```text
//! FORMAT        "accrue-store 1"
//! LOCK          held by flock; the pid of the holder
//! secret        32 random bytes, mode 0600: coupon codes are derived from it
//! store.json    shards made here, the number of embedded shards, a check of the secret
//! master-key    wraps members' keys; made with the first of them, unless it is configured to be elsewhere
//! shards/0000/  log/ (RocksDB)  keys/ (RocksDB)  views/0001/ (RocksDB)  witness
//! ```

use crate::{StoreError, sealed};
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const FORMAT_WORD: &str = "accrue-store";
/// The format that this version writes and reads.
pub(crate) const FORMAT_KNOWN: u64 = 1;
pub(crate) const SECRET_BYTES: usize = 32;
const CHECK_CONTEXT: &str = "accrue 2026 store.json check of the secret";

/// `store.json`
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreFile {
    /// Chosen at creation; `None`: shards come and go with their partitions.
    pub embedded_shards: Option<u32>,
    /// Shards made here.
    pub shards: BTreeSet<u32>,
    /// Tells a damaged secret from a whole one; says nothing about it.
    secret_check: String,
}

impl StoreFile {
    /// Tells one store from another.
    pub(crate) fn identity(&self) -> &str {
        &self.secret_check
    }
}

/// An open data directory.
#[derive(Debug)]
pub(crate) struct Directory {
    pub root: PathBuf,
    pub file: StoreFile,
    pub secret: [u8; SECRET_BYTES],
    /// Locked as long as it is open.
    _lock: File,
}

impl Directory {
    /// Opens a data directory, or makes one of an empty or absent one.
    ///
    /// # Errors
    /// Locked, newer, damaged, something else, other number of shards, or the file system says no.
    pub(crate) fn open(root: &Path, embedded_shards: Option<u32>) -> Result<Directory, StoreError> {
        DirBuilder::new().recursive(true).mode(0o750).create(root).map_err(StoreError::io("create", root))?;
        let lock = lock(root)?;
        let known = read_format(root)?;
        if !known {
            create(root, embedded_shards)?;
        }
        let file: StoreFile = sealed::read(&root.join("store.json"))?.ok_or_else(|| missing(root, "store.json"))?;
        if let Some(asked) = embedded_shards
            && file.embedded_shards != Some(asked)
        {
            let made = file.embedded_shards.map_or("no embedded shards".to_owned(), |made| format!("{made} embedded shards"));
            let detail = format!("was made with {made}, {asked} are configured; the number can't change");
            return Err(StoreError::Mismatch { path: root.to_path_buf(), detail });
        }
        let secret = read_secret(root, &file)?;
        Ok(Directory { root: root.to_path_buf(), file, secret, _lock: lock })
    }

    pub(crate) fn shard_dir(&self, shard: u32) -> PathBuf {
        self.root.join("shards").join(format!("{shard:04}"))
    }

    /// Notes a shard as made, durably.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn add_shard(&mut self, shard: u32) -> Result<(), StoreError> {
        let mut file = self.file.clone();
        file.shards.insert(shard);
        sealed::write(&self.root.join("store.json"), &file)?;
        self.file = file;
        Ok(())
    }
}

fn missing(root: &Path, name: &str) -> StoreError {
    StoreError::Damaged { path: root.join(name), detail: "it is missing".into() }
}

fn lock(root: &Path) -> Result<File, StoreError> {
    let path = root.join("LOCK");
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open.map_err(StoreError::io("open", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(error) if error == rustix::io::Errno::WOULDBLOCK => {
            let mut pid = String::new();
            let read = file.read_to_string(&mut pid).is_ok();
            let pid = pid.trim();
            let named = read && !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
            let pid = if named { pid.to_owned() } else { "unknown".to_owned() };
            return Err(StoreError::Locked { path: root.to_path_buf(), pid });
        }
        Err(error) => return Err(StoreError::io("lock", &path)(error.into())),
    }
    let write = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    write.map_err(StoreError::io("write", &path))?;
    Ok(file)
}

/// Whether there is a store already.
fn read_format(root: &Path) -> Result<bool, StoreError> {
    let path = root.join("FORMAT");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(StoreError::io("read", &path)(error)),
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    let number = text.strip_prefix(FORMAT_WORD).and_then(|rest| rest.trim().parse::<u64>().ok());
    match number {
        Some(FORMAT_KNOWN) => Ok(true),
        Some(found) if found > FORMAT_KNOWN => {
            Err(StoreError::NewerFormat { path: root.to_path_buf(), found, known: FORMAT_KNOWN })
        }
        _ => Err(StoreError::Damaged { path, detail: format!("it should read `{FORMAT_WORD} {FORMAT_KNOWN}`") }),
    }
}

/// FORMAT comes last: a crash before it leaves something that is made again from the start.
fn create(root: &Path, embedded_shards: Option<u32>) -> Result<(), StoreError> {
    let unfinished = ["LOCK", "secret", "secret.tmp", "store.json", "store.tmp", "FORMAT.tmp", "lost+found", "master-key"];
    for entry in fs::read_dir(root).map_err(StoreError::io("read", root))? {
        let name = entry.map_err(StoreError::io("read", root))?.file_name();
        if !unfinished.iter().any(|known| name == *known) {
            let detail = format!("it has no FORMAT, but holds {}", name.to_string_lossy());
            return Err(StoreError::NotAStore { path: root.to_path_buf(), detail });
        }
    }
    let mut secret = [0; SECRET_BYTES];
    let urandom = Path::new("/dev/urandom");
    let read = File::open(urandom).and_then(|mut file| file.read_exact(&mut secret));
    read.map_err(StoreError::io("read", urandom))?;
    sealed::replace(&root.join("secret"), &secret, 0o600)?;
    let file = StoreFile { embedded_shards, shards: BTreeSet::new(), secret_check: check(&secret) };
    sealed::write(&root.join("store.json"), &file)?;
    sealed::replace(&root.join("FORMAT"), format!("{FORMAT_WORD} {FORMAT_KNOWN}\n").as_bytes(), 0o644)
}

fn check(secret: &[u8; SECRET_BYTES]) -> String {
    crate::dead::hex(&blake3::derive_key(CHECK_CONTEXT, secret)[..8])
}

fn read_secret(root: &Path, file: &StoreFile) -> Result<[u8; SECRET_BYTES], StoreError> {
    let path = root.join("secret");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing(root, "secret")),
        Err(error) => return Err(StoreError::io("read", &path)(error)),
    };
    match <[u8; SECRET_BYTES]>::try_from(bytes) {
        Ok(secret) if check(&secret) == file.secret_check => Ok(secret),
        _ => Err(StoreError::Damaged { path, detail: "it is not the secret that the store was made with".into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn made_once_and_opened_again() {
        let dir = tempfile::tempdir().expect("dir");
        let root = dir.path().join("a/b");
        let mut made = Directory::open(&root, Some(2)).expect("made");
        made.add_shard(1).expect("added");
        let secret = made.secret;
        drop(made);
        let again = Directory::open(&root, None).expect("opened");
        assert_eq!((again.secret, again.file.embedded_shards), (secret, Some(2)));
        assert_eq!(again.file.shards.iter().copied().collect::<Vec<_>>(), [1]);
        assert_eq!(fs::read_to_string(root.join("FORMAT")).expect("text"), "accrue-store 1\n");
        let mode = fs::metadata(root.join("secret")).expect("secret").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_number_of_shards_is_fixed() {
        let dir = tempfile::tempdir().expect("dir");
        drop(Directory::open(dir.path(), Some(2)).expect("made"));
        let error = Directory::open(dir.path(), Some(3)).expect_err("other number").to_string();
        assert!(error.contains("2 embedded shards") && error.contains("3 are configured"), "{error}");
    }

    #[test]
    fn a_second_open_names_the_first() {
        let dir = tempfile::tempdir().expect("dir");
        let first = Directory::open(dir.path(), None).expect("made");
        let error = Directory::open(dir.path(), None).expect_err("locked").to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        Directory::open(dir.path(), None).expect("free again");
    }

    #[test]
    fn a_newer_format_is_refused() {
        let dir = tempfile::tempdir().expect("dir");
        drop(Directory::open(dir.path(), None).expect("made"));
        fs::write(dir.path().join("FORMAT"), "accrue-store 7\n").expect("written");
        let error = Directory::open(dir.path(), None).expect_err("newer").to_string();
        assert!(error.contains("format 7") && error.contains("up to 1"), "{error}");
    }

    #[test]
    fn another_directory_is_left_alone() {
        let dir = tempfile::tempdir().expect("dir");
        fs::write(dir.path().join("photo.jpg"), "x").expect("written");
        let error = Directory::open(dir.path(), None).expect_err("other").to_string();
        assert!(error.contains("photo.jpg"), "{error}");
    }

    #[test]
    fn any_file_gone_or_changed_is_named() {
        for name in ["FORMAT", "secret", "store.json"] {
            for change in [None, Some("zz")] {
                let dir = tempfile::tempdir().expect("dir");
                drop(Directory::open(dir.path(), None).expect("made"));
                fs::create_dir(dir.path().join("shards")).expect("shards");
                match change {
                    None => fs::remove_file(dir.path().join(name)).expect("removed"),
                    Some(text) => fs::write(dir.path().join(name), text).expect("written"),
                }
                let error = Directory::open(dir.path(), None).expect_err(name).to_string();
                assert!(error.contains(name), "{error}");
            }
        }
    }

    #[test]
    fn an_unfinished_creation_is_finished() {
        let dir = tempfile::tempdir().expect("dir");
        fs::write(dir.path().join("secret"), "half").expect("written");
        fs::write(dir.path().join("store.tmp"), "half").expect("written");
        Directory::open(dir.path(), Some(1)).expect("made");
    }
}
