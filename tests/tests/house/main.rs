//! The rules of the house that the compiler does not keep. Offline; each check is a function from what it looks at to a list
//! of what is wrong, and each has a test of its own that it does find something.

mod crates;
mod files;
mod layout;
mod packages;
mod purity;

use cargo_metadata::{Metadata, MetadataCommand};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// What is wrong, a line each: where, what, hint.
type Findings = Vec<String>;

#[track_caller]
fn none(findings: Findings) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the checkout")
}

/// All packages of a build on this kind of machine.
static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let options = ["--offline", "--locked", "--filter-platform", &host].map(str::to_owned);
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).other_options(options).exec().expect("cargo metadata")
});

/// A file of the checkout.
struct Source {
    /// From the top, with `/`.
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    /// The lines above the tests at the bottom.
    fn code(&self) -> &str {
        self.text.find("#[cfg(test)]\nmod tests {").map_or(&self.text, |at| &self.text[..at])
    }
}

/// Every text file that is tracked or about to be (not ignored).
static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root())
        .output()
        .expect("git lists the files of the checkout");
    assert!(listed.status.success(), "git: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).expect("file names are UTF-8");
    let sources: Vec<Source> = names
        .split_terminator('\0')
        // What is deleted but still tracked, and what is no text, has nothing to check.
        .filter_map(|path| Some(Source { path: path.to_owned(), text: fs::read_to_string(root().join(path)).ok()? }))
        .collect();
    assert!(sources.iter().any(|source| source.path == "Cargo.toml"), "git lists the checkout");
    sources
});
