//! The rule of the one room: what may happen to a message over a connection is decided in `rules/tlspolicy`, and only the
//! queue's delivery asks it and takes its answers apart. Everybody else has values to pass on and words to show.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::process::{root, say};

/// The library.
const LIBRARY: &str = "mailstead_tlspolicy";
/// Its modules that decide, and what they decide on.
const ROOM: [&str; 3] = ["facts", "plan", "judge"];

/// Who looks inside, and at what: everything, where nothing is named.
const INSIDERS: &[(&str, &[&str])] = &[
    ("crates/rules/tlspolicy/", &[]),
    ("crates/engine/queue/src/facts", &[]),
    ("crates/engine/queue/src/connection", &[]),
    ("crates/engine/queue/src/courier", &[]),
    ("crates/engine/queue/src/explain", &[]),
    ("crates/engine/queue/src/tests", &[]),
    // The cache of policies says which state it is in.
    ("crates/engine/queue/src/sts_cache", &["StsState", "lookup_failure"]),
    // What is explained is shown to people.
    ("crates/app/mailstead/src/operations/transport", &[]),
    // The command that shows what delivery finds of a domain's servers, and connects as it does.
    ("crates/app/mailstead/src/checks/dane/mx", &["TlsaState", "Way", "plan"]),
    // General DANE, for any service and not for delivery.
    ("crates/app/mailstead/src/checks/dane", &["MxRecords", "NextHop"]),
];

/// What anybody may name: what a message demands, what the operator sets, and results on their way to reports.
const FOR_ALL: &[&str] = &[
    "Demand",
    "Plaintext",
    "TlsRequirement",
    "RouteSecurity",
    "TlsResult",
    "AttributedPolicy",
    "Attribution",
    "Scope",
    "Terms",
    // For a `Verifier` of a connection that is not for delivery.
    "Enforcement",
];

pub(crate) fn check() -> Outcome {
    say("one room");
    let mut files = Vec::new();
    collect(&root().join("crates"), &mut files).map_err(|error| format!("reading the sources: {error}"))?;
    let mut wrong = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let place = file.strip_prefix(root()).unwrap_or(&file).to_string_lossy().into_owned();
        wrong.extend(objections(&place, &text));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// What a file names that it should not know.
fn objections(place: &str, text: &str) -> Vec<String> {
    let inside: Vec<&[&str]> =
        INSIDERS.iter().filter(|(prefix, _)| place.starts_with(prefix)).map(|(_, names)| *names).collect();
    if inside.iter().any(|names| names.is_empty()) {
        return Vec::new();
    }
    let known = |name: &str| FOR_ALL.contains(&name) || inside.iter().any(|names| names.contains(&name));
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    named(&code)
        .into_iter()
        .filter(|name| !known(name))
        .map(|name| {
            format!(
                "{place} names {LIBRARY}'s {name}: only the delivery of the queue looks into it (xtask/src/one_room.rs)"
            )
        })
        .collect()
}

/// What is named of the modules of the room; a module itself where all of it is.
fn named(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(LIBRARY) {
        let rest = code.get(at + LIBRARY.len()..).unwrap_or_default();
        let Some(rest) = rest.strip_prefix("::") else { continue };
        for path in paths(rest) {
            let Some((module, inner)) = path.split_once("::").or(Some((path.as_str(), ""))) else { continue };
            if !ROOM.contains(&module) {
                continue;
            }
            let name = inner.split("::").next().unwrap_or_default();
            names.push(if name.is_empty() || name == "self" || name == "*" { module } else { name }.to_owned());
        }
    }
    names
}

/// The paths of a use tree, or the one path that stands here.
fn paths(tree: &str) -> Vec<String> {
    let word = tree.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':' || c == '*')).unwrap_or(tree.len());
    let (head, rest) = tree.split_at(word);
    let Some(group) = rest.strip_prefix('{').filter(|_| head.is_empty() || head.ends_with("::")) else {
        return vec![head.trim_end_matches("::").to_owned()];
    };
    let mut depth = 0_usize;
    let mut parts = vec![String::new()];
    for character in group.chars() {
        match character {
            '}' if depth == 0 => break,
            ',' if depth == 0 => parts.push(String::new()),
            other => {
                match other {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if let Some(part) = parts.last_mut() {
                    part.push(other);
                }
            }
        }
    }
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts.flat_map(paths).map(|path| format!("{head}{path}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named() {
        let names = |code: &str| named(code).join(" ");
        assert_eq!(names("use mailstead_tlspolicy::plan::plan;"), "plan");
        assert_eq!(names("use mailstead_tlspolicy::facts::{Demand,\n    Plaintext};"), "Demand Plaintext");
        assert_eq!(names("use mailstead_tlspolicy::{facts::{self, Host}, tlsa::x, judge};"), "facts Host judge");
        assert_eq!(names("let x = mailstead_tlspolicy::plan::Way::Skip(y);"), "Way");
        assert_eq!(names("use mailstead_tlspolicy::judge::*;"), "judge");
        assert_eq!(names("use mailstead_tlspolicy::sts::Policy;"), "");
    }

    #[test]
    fn who_may_and_who_may_not() {
        let code = "use mailstead_tlspolicy::judge::judge;";
        assert!(objections("crates/engine/queue/src/courier.rs", code).is_empty());
        for outside in [
            "crates/engine/queue/src/worker.rs",
            "crates/engine/smtp-server/src/a.rs",
            "crates/app/mailstead/src/checks/dane.rs",
        ] {
            assert_eq!(objections(outside, code).len(), 1, "{outside}");
            assert!(objections(outside, &format!("    // {code}")).is_empty());
            assert!(objections(outside, "use mailstead_tlspolicy::facts::Demand;").is_empty());
        }
        assert!(
            objections("crates/app/mailstead/src/checks/dane/dial.rs", "use mailstead_tlspolicy::facts::{MxRecords};")
                .is_empty()
        );
    }
}
