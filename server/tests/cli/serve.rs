//! A running service.

use super::desk::Desk;
use serde_json::Value;
use std::process::{Child, Stdio};
use std::time::Duration;

/// A service that does not answer by then is an error.
const READY_TRIES: u32 = 600;
const READY_LOOK: Duration = Duration::from_millis(50);

/// A service; killed when dropped.
pub struct Serve(Child);

impl Serve {
    pub fn start(desk: &Desk, line: &str, dir: &str) -> Serve {
        let mut command = desk.command(&format!("serve --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 {line}"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
        let notice = desk.dir.path().join(dir).join("serve.json");
        let mut serve = Serve(child);
        for _ in 0..READY_TRIES {
            if serde_json::from_slice::<Value>(&std::fs::read(&notice).unwrap_or_default()).is_ok() {
                return serve;
            }
            assert!(serve.0.try_wait().expect("is ours").is_none(), "it ended");
            std::thread::sleep(READY_LOOK);
        }
        panic!("it never answered");
    }

    pub fn signal(&self) {
        let pid = rustix::process::Pid::from_raw(self.0.id().cast_signed()).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("is ours");
    }

    pub fn ended(mut self) -> i32 {
        self.0.wait().expect("ends").code().unwrap_or(-1)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // Gone already, if all went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
