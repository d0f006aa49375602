//! A server that speaks S3 (s3s over a directory): signed requests, uploads in parts, ranges, listings.

use anyhow::{Context as _, Result};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Who may write there.
const KEY: &str = "key-of-tests";
const SECRET: &str = "secret-of-tests";

/// It ends with this.
pub struct Bucket {
    name: &'static str,
    address: SocketAddr,
    root: TempDir,
    _runtime: Runtime,
}

impl Bucket {
    /// Serves one that is empty.
    ///
    /// # Errors
    /// There is no room or no port.
    pub fn serve(name: &'static str) -> Result<Bucket> {
        let root = tempfile::tempdir()?;
        std::fs::create_dir(root.path().join(name))?;
        let files = FileSystem::new(root.path()).ok().context("no directory to serve")?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = service.build();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        runtime.spawn(answer(listener, service));
        Ok(Bucket { name, address, root, _runtime: runtime })
    }

    /// Where its objects are.
    pub fn dir(&self) -> PathBuf {
        Path::new(self.root.path()).join(self.name)
    }

    /// What a program has to find in its environment to get at it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_REGION", "eu-west-2".to_owned()),
        ]
    }
}

async fn answer(listener: TcpListener, service: S3Service) {
    while let Ok((socket, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            // Whoever asked sees that its connection ended.
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
        });
    }
}
