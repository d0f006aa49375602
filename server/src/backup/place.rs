//! Where backups are: a directory or a bucket, and what is said when it can't be reached.

use crate::failure::Failure;
use anyhow::{Context as _, Result, anyhow};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ClientOptions, Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Files sent or fetched at the same time.
pub(super) const TRANSFERS_MAX: usize = 4;
/// A file is sent and fetched in parts of this size, one after the other: with the number of transfers, what is in memory.
pub(super) const PART_BYTES: usize = 8 * 1024 * 1024;
/// A request that fails for a reason that may pass is repeated so often.
const RETRIES_MAX: usize = 4;
/// And no longer than this.
const RETRY_WAIT: Duration = Duration::from_secs(30);
/// To be connected.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// For the answer to one request.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// Where files, and the keys of members, are.
const FOLDERS: [&str; 2] = ["files", "keys"];

/// Somewhere objects can be kept.
pub struct Place {
    objects: Arc<dyn ObjectStore>,
    runtime: Runtime,
    prefix: String,
    name: String,
    /// It is a directory.
    dir: Option<PathBuf>,
}

impl Place {
    /// A path, `file:///…` or `s3://bucket/prefix`; `may_make`: a directory is made where there is none.
    ///
    /// # Errors
    /// The address is none, the directory is not there, or the environment does not say how to reach the bucket.
    pub fn open(address: &str, may_make: bool) -> Result<Place> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("backup").enable_all().build();
        let runtime = runtime.context("can't start the thread of transfers")?;
        let place = |objects, prefix: &str, dir| Place { objects, runtime, prefix: prefix.into(), name: address.into(), dir };
        if let Some(rest) = address.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            return Ok(place(bucket_of(bucket, address)?, prefix.trim_matches('/'), None));
        }
        let dir = address.strip_prefix("file://").unwrap_or(address);
        if dir.contains("://") || dir.is_empty() {
            let told = format!("{address:?} is no place for backups: give a directory, file:///… or s3://bucket/prefix");
            return Err(Failure::usage(told));
        }
        let dir = Path::new(dir);
        if may_make {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.with_context(|| format!("can't make {}; may this user write there?", dir.display()))?;
            // Keys are in there: nobody else may look, whoever made the directory above.
            for folder in FOLDERS.map(|folder| dir.join(folder)) {
                let failed = || format!("can't make {} for this user alone", folder.display());
                DirBuilder::new().recursive(true).mode(0o700).create(&folder).with_context(failed)?;
                fs::set_permissions(&folder, Permissions::from_mode(0o700)).with_context(failed)?;
            }
        } else if !dir.is_dir() {
            return Err(Failure::not_found(format!("there is no directory {}", dir.display())));
        }
        let dir = dir.canonicalize().with_context(|| format!("can't open {}", dir.display()))?;
        let objects = LocalFileSystem::new_with_prefix(&dir).with_context(|| format!("can't open {}", dir.display()))?;
        Ok(place(Arc::new(objects.with_fsync(true)), "", Some(dir)))
    }

    /// As it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn key(&self, name: &str) -> Key {
        Key::from(format!("{}/{name}", self.prefix))
    }

    /// Names and sizes of the objects right below a folder; the empty one is the top.
    pub(super) fn list(&self, folder: &str) -> Result<BTreeMap<String, u64>> {
        let found = self.runtime.block_on(self.objects.list_with_delimiter(Some(&self.key(folder))));
        let found = found.map_err(|error| self.told("list", folder, error))?;
        let named = found.objects.into_iter().filter_map(|about| Some((about.location.filename()?.to_owned(), about.size)));
        Ok(named.collect())
    }

    pub(super) fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let put = self.runtime.block_on(self.objects.put(&self.key(name), PutPayload::from(bytes)));
        put.map(|_| ()).map_err(|error| self.told("write", name, error))
    }

    /// Sends a file; there is no object before all of it is there.
    pub(super) fn put_file(&self, name: &str, from: &Path, size: u64) -> Result<()> {
        let mut file = File::open(from).with_context(|| format!("can't open {}", from.display()))?;
        let mut part = || -> Result<Vec<u8>> {
            let mut bytes = Vec::new();
            let read = Read::by_ref(&mut file).take(PART_BYTES as u64).read_to_end(&mut bytes);
            read.with_context(|| format!("can't read {}", from.display()))?;
            Ok(bytes)
        };
        if size <= PART_BYTES as u64 {
            return self.put(name, part()?);
        }
        let failed = |error| self.told("write", name, error);
        let mut upload = self.runtime.block_on(self.objects.put_multipart(&self.key(name))).map_err(failed)?;
        let sent = loop {
            match part() {
                Ok(bytes) if bytes.is_empty() => break self.runtime.block_on(upload.complete()).map(|_| ()).map_err(failed),
                Ok(bytes) => {
                    if let Err(error) = self.runtime.block_on(upload.put_part(PutPayload::from(bytes))) {
                        break Err(failed(error));
                    }
                }
                Err(error) => break Err(error),
            }
        };
        sent.inspect_err(|_| self.give_up(upload))
    }

    /// The first error is the one to tell; what is left of the upload the place removes in its own time.
    fn give_up(&self, mut upload: Box<dyn MultipartUpload>) {
        if let Err(error) = self.runtime.block_on(upload.abort()) {
            tracing::debug!(%error, "aborting an upload");
        }
    }

    /// A small object; `None`: it is not there.
    pub(super) fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let key = self.key(name);
        let read = async { self.objects.get(&key).await?.bytes().await };
        match self.runtime.block_on(read) {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.told("read", name, error)),
        }
    }

    /// An object of a known size, part by part. `false`: it is not there, or not of that size.
    pub(super) fn read(&self, name: &str, size: u64, mut part: impl FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        let key = self.key(name);
        match self.runtime.block_on(self.objects.head(&key)) {
            Ok(about) if about.size == size => {}
            Ok(_) | Err(Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(self.told("read", name, error)),
        }
        let mut from = 0;
        while from < size {
            let until = size.min(from + PART_BYTES as u64);
            let bytes = self.runtime.block_on(self.objects.get_range(&key, from..until));
            part(&bytes.map_err(|error| self.told("read", name, error))?)?;
            from = until;
        }
        Ok(true)
    }

    pub(super) fn delete(&self, name: &str) -> Result<()> {
        match self.runtime.block_on(self.objects.delete(&self.key(name))) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.told("remove", name, error)),
        }
    }

    /// Removes what a process that was killed had not written to its end; a bucket has a rule of its own for that.
    pub(super) fn remove_unfinished(&self) -> Result<()> {
        for folder in ["", "files", "keys"] {
            let Some(dir) = self.dir.as_ref().map(|dir| dir.join(folder)).filter(|dir| dir.is_dir()) else { continue };
            for entry in fs::read_dir(&dir).with_context(|| format!("can't list {}", dir.display()))? {
                let path = entry?.path();
                let unfinished = path.file_name().is_some_and(|name| name.to_string_lossy().contains('#'));
                if unfinished && path.is_file() {
                    fs::remove_file(&path).with_context(|| format!("can't remove {}", path.display()))?;
                }
            }
        }
        Ok(())
    }

    fn told(&self, action: &str, name: &str, error: Error) -> anyhow::Error {
        let hint = hint(&error, self.dir.is_some());
        let cause = crate::failure::Failure::told(&anyhow::Error::from(error));
        let cause = cause.lines().next().unwrap_or_default().to_owned();
        let slash = if name.is_empty() { "" } else { "/" };
        anyhow!("can't {action} {}{slash}{name}: {cause}{hint}", self.name.trim_end_matches('/'))
    }
}

