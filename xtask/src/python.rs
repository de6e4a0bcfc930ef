//! The Python that the tests use: a virtual environment with IMAPClient and dkimpy from PyPI, and some pip.

use std::path::PathBuf;
use std::process::Command;

use crate::Outcome;
use crate::process::{output, root, say};

/// PyNaCl and authres are what dkimpy needs for Ed25519 and ARC.
const REQUIREMENTS: &[&str] = &["imapclient==3.0.1", "dkimpy==1.1.8", "pynacl==1.6.2", "authres==1.2.0"];
const IMPORTS: &str = "import imapclient, dkim, nacl, authres";

/// The interpreter of an environment below `target/` that has what the tests import; made on the first run.
pub(crate) fn environment() -> Outcome<PathBuf> {
    let folder = root().join("target/e2e-python");
    let python = folder.join("bin/python");
    let ready = || output(Command::new(&python).args(["-c", IMPORTS])).is_ok();
    if ready() {
        return Ok(python);
    }
    let packages = REQUIREMENTS.join(", ");
    say(&format!("Python environment with {packages}"));
    output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        .map_err(|reason| format!("no Python environment (apt install python3-venv): {reason}"))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    output(Command::new(&python).args(install).args(REQUIREMENTS))
        .map_err(|reason| format!("{packages} from PyPI: {reason}"))?;
    if ready() { Ok(python) } else { Err(format!("{packages} were installed but cannot be imported")) }
}

/// An interpreter that has pip: the machine's, or that of the environment.
pub(crate) fn with_pip() -> Outcome<PathBuf> {
    let python = PathBuf::from("python3");
    if output(Command::new(&python).args(["-m", "pip", "--version"])).is_ok() { Ok(python) } else { environment() }
}
