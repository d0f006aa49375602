//! A folder in which the binary runs, without what the caller's environment would choose for it.

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

pub struct Desk {
    pub dir: TempDir,
}

pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Desk {
    pub fn new() -> Desk {
        Desk { dir: tempfile::tempdir().expect("a folder") }
    }

    pub fn command(&self, line: &str) -> Command {
        self.through(Command::new(env!("CARGO_BIN_EXE_accrue")), line)
    }

    /// No file may grow beyond as many blocks of 1,024 bytes.
    pub fn limited(&self, line: &str, blocks: u32) -> Done {
        let mut shell = Command::new("bash");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_accrue")]);
        done(self.through(shell, line).output().expect("runs"))
    }

    fn through(&self, mut command: Command, line: &str) -> Command {
        command.current_dir(self.dir.path()).args(line.split(' ').filter(|word| !word.is_empty())).stdin(Stdio::null());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ACCRUE__")) {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, line: &str) -> Done {
        done(self.command(line).output().expect("runs"))
    }

    /// What it prints, as data; it must end well.
    pub fn json(&self, line: &str) -> Value {
        let done = self.run(&format!("{line} --output json"));
        assert_eq!(done.code, 0, "{line}: {}", done.err);
        serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{line}: {error}\n{}", done.out))
    }

    /// How it ends and what it says of it.
    pub fn fails(&self, line: &str) -> (i32, String) {
        let done = self.run(line);
        assert_eq!(done.out, "", "{line}: nothing on standard output");
        (done.code, done.err.trim().to_owned())
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }
}

pub fn done(output: Output) -> Done {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Done { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}
