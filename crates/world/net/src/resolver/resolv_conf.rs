//! The machine's own list of name servers, resolv.conf(5).

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// Which servers to ask, and how patiently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers, in order of preference.
    pub nameservers: Vec<SocketAddr>,
    /// How long one server may take.
    pub timeout: Duration,
    /// How often the list is gone through.
    pub attempts: u32,
    /// Whether the operator vouches for the way to the servers, so that their word that DNSSEC has been validated can be
    /// taken (option `trust-ad`).
    pub trust_ad: bool,
}

impl ResolvConf {
    /// These servers, with the usual patience.
    #[must_use]
    pub fn with_servers(nameservers: Vec<SocketAddr>) -> Self {
        ResolvConf { nameservers, timeout: Duration::from_secs(5), attempts: 2, trust_ad: false }
    }

    /// Reads the format of resolv.conf(5). Unknown lines and options are ignored; without a name server it is
    /// the local machine, as the manual page says.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut conf = ResolvConf::with_servers(Vec::new());
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // A scope (fe80::1%eth0) names an interface; the system default is taken instead.
                    let address = words.next().map(|word| word.split('%').next().unwrap_or(word));
                    if let Some(address) = address.and_then(|address| address.parse::<IpAddr>().ok()) {
                        conf.nameservers.push(SocketAddr::new(address, 53));
                    }
                }
                Some("options") => words.for_each(|option| conf.set_option(option)),
                _ => {}
            }
        }
        // The limits are those of resolv.conf(5).
        conf.nameservers.truncate(3);
        if conf.nameservers.is_empty() {
            conf.nameservers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53));
        }
        conf
    }

    fn set_option(&mut self, option: &str) {
        let number = |text: &str| text.parse::<u32>().ok();
        match option.split_once(':') {
            Some(("timeout", seconds)) => {
                self.timeout = Duration::from_secs(number(seconds).map_or(5, |seconds| seconds.clamp(1, 30)).into());
            }
            Some(("attempts", times)) => self.attempts = number(times).map_or(2, |times| times.clamp(1, 5)),
            None if option == "trust-ad" => self.trust_ad = true,
            _ => {}
        }
    }

    /// Reads a file such as `/etc/resolv.conf`.
    pub fn load(path: &Path) -> io::Result<Self> {
        Ok(Self::parse(&std::fs::read_to_string(path)?))
    }

    /// The servers whose word that DNSSEC has been validated can be taken: those on this machine, or all where the
    /// operator says so (RFC 4035 §4.9.3).
    #[must_use]
    pub fn trusted_servers(&self) -> Vec<SocketAddr> {
        let is_trusted = |server: &&SocketAddr| self.trust_ad || server.ip().to_canonical().is_loopback();
        self.nameservers.iter().filter(is_trusted).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf() {
        let conf = ResolvConf::parse(
            "# made by hand\nsearch example.org\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver x\n\
             options ndots:2 timeout:1 attempts:99 edns0\nnameserver 192.0.2.54\nnameserver 192.0.2.55\n",
        );
        let servers: Vec<_> = conf.nameservers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.53:53", "[fe80::1]:53", "192.0.2.54:53"]);
        assert_eq!((conf.timeout, conf.attempts), (Duration::from_secs(1), 5));
        assert_eq!(ResolvConf::parse("").nameservers, ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn whose_word_is_taken() {
        let trusted = |text: &str| ResolvConf::parse(text).trusted_servers().len();
        assert_eq!(trusted("nameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver ::1"), 2);
        assert_eq!(trusted("nameserver 192.0.2.53"), 0);
        assert_eq!(trusted("nameserver 192.0.2.53\noptions trust-ad"), 1);
    }
}