fn bucket_of(bucket: &str, address: &str) -> Result<Arc<dyn ObjectStore>> {
    if bucket.is_empty() {
        return Err(Failure::usage(format!("{address} names no bucket: s3://bucket/prefix")));
    }
    // An error: it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"].iter().find_map(|name| std::env::var(name).ok());
    let plain = endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let retry = RetryConfig { max_retries: RETRIES_MAX, retry_timeout: RETRY_WAIT, ..RetryConfig::default() };
    let client = ClientOptions::new().with_connect_timeout(CONNECT_WAIT).with_timeout(ANSWER_WAIT).with_allow_http(plain);
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).with_client_options(client);
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let built =
        builder.build().map_err(|error| anyhow!("can't use {address}: {error}; see the AWS_… variables in docs/backup.md"))?;
    Ok(Arc::new(built))
}

/// Codes by which S3 says that a key is unknown, its secret wrong, or that it may not.
const REFUSED: [&str; 4] = ["SignatureDoesNotMatch", "InvalidAccessKeyId", "AccessDenied", "ExpiredToken"];

/// What to look at.
fn hint(error: &Error, is_dir: bool) -> &'static str {
    let told = format!("{error:?}");
    let has = |words: &[&str]| words.iter().any(|word| told.contains(word));
    match error {
        _ if io_kind(error) == Some(ErrorKind::PermissionDenied) => "; may this user read and write there?",
        _ if is_dir => "",
        Error::NotFound { .. } => "; is there such a bucket?",
        _ if has(&["NoSuchBucket"]) => "; is there such a bucket?",
        // Some of it comes as an error of any kind.
        _ if matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) || has(&REFUSED) => {
            "; look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and the rights of that key"
        }
        _ if has(&["169.254.169.254"]) => "; no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        _ if has(&["Connect", "dns", "timed out", "Timeout"]) => {
            "; does AWS_ENDPOINT_URL (or AWS_REGION) name a server that answers?"
        }
        _ => "",
    }
}

fn io_kind(error: &Error) -> Option<ErrorKind> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(at) = cause {
        if let Some(io) = at.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        cause = at.source();
    }
    None
}
