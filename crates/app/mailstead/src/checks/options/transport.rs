//! The command lines of what is about the security of connections.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::Date;
use mailstead_names::{Domain, EhloName, Host};
use mailstead_net::tls::{roots_from_file, system_roots};
use rustls::RootCertStore;

use super::{Asking, domain, ehlo};
use crate::cli::Place;
use crate::failure::Failure;

/// Whom certificates are trusted for.
#[derive(Debug, Args)]
pub(crate) struct Trust {
    /// Trust the authorities in this PEM file, instead of those that the system trusts.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl Trust {
    pub(crate) fn roots(&self) -> Result<Arc<RootCertStore>, Failure> {
        let roots = self.ca_file.as_deref().map_or_else(|| Ok(system_roots()), roots_from_file)?;
        Ok(Arc::new(roots))
    }
}

const RECORD_HELP: &str = "\
For a server's own certificate, dane-ee spki sha2-256 (3 1 1) is what mail servers should have (RFC 7672 section 3.1): it
stays as it is when the certificate is renewed with the same key. For an authority (usages 0 and 2), give the file of
its certificate.";

#[derive(Debug, Subcommand)]
pub(crate) enum DaneCommand {
    /// Show the TLSA record for a certificate or key.
    #[command(after_help = RECORD_HELP)]
    Record {
        /// What the record says of the certificate: pkix-ta, pkix-ee, dane-ta or dane-ee, or 0 to 3.
        #[arg(value_parser = usage)]
        usage: u8,
        /// What of it counts: cert or spki (its public key), or 0 or 1.
        #[arg(value_parser = selector)]
        selector: u8,
        /// How that is written: full, sha2-256 or sha2-512, or 0 to 2.
        #[arg(value_parser = matching_type)]
        matching_type: u8,
        /// PEM file, whose first certificate is taken. Where there is none, a private or a public key will do for spki.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Name of the server: shows the whole line for the zone file.
        #[arg(long, value_parser = domain)]
        host: Option<Domain>,
        /// Port of the server.
        #[arg(long, default_value_t = 25, requires = "host")]
        port: u16,
        /// Print one line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Connect to a server, and check its certificate by the TLSA records that DNSSEC proves.
    #[command(after_help = DANE_DIAL_HELP)]
    Dial {
        /// Name of the server with its port.
        #[arg(value_name = "HOST:PORT", value_parser = named_server)]
        server: (Domain, u16),
        /// Usages of the records that count; numbers or names, with commas between them.
        #[arg(long, value_delimiter = ',', default_value = "0,1,2,3", value_parser = usage)]
        usages: Vec<u8>,
        /// Protocol in which TLS is begun.
        #[arg(long, value_enum, default_value_t = StartTls::None)]
        starttls: StartTls,
        #[command(flatten)]
        trust: Trust,
        #[command(flatten)]
        asking: Asking,
    },
    /// Connect to the mail servers of a domain as delivery would, and check their certificates by their TLSA records.
    #[command(after_help = DANE_DIALMX_HELP)]
    Dialmx {
        /// The domain, as in addresses.
        #[arg(value_parser = domain)]
        domain: Domain,
        /// This server alone, in the MX records or not.
        #[arg(value_parser = domain)]
        host: Option<Domain>,
        #[command(flatten)]
        trust: Trust,
        #[command(flatten)]
        asking: Asking,
    },
}

const DANE_DIALMX_HELP: &str = "\
Ends with success only where every server of the domain that can be connected to has TLSA records, and a certificate that
matches one at every such address. What else decides about a message is shown by transport explain.";

const DANE_DIAL_HELP: &str = "\
Ends with success only where the certificate matches a record, at every address that can be connected to. Mail servers
take usages 2 and 3 only from each other (RFC 7672): use --usages 2,3 --starttls smtp to see what they see.";

/// How TLS is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StartTls {
    /// With the connection.
    None,
    /// By STARTTLS of SMTP.
    Smtp,
}

