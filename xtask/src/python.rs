//! The Python that the end-to-end tests use: a virtual environment with IMAPClient, which Debian does not package.

use std::path::PathBuf;
use std::process::Command;

use crate::Outcome;
use crate::process::{output, root, say};

const REQUIREMENT: &str = "imapclient==3.0.1";

/// The interpreter of an environment below `target/` that has what the tests import; made on the first run.
pub(crate) fn environment() -> Outcome<PathBuf> {
    let folder = root().join("target/e2e-python");
    let python = folder.join("bin/python");
    let ready = || output(Command::new(&python).args(["-c", "import imapclient"])).is_ok();
    if ready() {
        return Ok(python);
    }
    say(&format!("Python environment with {REQUIREMENT}"));
    output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        .map_err(|reason| format!("no Python environment (apt install python3-venv): {reason}"))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENT];
    output(Command::new(&python).args(install)).map_err(|reason| format!("{REQUIREMENT} from PyPI: {reason}"))?;
    if ready() { Ok(python) } else { Err(format!("{REQUIREMENT} was installed but cannot be imported")) }
}
