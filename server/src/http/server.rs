//! The listeners: started with a socket each, stopped with grace.

use anyhow::{Context as _, Result};
use axum::Router;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Requests that are being answered are waited for so long.
const GRACE: Duration = Duration::from_secs(10);
/// Threads for sockets; disks are waited for on others.
const THREADS: usize = 2;

/// Listeners that run.
pub struct Running {
    runtime: Runtime,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Nothing listens yet.
///
/// # Errors
/// Threads can't be started.
pub fn start() -> Result<Running> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).thread_name("http").enable_all().build();
    let (stop, _) = watch::channel(false);
    Ok(Running { runtime: runtime.context("can't start the threads of http")?, stop, tasks: Vec::new() })
}

/// A socket, before anything else is begun.
///
/// # Errors
/// The address is taken, or is none.
pub fn bind(address: &str) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).with_context(|| format!("can't listen on {address}"))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

impl Running {
    /// Answers on a socket.
    ///
    /// # Errors
    /// The socket is not one.
    pub fn serve(&mut self, listener: TcpListener, router: Router) -> Result<()> {
        let _inside = self.runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut stop = self.stop.subscribe();
        self.tasks.push(self.runtime.spawn(async move {
            let stopped = async move {
                // An error: nobody is left who could say stop.
                let _ = stop.wait_for(|stop| *stop).await;
            };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "a listener ended");
            }
        }));
        Ok(())
    }

    /// Takes no more requests, and waits for those being answered.
    pub fn stop(mut self) {
        // Nobody listens: nothing to stop.
        let _ = self.stop.send(true);
        let tasks = std::mem::take(&mut self.tasks);
        let ended = self.runtime.block_on(async {
            tokio::time::timeout(GRACE, async {
                for task in tasks {
                    let _ = task.await;
                }
            })
            .await
        });
        if ended.is_err() {
            tracing::warn!(seconds = GRACE.as_secs(), "requests were still being answered");
        }
        self.runtime.shutdown_timeout(Duration::from_secs(1));
    }
}
