//! The keys of members, and what they seal (§11): a small database of its own beside each log. A key that is destroyed is gone
//! from every file, and with it whatever was sealed under it, wherever that is.
//!
//! ```text
//! shards/0000/keys/   program 00 member 00 → state u8 | number u32 | position u64 | erased_at i64 | nonce 24 | wrapped key 48
//!                     00                   → nonce 24 | "accrue" sealed under the master key: tells a wrong one
//! master-key          32 random bytes in hex, mode 0600: wraps all of them; made when the first key is
//! ```
//! Sealing is XChaCha20-Poly1305. The nonce is a keyed hash of the fact and its content: the same fact delivered again is sealed to
//! the same bytes, so that duplicates and conflicts are told without opening anything.

mod master;
mod rows;
mod together;

use crate::store::Open;
use crate::{Position, ShardLog, StoreError};
use accrue_ledger::Instant;
use accrue_proto::pb;
use accrue_proto::personal::{self, Personal};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use parking_lot::Mutex;
use rocksdb::{
    BottommostLevelCompaction, ColumnFamily, ColumnFamilyDescriptor, CompactOptions, DB, WaitForCompactOptions, WriteBatch,
    WriteOptions,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const WRAPPED_BYTES: usize = KEY_BYTES + 16;
const FIXED_BYTES: usize = 1 + 4 + 8 + 8;
const FAMILY: &str = "default";
const CHECK_ROW: &[u8] = b"\0";
const CHECK: &[u8] = b"accrue";

/// A key, and which of the member's it is.
type Numbered = (u32, [u8; KEY_BYTES]);

/// A member's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    state: State,
    /// Of the key that is, or was last.
    number: u32,
    /// The latest erasure that was carried out.
    erased: Position,
    erased_at: Instant,
    wrapped: Option<([u8; NONCE_BYTES], [u8; WRAPPED_BYTES])>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Key = 1,
    /// Destroyed: no new one is made.
    Erased = 2,
    /// Destroyed, and registered again since: the next personal data gets a new one.
    Anew = 3,
}

/// The keys of a shard's members.
pub struct Vault {
    path: PathBuf,
    db: DB,
    master: XChaCha20Poly1305,
    /// One change at a time.
    writing: Mutex<()>,
    sync: bool,
    store: Arc<Open>,
}

impl Vault {
    /// # Errors
    /// The database can't be opened, or the master key is missing or another one.
    pub(crate) fn open(store: Arc<Open>, shard_dir: &Path, root: &Path) -> Result<Vault, StoreError> {
        let path = shard_dir.join("keys");
        let sync = store.shared.options.sync;
        let family = ColumnFamilyDescriptor::new(FAMILY, store.shared.keys());
        let db = DB::open_cf_descriptors(&store.shared.keys(), &path, [family])
            .map_err(StoreError::database("open the keys", &path))?;
        let check = db.get(CHECK_ROW).map_err(StoreError::database("read", &path))?;
        let file = store.shared.options.master_key.clone().unwrap_or_else(|| root.join("master-key"));
        let master = XChaCha20Poly1305::new(&master::read_or_make(&file, check.is_none())?.into());
        let vault = Vault { path, db, master, writing: Mutex::new(()), sync, store };
        match check {
            None => {
                let nonce = random::<NONCE_BYTES>()?;
                let sealed = vault.master.encrypt(&XNonce::from(nonce), CHECK).map_err(|_| vault.broken("sealing failed"))?;
                let mut batch = WriteBatch::default();
                batch.put(CHECK_ROW, [&nonce[..], &sealed].concat());
                vault.write(batch)?;
            }
            Some(row) => {
                let opened = row.split_at_checked(NONCE_BYTES).and_then(|(nonce, sealed)| {
                    vault.master.decrypt(&XNonce::from(<[u8; NONCE_BYTES]>::try_from(nonce).ok()?), sealed).ok()
                });
                if opened.as_deref() != Some(CHECK) {
                    let detail = format!("it is not the master key that {} was made with", vault.path.display());
                    return Err(StoreError::Damaged { path: file, detail });
                }
            }
        }
        Ok(vault)
    }

