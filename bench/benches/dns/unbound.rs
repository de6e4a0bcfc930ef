//! Unbound as the peer: as it comes from Debian, but for the lab's root, its anchor and caches that are large enough.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mailstead_e2e::{lab::Lab, run};

use crate::Outcome;
use crate::process::Process;

/// The longest that it may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running unbound. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Unbound {
    child: Child,
    configuration: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Unbound {
    /// Starts one that knows nothing yet, with so many threads.
    pub(crate) fn start(lab: &Lab, address: SocketAddr, threads: usize) -> Outcome<Unbound> {
        let folder = lab.folder().join(format!("unbound-{}", address.ip()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let text = format!(
            "server:\n directory: \"{folder}\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n use-syslog: no\n\
             do-daemonize: no\n num-threads: {threads}\n interface: {address}\n access-control: 0.0.0.0/0 allow\n\
             root-hints: \"{hints}\"\n trust-anchor-file: \"{anchor}\"\n do-not-query-localhost: no\n\
             rrset-cache-size: 512m\n msg-cache-size: 256m\n extended-statistics: yes\n\
             remote-control:\n control-enable: yes\n control-use-cert: no\n control-interface: \"{folder}/control\"\n",
            folder = folder.display(),
            address = address.ip(),
            hints = lab.root_hints().display(),
            anchor = lab.trust_anchor().display(),
        );
        let configuration = folder.join("unbound.conf");
        fs::write(&configuration, text)?;
        // AppArmor's profiles go by path and know only the folders of Debian's own servers: a copy is not confined.
        let copy = folder.join("unbound");
        fs::copy(program("unbound")?, &copy)?;
        let log = File::create(folder.join("log"))?;
        let child = Command::new(&copy)
            .arg("-d")
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let unbound = Unbound { child, configuration, address };
        let start = Instant::now();
        while unbound.control(&["status"]).is_err() {
            if start.elapsed() > PATIENCE {
                return Err(format!("unbound did not start:\n{}", fs::read_to_string(folder.join("log"))?).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(unbound)
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// What it counts under this name; nothing is 0.
    pub(crate) fn counted(&self, name: &str) -> Outcome<f64> {
        let told = self.control(&["stats_noreset"])?;
        let line = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        Ok(line.unwrap_or("0").parse()?)
    }

    fn control(&self, words: &[&str]) -> Outcome<String> {
        let ran = run(Command::new(program("unbound-control")?).arg("-c").arg(&self.configuration).args(words));
        if ran.code == 0 { Ok(ran.out) } else { Err(ran.text().into()) }
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a program is: in PATH or, as servers often are, in a folder that only root has in PATH.
fn program(name: &str) -> Outcome<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").into()]);
    folders
        .find_map(|folder| Some(folder.join(name)).filter(|file| file.is_file()))
        .ok_or_else(|| format!("{name} is not installed").into())
}
