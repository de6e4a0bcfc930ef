//! A throw-away PostgreSQL server for the store's tests: private directory, unix socket only, gone afterwards.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::process::{is_root, output, say};

/// The folder that holds `initdb` and `pg_ctl`: Debian keeps them out of PATH.
pub(crate) fn binaries() -> Option<PathBuf> {
    if let Some(initdb) = crate::process::find("initdb") {
        return initdb.parent().map(Path::to_path_buf);
    }
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").is_file())
        .collect();
    versions.sort();
    versions.pop()
}

/// A running server. Dropping it stops the server and removes its files.
pub(crate) struct Server {
    directory: PathBuf,
    binaries: PathBuf,
}

impl Server {
    /// Starts a server, as the user `postgres` when this process is root (PostgreSQL refuses to run as root).
    pub(crate) fn start() -> Outcome<Self> {
        let binaries = binaries().ok_or("PostgreSQL is not installed (apt install postgresql)")?;
        let directory = std::env::temp_dir().join(format!("mailstead-postgres-{}", std::process::id()));
        std::fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        if is_root() {
            output(Command::new("chown").arg("postgres").arg(&directory))?;
        }
        let server = Self { directory, binaries };
        let data = server.directory.join("data");
        output(server.command("initdb").args(["--username=test", "--auth=trust", "--no-sync", "--pgdata"]).arg(&data))?;
        // Only the socket in the private directory is listened on, so no port of the machine is taken.
        let options = format!(
            "-c listen_addresses= -c unix_socket_directories={} -c fsync=off -c max_connections=400",
            server.directory.display()
        );
        // The server would keep our pipes open: its output goes to its log alone.
        let status = server
            .command("pg_ctl")
            .args(["--wait", "--silent", "--log"])
            .arg(server.directory.join("log"))
            .arg("--pgdata")
            .arg(&data)
            .args(["--options", &options, "start"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .map_err(|error| format!("pg_ctl: {error}"))?;
        if !status.success() {
            let log = std::fs::read_to_string(server.directory.join("log")).unwrap_or_default();
            return Err(format!("PostgreSQL did not start: {}", log.trim()));
        }
        say(&format!("PostgreSQL for tests in {}", server.directory.display()));
        Ok(server)
    }

    /// What the tests connect to.
    pub(crate) fn url(&self) -> String {
        format!("postgresql://test@localhost/postgres?host={}", self.directory.display())
    }

    fn command(&self, program: &str) -> Command {
        let program = self.binaries.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(&self.directory);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.directory.join("data");
        let _ = output(self.command("pg_ctl").args(["--mode=immediate", "--silent", "--pgdata"]).arg(data).arg("stop"));
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
