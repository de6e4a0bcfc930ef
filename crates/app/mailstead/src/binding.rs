//! Binding every port of a configuration before anything else happens, and saying all that cannot be had.

use std::io;
use std::net::SocketAddr;

use mailstead_config::{ClientCertificates, Config, MissingAddress, PlaintextLogin, Role};
use mailstead_net::Listener;

use crate::cli::Ports;
use crate::failure::Failure;

/// A listening socket and what is to be served on it.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) role: Role,
    pub(crate) socket: Listener,
    pub(crate) plaintext_login: PlaintextLogin,
    pub(crate) client_certificates: ClientCertificates,
}

impl Bound {
    pub(crate) fn service(&self) -> Service {
        Service { role: self.role, address: self.socket.local_addr() }
    }
}

/// Where a service can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) role: Role,
    pub(crate) address: SocketAddr,
}

/// Binds all services, or names every one that cannot be bound.
pub(crate) fn bind_all(config: &Config, ports: Ports) -> Result<Vec<Bound>, Failure> {
    let mut bound = Vec::new();
    let mut problems = Vec::new();
    for listener in &config.listeners {
        let mut missing = Vec::new();
        let before = bound.len();
        for address in &listener.addresses {
            for (role, port) in &listener.services {
                let wanted = SocketAddr::new(*address, if ports == Ports::Any { 0 } else { *port });
                match Listener::bind(wanted) {
                    Ok(socket) => {
                        bound.push(Bound {
                            role: *role,
                            socket,
                            plaintext_login: listener.plaintext_login,
                            client_certificates: listener.client_certificates,
                        });
                    }
                    Err(error) if is_missing_address(&error) => missing.push((*role, wanted, error)),
                    Err(error) => problems.push(problem(*role, wanted, &error)),
                }
            }
        }
        let may_skip = listener.missing_address == MissingAddress::Skip && bound.len() > before;
        if !may_skip {
            problems.extend(missing.iter().map(|(role, address, error)| problem(*role, *address, error)));
        }
    }
    if problems.is_empty() {
        Ok(bound)
    } else {
        Err(Failure::new(format!("cannot listen:\n  {}", problems.join("\n  "))))
    }
}

/// The machine has no such address, or not this family of addresses at all.
fn is_missing_address(error: &io::Error) -> bool {
    use nix::errno::Errno;
    error.kind() == io::ErrorKind::AddrNotAvailable
        || matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT))
}

fn problem(role: Role, address: SocketAddr, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use by another program".to_owned(),
        io::ErrorKind::PermissionDenied => "no right to use this port (those below 1024 need privileges)".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have this address".to_owned(),
        _ => error.to_string(),
    };
    format!("{} on {address}: {why}", role.name())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;

    use super::*;

    fn config(addresses: &str, smtp: u16, imap: u16, skip: bool) -> Config {
        let text = format!(
            "hostname = \"a.example\"\ndata-directory = \"d\"\n[[listener]]\naddresses = {addresses}\nsmtp = {smtp}\n\
             imap = {imap}\nskip-missing-addresses = {skip}\n"
        );
        Config::parse(&text, Path::new("mailstead.toml")).unwrap_or_else(|problems| panic!("{problems}"))
    }

    #[tokio::test]
    async fn all_ports_in_use_are_named() {
        let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [smtp, imap] = held.each_ref().map(|held| held.local_addr().unwrap().port());
        let message = bind_all(&config("\"127.0.0.1\"", smtp, imap, false), Ports::Fixed).unwrap_err().to_string();
        assert!(message.contains(&format!("smtp on 127.0.0.1:{smtp}: the port is in use")), "{message}");
        assert!(message.contains(&format!("imap on 127.0.0.1:{imap}: the port is in use")), "{message}");
        assert_eq!(bind_all(&config("\"127.0.0.1\"", smtp, imap, false), Ports::Any).unwrap().len(), 2);
    }

    /// 192.0.2.0/24 is for documentation: no machine has such an address.
    #[tokio::test]
    async fn missing_addresses_are_skipped_only_where_that_is_asked_for() {
        let both = "[\"127.0.0.1\", \"192.0.2.1\"]";
        assert_eq!(bind_all(&config(both, 25, 143, true), Ports::Any).unwrap().len(), 2);
        let message = bind_all(&config(both, 25, 143, false), Ports::Any).unwrap_err().to_string();
        assert!(message.contains("does not have this address"), "{message}");
        assert!(bind_all(&config("\"192.0.2.1\"", 25, 143, true), Ports::Any).is_err(), "nothing is left");
    }
}