/// A server with a name, below which there can be records, and a port.
fn named_server(text: &str) -> Result<(Domain, u16), String> {
    match Server::parse(text)? {
        Server { host: Host::Domain(domain), port: Some(port) } => Ok((domain, port)),
        Server { port: None, .. } => Err("give the port too, such as mx.example.org:25".to_owned()),
        Server { host: Host::Ip(_), .. } => Err("an address has no TLSA records; give a name".to_owned()),
    }
}

/// The acronyms of RFC 7218, by their numbers.
const USAGES: [&str; 4] = ["pkix-ta", "pkix-ee", "dane-ta", "dane-ee"];
const SELECTORS: [&str; 2] = ["cert", "spki"];
const MATCHING_TYPES: [&str; 3] = ["full", "sha2-256", "sha2-512"];

fn usage(text: &str) -> Result<u8, String> {
    numbered(&USAGES, text)
}

fn selector(text: &str) -> Result<u8, String> {
    numbered(&SELECTORS, text)
}

fn matching_type(text: &str) -> Result<u8, String> {
    numbered(&MATCHING_TYPES, text)
}

/// The number of a name, or a number that has one.
fn numbered(names: &[&str], text: &str) -> Result<u8, String> {
    let is_meant = |(number, name): &(u8, &&str)| name.eq_ignore_ascii_case(text) || number.to_string() == text;
    let found = (0..).zip(names).find(is_meant);
    found.map(|(number, _)| number).ok_or_else(|| {
        let known: Vec<String> = names.iter().enumerate().map(|(number, name)| format!("{name} ({number})")).collect();
        format!("use one of {}", known.join(", "))
    })
}

const MTASTS_HELP: &str = "\
Ends with success where there is a policy that could be fetched, or no record that says that there is one.";

#[derive(Debug, Subcommand)]
pub(crate) enum MtastsCommand {
    /// Look up the MTA-STS record of a domain, fetch the policy that it announces, and show both.
    #[command(after_help = MTASTS_HELP)]
    Lookup {
        /// The domain, as in addresses.
        #[arg(value_parser = domain)]
        domain: Domain,
        /// Fetch the policy from a private address too, which the server does not.
        #[arg(long)]
        private_addresses: bool,
        #[command(flatten)]
        trust: Trust,
        #[command(flatten)]
        asking: Asking,
    },
    /// Show or forget the policies that the server keeps of the domains that it sends mail to.
    #[command(subcommand)]
    Cache(PolicyCacheCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCacheCommand {
    /// List them.
    List {
        /// Print a line of JSON for each.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Forget that of a domain, so that the next message fetches it anew.
    Remove {
        /// The domain, as in addresses.
        #[arg(value_parser = domain)]
        domain: Domain,
        #[command(flatten)]
        place: Place,
    },
}

const TLSRPT_HELP: &str = "\
Ends with success where there is a record that can be used, or none.";

const REPORT_HELP: &str = "\
The file may be the report itself (JSON), or a whole message of which it is a part.";

#[derive(Debug, Subcommand)]
pub(crate) enum TlsrptCommand {
    /// Look up the TLSRPT record of a domain: where it wants reports about TLS.
    #[command(after_help = TLSRPT_HELP)]
    Lookup {
        /// The domain, as in addresses.
        #[arg(value_parser = domain)]
        domain: Domain,
        #[command(flatten)]
        asking: Asking,
    },
    /// Read a TLS report, and show what succeeded and what failed, and why.
    #[command(after_help = REPORT_HELP)]
    Parse {
        /// File with the report; standard input if left out or `-`.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// Print one line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what connections to other servers have shown about TLS in the last days: what reports are made from.
    Results {
        /// Only those of this domain: a recipient's, or a server's name.
        #[arg(long, value_parser = domain)]
        domain: Option<Domain>,
        /// Only those of this day of UTC, such as 2026-01-31.
        #[arg(long)]
        day: Option<Date>,
        /// Print a line of JSON for each day and policy domain.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// A server, as people write it: `mx.example.org`, `192.0.2.1:25`, `[2001:db8::1]:25`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
}

impl Server {
    fn parse(text: &str) -> Result<Server, String> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Server { host: Host::Ip(ip), port: None });
        }
        let is_port = |(_, port): &(&str, &str)| !port.ends_with(']');
        let (host, port) =
            text.rsplit_once(':').filter(is_port).map_or((text, None), |(host, port)| (host, Some(port)));
        let port = port.map(|port| match port.parse() {
            Ok(port @ 1..) => Ok(port),
            _ => Err(format!("`{port}` is no port")),
        });
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inner) => Host::Ip(inner.parse().map_err(|_| format!("`{inner}` is no address"))?),
            None => host.parse().map_or_else(|_| domain(host).map(Host::Domain), |ip| Ok(Host::Ip(ip)))?,
        };
        Ok(Server { host, port: port.transpose()? })
    }
}

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TlsBegins {
    /// Never.
    None,
    /// After STARTTLS.
    Starttls,
    /// With the connection.
    Immediate,
}