    /// Seals those facts that have personal data, in order, making keys for members that have none with one sync. `None`: nothing to
    /// seal, or sealed already. What belongs to an erased member is left out for good.
    ///
    /// # Errors
    /// A fact can't be decoded, or the keys can't be read or written.
    pub fn seal(&self, facts: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let _one_at_a_time = self.writing.lock();
        let mut sealed = Vec::with_capacity(facts.len());
        let mut batch = WriteBatch::default();
        let mut made: Vec<(Vec<u8>, Numbered)> = Vec::new();
        for fact in facts {
            let read = Personal::read(fact).map_err(|_| self.broken("a fact to be sealed can't be decoded"))?;
            let Some(personal) = read.filter(|personal| personal.sealed().is_empty()) else {
                sealed.push(None);
                continue;
            };
            let name = name(&personal.fact.program, &personal.fact.member);
            let known = made.iter().find(|(of, _)| *of == name).map(|(_, key)| *key);
            let row = self.row(&name)?;
            let key = match (known, row) {
                (Some(key), _) => Some(key),
                (None, Some(row)) if row.state != State::Anew && !row.allows(&personal.fact) => None,
                (None, Some(row)) if row.state == State::Key => Some((row.number, self.unwrap(&name, &row)?)),
                (None, Some(row)) if !row.allows(&personal.fact) => None,
                (None, row) => {
                    let key = (row.map_or(0, |row| row.number) + 1, random::<KEY_BYTES>()?);
                    batch.put(&name, self.wrap(&name, row, key)?.bytes());
                    made.push((name, key));
                    Some(key)
                }
            };
            sealed.push(Some(match key {
                Some((number, key)) => seal_one(personal, number, &key).ok_or_else(|| self.broken("sealing failed"))?,
                None => personal.with_sealed(personal::blank()),
            }));
        }
        if !made.is_empty() {
            self.write(batch)?;
        }
        Ok(sealed)
    }

    /// The fact with its personal data, as it came. `None`: it has none, or its key is gone.
    ///
    /// # Errors
    /// The keys can't be read.
    pub fn open_fact(&self, fact: &[u8]) -> Result<Option<pb::Fact>, StoreError> {
        let Ok(Some(personal)) = Personal::read(fact) else { return Ok(None) };
        let name = name(&personal.fact.program, &personal.fact.member);
        let Some((number, sealed)) = personal::split(personal.sealed()) else { return Ok(None) };
        let Some(row) = self.row(&name)?.filter(|row| row.state == State::Key && row.number == number) else {
            return Ok(None);
        };
        let key = self.unwrap(&name, &row)?;
        let Some((nonce, sealed)) = sealed.split_at_checked(NONCE_BYTES) else { return Ok(None) };
        let Ok(nonce) = <[u8; NONCE_BYTES]>::try_from(nonce) else { return Ok(None) };
        let aad = context(&personal);
        let payload = Payload { msg: sealed, aad: &aad };
        let content = XChaCha20Poly1305::new(&key.into()).decrypt(&XNonce::from(nonce), payload);
        Ok(content.ok().and_then(|content| personal.with_content(&content)))
    }

    /// Destroys the keys of members, and everything that is left of them in the files. Says whether there was one: an erasure at this
    /// position or a later one that was carried out already is not repeated.
    ///
    /// # Errors
    /// The keys can't be written.
    pub fn erase<M: AsRef<str>>(&self, program: &str, members: &[M], at: (Position, Instant)) -> Result<bool, StoreError> {
        let _one_at_a_time = self.writing.lock();
        let (mut batch, mut destroyed) = (WriteBatch::default(), false);
        for member in members {
            let name = name(program, member.as_ref());
            let row = self.row(&name)?;
            if row.is_some_and(|row| row.erased >= at.0) {
                continue;
            }
            let number = row.map_or(0, |row| row.number);
            let gone = Row { state: State::Erased, number, erased: at.0, erased_at: at.1, wrapped: None };
            destroyed |= row.is_some_and(|row| row.wrapped.is_some());
            batch.put(&name, gone.bytes());
        }
        if !batch.is_empty() {
            self.write(batch)?;
        }
        if destroyed {
            self.purge()?;
        }
        Ok(destroyed)
    }

