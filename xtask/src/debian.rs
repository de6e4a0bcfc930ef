//! What the tests need from Debian, and which tests need it.

use std::process::Command;

use crate::Outcome;
use crate::process::{find, is_root, output, say, step};

/// A program that some tests drive: its name, and the Debian package that has it.
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

/// The servers and signers of the DNS lab, what it makes its namespaces with, and a client for mail within it.
const DNS_LAB: &[Tool] = DNS_LAB_AND_RECEIVERS.split_at(DNS_LAB_AND_RECEIVERS.len() - 5).0;

/// The same and five more: Postfix as the receiver of mail in it and as a sender, and clients that look at the rest.
const DNS_LAB_AND_RECEIVERS: &[Tool] = &[
    tool("unshare", "util-linux"),
    tool("nsenter", "util-linux"),
    tool("mount", "mount"),
    tool("ip", "iproute2"),
    tool("unbound", "unbound"),
    tool("nsd", "nsd"),
    tool("named", "bind9"),
    tool("dnssec-signzone", "bind9-utils"),
    tool("knotd", "knot"),
    tool("ldns-signzone", "ldnsutils"),
    tool("swaks", "swaks"),
    tool("postfix", "postfix"),
    tool("posttls-finger", "postfix"),
    tool("curl", "curl"),
    tool("openssl", "openssl"),
    tool("python3", "python3"),
];

/// The end-to-end suites (a file each in `e2e/tests`) and the programs that each drives.
pub(crate) const SUITES: &[(&str, &[Tool])] = &[
    ("operator", &[]),
    ("queue", &[]),
    ("crash", &[]),
    ("crash_queue", &[]),
    ("durability", &[tool("strace", "strace")]),
    ("swaks", &[tool("swaks", "swaks"), tool("openssl", "openssl")]),
    ("gsasl", &[tool("gsasl", "gsasl")]),
    ("curl", &[tool("curl", "curl")]),
    (
        "client_certificates",
        &[
            tool("gsasl", "gsasl"),
            tool("curl", "curl"),
            tool("openssl", "openssl"),
            tool("mbsync", "isync"),
            tool("swaks", "swaks"),
        ],
    ),
    ("mbsync", &[tool("mbsync", "isync")]),
    ("printed", &[tool("swaks", "swaks"), tool("curl", "curl"), tool("mbsync", "isync")]),
    ("mutt", &[tool("mutt", "mutt")]),
    ("postfix", &[tool("postfix", "postfix")]),
    ("python", &[tool("python3", "python3")]),
    ("dns", DNS_LAB),
    ("dns_trouble", DNS_LAB),
    ("dns_tampering", DNS_LAB),
    ("authentication", DNS_LAB),
    ("transport", DNS_LAB_AND_RECEIVERS),
    ("incoming_tls", DNS_LAB_AND_RECEIVERS),
];

/// The conformance suites (in `conformance/tests`) that drive programs, and these.
pub(crate) const CONFORMANCE: &[(&str, &[Tool])] = &[
    ("dkim_interop", &[tool("opendkim", "opendkim"), tool("python3", "python3")]),
    ("rspamd", &[tool("rspamd", "rspamd")]),
];

/// What is no single program, asked of its interpreter: Perl modules for swaks' TLS and mechanisms, Python's `venv`.
const MODULES: &[(&[&str], &str)] = &[
    (&["perl", "-MAuthen::SASL", "-e1"], "libauthen-sasl-perl"),
    (&["perl", "-MDigest::HMAC_MD5", "-e1"], "libdigest-hmac-perl"),
    (&["perl", "-MNet::DNS", "-e1"], "libnet-dns-perl"),
    (&["perl", "-MNet::SSLeay", "-e1"], "libnet-ssleay-perl"),
    (&["python3", "-c", "import ensurepip"], "python3-venv"),
];

/// As root, installs what is missing; otherwise leaves it to [`lacking`] to name it.
pub(crate) fn install() -> Outcome {
    let mut packages: Vec<&str> = SUITES
        .iter()
        .chain(CONFORMANCE)
        .flat_map(|(_, tools)| tools.iter())
        .filter(|tool| find(tool.program).is_none())
        .map(|tool| tool.package)
        .chain(MODULES.iter().filter(|(question, _)| !answers(question)).map(|(_, package)| *package))
        .collect();
    if crate::postgres::binaries().is_none() {
        packages.push("postgresql");
    }
    packages.sort_unstable();
    packages.dedup();
    if packages.is_empty() || !is_root() || find("apt-get").is_none() {
        return Ok(());
    }
    say(&format!("installing from Debian: {}", packages.join(" ")));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq").args(arguments).stdout(std::process::Stdio::null());
        command
    };
    step("apt-get update", &mut apt(&["update"]))?;
    step("apt-get install", apt(&["install", "--yes", "--no-install-recommends"]).args(&packages))
}

fn answers(question: &[&str]) -> bool {
    question.split_first().is_some_and(|(program, arguments)| output(Command::new(program).args(arguments)).is_ok())
}

/// Whether the namespaces of the DNS lab can be made: by root, or by anybody in a namespace of users.
fn namespaces() -> bool {
    let spaces = if is_root() { "-nmp" } else { "-Urnmp" };
    output(Command::new("unshare").args([spaces, "--kill-child", "--", "true"])).is_ok()
}

/// Why a suite cannot run here, in words that say what to install; `None` when it can.
pub(crate) fn lacking(suite: &str) -> Option<String> {
    let (_, tools) = SUITES.iter().chain(CONFORMANCE).find(|(name, _)| *name == suite)?;
    let missing: Vec<String> = tools
        .iter()
        .filter(|tool| find(tool.program).is_none())
        .map(|tool| format!("{} (apt install {})", tool.program, tool.package))
        .collect();
    if tools.iter().any(|tool| tool.program == "postfix") && !is_root() {
        return Some("Postfix starts only as root".to_owned());
    }
    let in_the_lab = tools.iter().any(|tool| tool.program == "unshare");
    if missing.is_empty() && in_the_lab && !namespaces() {
        return Some("this machine lets nobody make namespaces (unshare)".to_owned());
    }
    (!missing.is_empty()).then(|| format!("not installed: {}", missing.join(", ")))
}