const DIAL_HELP: &str = "\
Ends with success when server and TLS work, whatever the certificate: whether it is trusted is told, and nothing is sent.";

#[derive(Debug, Subcommand)]
pub(crate) enum SmtpCommand {
    /// Connect to a server, begin TLS, and show greeting, extensions, TLS and certificate.
    #[command(after_help = DIAL_HELP)]
    Dial {
        /// Name or address of the server, with its port [default: 25, or 465 with immediate TLS].
        #[arg(value_name = "HOST[:PORT]", value_parser = Server::parse)]
        server: Server,
        /// When TLS begins.
        #[arg(long, value_enum, default_value_t = TlsBegins::Starttls)]
        tls: TlsBegins,
        /// Name to give in EHLO [default: our address].
        #[arg(long, value_name = "NAME", value_parser = ehlo)]
        helo: Option<EhloName>,
        #[command(flatten)]
        trust: Trust,
        #[command(flatten)]
        asking: Asking,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!((usage("dane-ee"), usage("3"), usage("PKIX-TA")), (Ok(3), Ok(3), Ok(0)));
        assert_eq!((selector("Cert"), selector("1"), matching_type("SHA2-512")), (Ok(0), Ok(1), Ok(2)));
        assert_eq!(selector("2").unwrap_err(), "use one of cert (0), spki (1)");
        assert!(usage("4").is_err() && usage("").is_err() && usage("03").is_err() && matching_type("sha256").is_err());
    }

    #[test]
    fn servers_as_people_write_them() {
        let shown = |text| Server::parse(text).map(|Server { host, port }| format!("{host} {port:?}"));
        for (text, expected) in [
            ("mx.example.org", "mx.example.org None"),
            ("bücher.example.:2525", "xn--bcher-kva.example Some(2525)"),
            ("192.0.2.1", "[192.0.2.1] None"),
            ("192.0.2.1:25", "[192.0.2.1] Some(25)"),
            ("2001:db8::1", "[IPv6:2001:db8::1] None"),
            ("[2001:db8::1]", "[IPv6:2001:db8::1] None"),
            ("[2001:db8::1]:465", "[IPv6:2001:db8::1] Some(465)"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
        }
        for bad in
            ["", ":25", "mx.example.org:", "mx.example.org:0", "mx.example.org:65536", "[mx]:25", "a b:25", "::1]"]
        {
            assert!(shown(bad).is_err(), "{bad}");
        }
        assert_eq!(named_server("mx.example.org:25").map(|(_, port)| port), Ok(25));
        assert!(named_server("mx.example.org").is_err() && named_server("192.0.2.1:25").is_err());
    }
}