    /// Whether an erasure at this position or a later one was carried out for all of these members.
    ///
    /// # Errors
    /// The keys can't be read.
    pub fn is_erased<M: AsRef<str>>(&self, program: &str, members: &[M], at: Position) -> Result<bool, StoreError> {
        for member in members {
            if self.row(&name(program, member.as_ref()))?.is_none_or(|row| row.erased < at) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A member's key as it stands in the files, wrapped: for tests that look whether it is gone. `None`: there is none.
    ///
    /// # Errors
    /// The keys can't be read.
    #[doc(hidden)]
    pub fn wrapped_key(&self, program: &str, member: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.row(&name(program, member))?.and_then(|row| row.wrapped).map(|(_, wrapped)| wrapped.to_vec()))
    }

    /// Erased members that registered again may have personal data again, told after the erasure.
    ///
    /// # Errors
    /// The keys can't be written.
    pub fn begin_again<M: AsRef<str>>(&self, program: &str, members: &[M], at: Instant) -> Result<(), StoreError> {
        let _one_at_a_time = self.writing.lock();
        let mut batch = WriteBatch::default();
        for member in members {
            let name = name(program, member.as_ref());
            if let Some(row) = self.row(&name)?.filter(|row| row.state == State::Erased && row.erased_at < at) {
                batch.put(&name, Row { state: State::Anew, ..row }.bytes());
            }
        }
        if batch.is_empty() { Ok(()) } else { self.write(batch) }
    }

    /// What was overwritten leaves the files: the write-ahead log with the flush, the rest with the compaction.
    fn purge(&self) -> Result<(), StoreError> {
        self.forget_snapshot()?;
        let family = self.db.cf_handle(FAMILY).ok_or_else(|| self.broken("its column family is missing"))?;
        compact(&self.db, family, &self.path)
    }

    fn row(&self, name: &[u8]) -> Result<Option<Row>, StoreError> {
        let row = self.db.get(name).map_err(StoreError::database("read", &self.path))?;
        row.map(|row| Row::read(&row).ok_or_else(|| self.broken("a row can't be read"))).transpose()
    }

    fn write(&self, batch: WriteBatch) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.set_sync(self.sync);
        self.db.write_opt(batch, &options).map_err(StoreError::database("write", &self.path))
    }

    fn wrap(&self, name: &[u8], row: Option<Row>, (number, key): (u32, [u8; KEY_BYTES])) -> Result<Row, StoreError> {
        let nonce = random::<NONCE_BYTES>()?;
        let wrapped = self.master.encrypt(&XNonce::from(nonce), Payload { msg: &key, aad: name });
        let wrapped = wrapped.ok().and_then(|wrapped| wrapped.try_into().ok()).ok_or_else(|| self.broken("wrapping failed"))?;
        let (erased, erased_at) = row.map_or((Position::NONE, Instant::MIN), |row| (row.erased, row.erased_at));
        Ok(Row { state: State::Key, number, erased, erased_at, wrapped: Some((nonce, wrapped)) })
    }

    fn unwrap(&self, name: &[u8], row: &Row) -> Result<[u8; KEY_BYTES], StoreError> {
        let (nonce, wrapped) = row.wrapped.ok_or_else(|| self.broken("a key is missing"))?;
        let key = self.master.decrypt(&XNonce::from(nonce), Payload { msg: &wrapped, aad: name });
        key.ok().and_then(|key| key.try_into().ok()).ok_or_else(|| self.broken("a key can't be opened"))
    }

    fn broken(&self, detail: &str) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), detail: detail.to_owned() }
    }
}

impl ShardLog {
    /// The keys of this shard's members: made with the first one.
    ///
    /// # Errors
    /// They can't be opened, or the master key is missing or another one.
    pub fn vault(&self) -> Result<&Vault, StoreError> {
        let inner = self.inner();
        if let Some(vault) = inner.vault.get() {
            return Ok(vault);
        }
        let _one_at_a_time = inner.opening_vault.lock();
        if inner.vault.get().is_none() {
            let dir = self.path().parent().unwrap_or(self.path());
            let opened = Vault::open(Arc::clone(&inner.store), dir, &inner.store.root())?;
            drop(inner.vault.set(opened));
        }
        inner.vault.get().ok_or_else(|| self.corrupt(Position::NONE, "keys".into(), "they could not be opened"))
    }

