//! A network of its own beside the lab's, from which only a part of the lab is seen: as behind a firewall that lets
//! nobody ask other servers than the resolver of the house.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use super::inside::{ip, program};
use super::{Kind, Lab};
use crate::run;

/// What is seen from a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// The whole lab.
    Everything,
    /// Resolvers and proxies; what is sent to authorities vanishes.
    NoAuthorities,
    /// The same, but sending to authorities fails at once.
    UnreachableAuthorities,
}

/// Cells of this lab so far, for the names of their ends.
static NUMBER: AtomicU8 = AtomicU8::new(1);

/// The cell; it ends when it is dropped.
#[derive(Debug)]
pub struct Cell {
    space: PathBuf,
}

impl Lab {
    /// Makes a cell.
    #[track_caller]
    pub fn cell(&self, sight: Sight) -> Cell {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let space = self.folder().join(format!("cell{number}"));
        std::fs::write(&space, "").expect("a file to lay the namespace over");
        // A mount keeps the namespace when its first process ends. `self` is right even where ids in /proc are not.
        run(Command::new("unshare").args(["-n", "--", "mount", "--bind", "/proc/self/ns/net"]).arg(&space)).success();
        let cell = Cell { space };
        let (near, far) = (format!("lab{number}"), format!("cell{number}"));
        let inner = |words: &[&str]| run(cell.command("ip").args(words)).success();
        let outer = |words: &[&str]| run(&mut ip(words)).success();
        // The first process of the test's own namespace of processes is the test, whose network is the lab's.
        inner(&["link", "add", &far, "type", "veth", "peer", "name", &near, "netns", "1"]);
        let at = |host: u8| (format!("10.53.{number}.{host}"), format!("fd53:{number}::{host}"));
        let ((four, six), (gate4, gate6)) = (at(2), at(1));
        for link in ["lo", &far] {
            inner(&["link", "set", link, "up"]);
        }
        outer(&["link", "set", &near, "up"]);
        outer(&["addr", "add", &format!("{gate4}/24"), "dev", &near]);
        outer(&["addr", "add", &format!("{gate6}/64"), "dev", &near, "nodad"]);
        inner(&["addr", "add", &format!("{four}/24"), "dev", &far]);
        inner(&["addr", "add", &format!("{six}/64"), "dev", &far, "nodad"]);
        inner(&["route", "add", "default", "via", &gate4]);
        inner(&["-6", "route", "add", "default", "via", &gate6]);
        let (hole4, hole6) = at(99);
        if sight == Sight::NoAuthorities {
            // A neighbour whose hardware address is nobody's: what is sent there is neither received nor refused.
            for hole in [&hole4, &hole6] {
                inner(&["neigh", "add", hole, "lladdr", "02:00:00:00:00:99", "dev", &far, "nud", "permanent"]);
            }
        }
        let programs = |kind: &Kind| *kind != Kind::Closed;
        let authorities = self.world().authorities.iter().filter(|authority| programs(&authority.kind));
        for address in authorities.flat_map(|authority| &authority.addresses) {
            let (family, hole) = if address.is_ipv4() { ("-4", &hole4) } else { ("-6", &hole6) };
            let address = address.to_string();
            match sight {
                Sight::Everything => {}
                Sight::NoAuthorities => drop(inner(&[family, "route", "add", &address, "via", hole])),
                Sight::UnreachableAuthorities => drop(inner(&[family, "route", "add", "unreachable", &address])),
            }
        }
        cell
    }
}

impl Cell {
    /// A command that runs in the cell. Files are those of the test, `/etc/resolv.conf` among them.
    pub fn command(&self, name: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        let mut space = std::ffi::OsString::from("--net=");
        space.push(&self.space);
        let name = name.as_ref();
        // A name without a folder may be that of a program which only root finds.
        let found = name.to_str().filter(|name| !name.contains('/')).map(program);
        command.arg(space).arg("--").arg(found.unwrap_or_else(|| name.into()));
        command
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.space).status();
    }
}
