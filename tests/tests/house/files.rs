//! Every tracked file: short enough to be read, and naming nothing of the machine it was written on.

use crate::{Findings, SOURCES, Source, none};

/// What is too long.
struct Limits {
    file_lines_max: usize,
    function_lines_max: usize,
}

/// A file beyond this has more than one behaviour, a function beyond this can't be seen at once.
const CODE: Limits = Limits { file_lines_max: 400, function_lines_max: 70 };
/// Tests are tables, and a table is as long as it has cases. Counted apart from the code above them.
const TESTS: Limits = Limits { file_lines_max: 500, function_lines_max: 160 };

/// Longer all the same, each with its reason.
const LONG_FILES: [(&str, &str); 1] = [(
    "engine/ledger/src/fact.rs",
    "one list of every body a fact can have: data without behaviour, read side by side with facts.md",
)];

fn is_code(source: &Source) -> bool {
    let script = source.text.starts_with("#!");
    script || [".rs", ".sh", ".py", ".js", ".sql"].iter().any(|ending| source.path.ends_with(ending))
}

fn check_length(source: &Source) -> Findings {
    if !is_code(source) || LONG_FILES.iter().any(|(path, _)| *path == source.path) {
        return Findings::new();
    }
    let all_tests = source.path.contains("/tests/");
    let code = if all_tests { 0 } else { source.code().lines().count() };
    let tests = source.text.lines().count() - code;
    let mut findings = Findings::new();
    for (count, limits, what) in [(code, CODE, "lines"), (tests, TESTS, "lines of tests")] {
        if count > limits.file_lines_max {
            let max = limits.file_lines_max;
            findings.push(format!("{}: {count} {what}, over {max}: one behaviour, one file", source.path));
        }
    }
    if source.path.ends_with(".rs") {
        for (line, name, length) in functions(&source.text) {
            let max = if line > code { TESTS } else { CODE }.function_lines_max;
            if length > max {
                findings.push(format!("{}:{line}: fn {name} has {length} lines, over {max}", source.path));
            }
        }
    }
    findings
}

/// Line, name and length of each function. Good for formatted code only, where a function ends at the first line that is a
/// closing brace with its own indentation.
fn functions(text: &str) -> Vec<(usize, &str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let bare = line.trim_start();
        let indent = &line[..line.len() - bare.len()];
        let Some(name) = function_name(bare) else { continue };
        let end = lines[index..].iter().position(|line| line.strip_prefix(indent) == Some("}"));
        // A function on one line, or a declaration in a trait, ends where it begins.
        let length = if bare.ends_with(['}', ';']) { 1 } else { end.map_or(lines.len() - index, |end| end + 1) };
        found.push((index + 1, name, length));
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let mut words = line.split(' ');
    let before = ["pub", "pub(crate)", "pub(super)", "const", "async", "extern", "\"C\""];
    let word = words.by_ref().find(|word| !before.contains(word))?;
    (word == "fn").then(|| words.next())?.map(|rest| rest.split(['(', '<']).next().unwrap_or(rest))
}

/// Written apart, so that this file does not find itself.
fn machine_words() -> Vec<String> {
    let folders = ["root", "home", "work", "Users"].map(|name| format!("/{name}/"));
    let hosts = [
        ("index.", "crates.io"),
        ("static.", "crates.io"),
        ("repo.", "maven.apache.org"),
        ("repo1.", "maven.org"),
        ("registry.", "npmjs.org"),
        ("files.", "pythonhosted.org"),
        ("proxy.", "golang.org"),
        ("deb.", "debian.org"),
    ];
    folders.into_iter().chain(hosts.map(|(host, domain)| format!("{host}{domain}"))).collect()
}

fn check_machine(source: &Source, words: &[String]) -> Findings {
    let mut findings = Findings::new();
    for (number, line) in source.text.lines().enumerate() {
        for word in words {
            // In the middle of a relative path it is only a folder's name.
            let named = line.match_indices(word.as_str()).any(|(at, _)| {
                !line[..at].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '.' | '_' | '-' | '}' | ')'))
            });
            if named {
                findings.push(format!("{}:{}: names {word}, which is this machine's or a registry's", source.path, number + 1));
            }
        }
    }
    findings
}

#[test]
fn files_and_functions_are_short() {
    none(SOURCES.iter().flat_map(check_length).collect());
}

#[test]
fn every_exception_is_still_needed() {
    for (path, reason) in LONG_FILES {
        let source =
            SOURCES.iter().find(|source| source.path == path).unwrap_or_else(|| panic!("{path} is gone: drop its exception"));
        assert!(
            source.code().lines().count() > CODE.file_lines_max && !reason.is_empty(),
            "{path} is short enough: drop its exception"
        );
    }
}

#[test]
fn nothing_names_this_machine() {
    let words = machine_words();
    none(SOURCES.iter().flat_map(|source| check_machine(source, &words)).collect());
}

#[test]
fn a_long_file_is_found() {
    let file = |lines: usize, tests: usize| {
        let text = "//\n".repeat(lines) + "#[cfg(test)]\nmod tests {\n" + &"//\n".repeat(tests);
        check_length(&Source::new("x.rs", &text)).len()
    };
    assert_eq!([file(400, 0), file(401, 0), file(0, 498), file(0, 499), file(401, 499)], [0, 1, 0, 1, 2]);
    assert_eq!(check_length(&Source::new("run", &("#!/bin/sh\n".to_owned() + &":\n".repeat(400)))).len(), 1, "scripts");
    assert!(check_length(&Source::new("x.md", &"\n".repeat(999))).is_empty(), "prose");
}

#[test]
fn a_long_function_is_found() {
    let nested = |lines: usize| {
        format!("impl X {{\n    pub(crate) const fn long<T>(a: T) {{\n{}    }}\n}}\n", "        f();\n".repeat(lines))
    };
    assert_eq!(functions(&nested(3)), [(2, "long", 5)]);
    assert_eq!(check_length(&Source::new("x.rs", &nested(68))), Findings::new());
    assert_eq!(check_length(&Source::new("x.rs", &nested(69))), ["x.rs:2: fn long has 71 lines, over 70"]);
    assert_eq!(functions("trait X {\n    fn a();\n    fn b() {}\n}\nfn c() {\n}\n"), [(2, "a", 1), (3, "b", 1), (5, "c", 2)]);
}

#[test]
fn a_machine_is_found() {
    let words = machine_words();
    let found = |text: String| check_machine(&Source::new("x", &text), &words).len();
    for word in &words {
        assert_eq!(found(format!("see {word}x")), 1, "{word}");
    }
    assert_eq!(found(words[2].clone().replacen('/', "frame/", 1)), 0, "a folder's name");
}
