//! Scenario files, played by the product's own runner: those of the design, and our own beside them.

use accrue_projections::story::{StoryReport, run};
use std::path::{Path, PathBuf};

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn told(report: &StoryReport) -> String {
    let mut text = format!("{}: {}\n", report.file.display(), report.name);
    for difference in &report.differences {
        let (step, what) = (difference.step, &difference.what);
        text += &format!("  step {step}: {what}: expected {}, found {}\n", difference.expected, difference.found);
    }
    report.story.iter().for_each(|line| text += &format!("    {line}\n"));
    text
}

/// Plays files or folders; what differs is told whole.
fn play(paths: &[PathBuf]) -> Vec<StoryReport> {
    let scratch = tempfile::tempdir().expect("a directory");
    let reports = run(paths, scratch.path()).expect("played");
    let failed: Vec<String> = reports.iter().filter(|report| !report.passed).map(told).collect();
    assert!(failed.is_empty(), "{} of {} differ:\n{}", failed.len(), reports.len(), failed.join("\n"));
    reports
}

#[track_caller]
fn check_design(folder: &Path) {
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    let files: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|extension| extension == "toml")).collect();
    assert!(files.len() >= 12, "only {} files in {}", files.len(), folder.display());
    let reports = play(&files);
    assert!(reports.iter().all(|report| report.passed));
}

#[test]
fn scenarios_of_the_design() {
    check_design(&here().join("scenarios"));
}

/// The design's folder itself, where it is there: ours is a copy.
#[test]
fn scenarios_of_the_design_at_their_source() {
    let shared = here().join("../../shared/conformance");
    if shared.is_dir() {
        check_design(&shared);
    }
}

#[test]
fn our_own_scenarios() {
    let reports = play(&[here().join("scenarios/own")]);
    assert!(reports.len() >= 25, "only {} files", reports.len());
    assert!(reports.iter().all(|report| report.passed));
}

/// A runner that can't fail says nothing.
#[test]
fn a_wrong_number_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let wrong = std::fs::read_to_string(here().join("scenarios/refund_after_spend.toml")).expect("read");
    let wrong = wrong.replace("active = 20, debt = 0", "active = 21, debt = 0").replace("base = \"", "base = \"scenarios/");
    assert!(wrong.contains("active = 21"));
    std::os::unix::fs::symlink(here().join("scenarios"), dir.path().join("scenarios")).expect("linked");
    let file = dir.path().join("wrong.toml");
    std::fs::write(&file, wrong).expect("written");
    let reports = run(&[file], &dir.path().join("scratch")).expect("played");
    let [report] = &reports[..] else { panic!("one report") };
    assert!(!report.passed);
    let found: Vec<_> =
        report.differences.iter().map(|d| (d.step, d.what.as_str(), d.expected.as_str(), d.found.as_str())).collect();
    assert_eq!(found, [(10, "balance.main.active", "21", "20")]);
    assert!(report.story.iter().any(|line| line.contains("debt_repaid -40")), "{:?}", report.story);
    // What the number does not need is left out: no expectation between, and all facts that made it.
    let smallest = report.smallest.as_ref().expect("shrunk");
    let steps: Vec<(usize, &str)> = smallest.steps.iter().map(|step| (step.step, step.what.as_str())).collect();
    assert_eq!(steps.last().map(|last| last.1), Some("expect balance.main.active = 21, found 20"), "{steps:?}");
    assert!(steps.len() > 1 && steps.len() < 7 && !smallest.entries.is_empty(), "{steps:?}");
}