    /// The same where there is one: who only reads makes none.
    ///
    /// # Errors
    /// As [`Self::vault`].
    pub fn vault_if_any(&self) -> Result<Option<&Vault>, StoreError> {
        let any = self.inner().vault.get().is_some() || self.path().with_file_name("keys").exists();
        any.then(|| self.vault()).transpose()
    }

    /// The secret that coupon codes, look-ups and members' numbers are derived from.
    pub fn secret(&self) -> [u8; 32] {
        self.inner().store.secret()
    }
}

impl Row {
    /// Whether personal data of a fact may be kept: not what was said before an erasure.
    fn allows(&self, fact: &pb::Fact) -> bool {
        let at = fact.occurred_at.as_ref().and_then(accrue_proto::from_timestamp).unwrap_or(Instant::MIN);
        self.state != State::Erased && (self.erased == Position::NONE || at > self.erased_at)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.state as u8];
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(self.erased.0.to_be_bytes());
        bytes.extend(self.erased_at.0.to_be_bytes());
        if let Some((nonce, wrapped)) = &self.wrapped {
            bytes.extend(nonce);
            bytes.extend(wrapped);
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Row> {
        let (fixed, key) = bytes.split_at_checked(FIXED_BYTES)?;
        let state = match fixed[0] {
            1 => State::Key,
            2 => State::Erased,
            3 => State::Anew,
            _ => return None,
        };
        let wrapped = match key.len() {
            0 => None,
            _ => Some((key.get(..NONCE_BYTES)?.try_into().ok()?, key.get(NONCE_BYTES..)?.try_into().ok()?)),
        };
        Some(Row {
            state,
            number: u32::from_be_bytes(fixed[1..5].try_into().ok()?),
            erased: Position(u64::from_be_bytes(fixed[5..13].try_into().ok()?)),
            erased_at: Instant(i64::from_be_bytes(fixed[13..21].try_into().ok()?)),
            wrapped,
        })
    }
}

fn name(program: &str, member: &str) -> Vec<u8> {
    [program.as_bytes(), b"\0", member.as_bytes(), b"\0"].concat()
}

/// What a sealed body belongs to: it opens nowhere else.
fn context(personal: &Personal) -> Vec<u8> {
    let fact = &personal.fact;
    let parts = [&fact.program, &fact.member, &fact.source, &fact.id];
    let mut context = vec![personal.kind as u8];
    parts.into_iter().for_each(|part| {
        context.extend((part.len() as u32).to_be_bytes());
        context.extend(part.as_bytes());
    });
    context
}

fn seal_one(personal: Personal, number: u32, key: &[u8; KEY_BYTES]) -> Option<Vec<u8>> {
    let (content, aad) = (personal.content(), context(&personal));
    let mut hasher = blake3::Hasher::new_keyed(&blake3::derive_key("accrue 2026 nonce of personal data", key));
    hasher.update(&(aad.len() as u64).to_be_bytes());
    hasher.update(&aad);
    hasher.update(&content);
    let mut nonce = [0; NONCE_BYTES];
    hasher.finalize_xof().fill(&mut nonce);
    let payload = Payload { msg: &content, aad: &aad };
    let sealed = XChaCha20Poly1305::new(key.into()).encrypt(&XNonce::from(nonce), payload).ok()?;
    Some(personal.with_sealed([&number.to_be_bytes()[..], &nonce, &sealed].concat()))
}

/// Takes deleted and overwritten rows out of a database's files, its write-ahead log included.
pub(crate) fn compact(db: &DB, family: &ColumnFamily, path: &Path) -> Result<(), StoreError> {
    let failed = StoreError::database("compact", path);
    let done = db.flush_cf(family).and_then(|()| {
        let mut options = CompactOptions::default();
        options.set_exclusive_manual_compaction(true);
        options.set_change_level(true);
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        db.compact_range_cf_opt(family, None::<&[u8]>, None::<&[u8]>, &options);
        db.wait_for_compact(&WaitForCompactOptions::default())
    });
    done.map_err(failed)
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    use std::io::Read as _;
    let (mut bytes, urandom) = ([0; N], Path::new("/dev/urandom"));
    let read = std::fs::File::open(urandom).and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(StoreError::io("read", urandom))?;
    Ok(bytes)
}
