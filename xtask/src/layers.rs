//! The layer rule: the folder is the layer, and a crate depends only on what its layer may know.
//!
//! The table is `docs/ARCHITECTURE.md`'s; `docs/decisions/` has the reasons where it grew.

use cargo_metadata::{DependencyKind, Metadata, Package};

use crate::Outcome;
use crate::process::{root, say};

/// A crate, and the crates of ours that it may use. A name ending in `/*` stands for a whole floor.
const EDGES: &[(&str, &[&str])] = &[
    ("wire/names", &[]),
    ("wire/sasl", &["wire/names"]),
    ("wire/dns", &["wire/names"]),
    ("wire/dnssec", &["wire/dns"]),
    ("wire/message", &["wire/names"]),
    ("wire/smtp", &["wire/names", "wire/sasl"]),
    ("wire/imap", &["wire/names", "wire/sasl", "wire/message"]),
    ("rules/mailauth", &["wire/names", "wire/dns", "wire/message"]),
    ("rules/tlspolicy", &["wire/names", "wire/dns"]),
    ("world/runtime", &[]),
    ("world/net", &["world/runtime", "wire/names", "wire/dns", "wire/dnssec"]),
    ("world/config", &["world/runtime", "wire/names"]),
    ("world/store", &["world/runtime", "wire/names", "wire/message", "wire/sasl"]),
    ("engine/login", &["wire/*", "world/*"]),
    ("engine/queue", &["wire/*", "rules/tlspolicy", "world/*"]),
    ("engine/reports", &["wire/*", "rules/tlspolicy", "world/*", "engine/queue"]),
    ("engine/smtp-server", &["wire/*", "rules/*", "world/*", "engine/login", "engine/queue"]),
    ("engine/imap-server", &["wire/*", "world/*", "engine/login"]),
    ("app/mailstead", &["wire/*", "rules/*", "world/*", "engine/*"]),
    ("testkit", &["wire/*", "world/*"]),
    ("conformance", &[]),
    ("e2e", &[]),
    ("bench", &["e2e"]),
    // Somebody else's program: what it needs, the libraries must show.
    ("examples/outside", &["wire/*", "rules/*"]),
    ("xtask", &["conformance"]),
];

/// The folder of a package below `crates/`, or below the root.
pub(crate) fn place(package: &Package) -> Option<String> {
    let folder = package.manifest_path.parent()?.as_std_path();
    let place = folder.strip_prefix(root()).ok()?;
    Some(place.strip_prefix("crates").unwrap_or(place).to_string_lossy().into_owned())
}

pub(crate) fn check(metadata: &Metadata) -> Outcome {
    say("layers");
    let members = metadata.workspace_packages();
    let mut wrong = Vec::new();
    for package in &members {
        let Some(from) = place(package) else { continue };
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == from) else {
            wrong.push(format!("{from} is not in the table of xtask/src/layers.rs"));
            continue;
        };
        for dependency in &package.dependencies {
            let Some(to) =
                members.iter().find(|member| *member.name == dependency.name).and_then(|member| place(member))
            else {
                continue;
            };
            let development = dependency.kind == DependencyKind::Development;
            if to == "testkit" && !development {
                wrong.push(format!("{from} uses testkit outside its tests"));
            } else if !development && !allowed.iter().any(|rule| permits(rule, &to)) {
                wrong.push(format!("{from} may not depend on {to}"));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("layers: {}", wrong.join("; "))) }
}

fn permits(rule: &str, to: &str) -> bool {
    match rule.strip_suffix('*') {
        Some(floor) => to.starts_with(floor),
        None => rule == to,
    }
}
