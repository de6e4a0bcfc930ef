//! The command lines of the checks.

pub(crate) mod transport;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use mailstead_mailauth::crypto::KeyType;
use mailstead_mailauth::dkim::Selector;
use mailstead_names::{Address, Domain, EhloName, Localpart, ReversePath};

use crate::cli::DnsSource;

/// After the help of every command that checks something.
pub(crate) const EXIT_HELP: &str = "\
Ends with success when the check could be made, whatever its result (the first word of the output, or `result` with
--json, tells), and with failure when not: for example when names cannot be resolved or a file cannot be read.";

/// After the help of every command that looks a record up.
pub(crate) const LOOKUP_HELP: &str = "\
Ends with failure where there is no answer; that there is no such record is an answer.";

/// How a check asks and answers.
#[derive(Debug, Args)]
pub(crate) struct Asking {
    #[command(flatten)]
    pub(crate) source: DnsSource,
    /// Print one line of JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A message to check. In files lines may end in LF alone: they are taken to end in CRLF, as they would in transit.
#[derive(Debug, Args)]
pub(crate) struct MessageFile {
    /// File with the message; standard input if left out or `-`. Lines that end in LF alone count as ending in CRLF.
    #[arg(value_name = "FILE")]
    pub(crate) message: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SpfCommand {
    /// Look up the SPF record of a domain, and show its parts.
    #[command(after_help = LOOKUP_HELP)]
    Lookup {
        /// The domain.
        #[arg(value_parser = domain)]
        domain: Domain,
        #[command(flatten)]
        asking: Asking,
    },
    /// Read an SPF record given as text, and show its parts. Ends with failure where it is not one.
    Parse {
        /// The record, such as "v=spf1 mx -all".
        #[arg(value_name = "RECORD")]
        text: String,
        /// Print one line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check whether a client may use the address of a sender.
    #[command(after_help = EXIT_HELP)]
    Check {
        /// Address of the client.
        ip: IpAddr,
        /// Address in MAIL FROM; a domain stands for its postmaster, <> for the null path (with --helo).
        #[arg(value_parser = mail_from)]
        mail_from: ReversePath,
        /// Name that the client gives in EHLO or HELO [default: its address].
        #[arg(long, value_name = "NAME", value_parser = ehlo)]
        helo: Option<EhloName>,
        #[command(flatten)]
        asking: Asking,
    },
}

/// Types of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DkimKeyType {
    /// 2048 bits, which every verifier knows.
    Rsa,
    /// Short, and not known to all verifiers.
    Ed25519,
}

impl From<DkimKeyType> for KeyType {
    fn from(key_type: DkimKeyType) -> KeyType {
        match key_type {
            DkimKeyType::Rsa => KeyType::Rsa,
            DkimKeyType::Ed25519 => KeyType::Ed25519,
        }
    }
}

/// Where a key is published.
#[derive(Debug, Args)]
pub(crate) struct KeyPlace {
    /// Selector, for the name of the record.
    #[arg(long, requires = "domain", value_parser = Selector::parse)]
    pub(crate) selector: Option<Selector>,
    /// Domain, for the name of the record.
    #[arg(long, requires = "selector", value_parser = domain)]
    pub(crate) domain: Option<Domain>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DkimCommand {
    /// Make a private key, and show the TXT record for its public half.
    Generate {
        /// Type of the key.
        #[arg(value_enum)]
        key_type: DkimKeyType,
        /// Write the private key to this new file, in PEM form, readable only for you; otherwise it is printed.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        place: KeyPlace,
        /// Print one line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Look up the key of a selector.
    #[command(after_help = LOOKUP_HELP)]
    Lookup {
        /// The selector (`s=`).
        #[arg(value_parser = Selector::parse)]
        selector: Selector,
        /// The domain (`d=`).
        #[arg(value_parser = domain)]
        domain: Domain,
        #[command(flatten)]
        asking: Asking,
    },
    /// Show the TXT record for a public key or the public half of a private one, as for a zone file.
    Txt {
        /// File with the private or the public key, in PEM form.
        #[arg(value_name = "FILE")]
        key: PathBuf,
        #[command(flatten)]
        place: KeyPlace,
        /// Print one line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Verify the signatures of a message.
    #[command(after_help = EXIT_HELP)]
    Verify {
        #[command(flatten)]
        file: MessageFile,
        #[command(flatten)]
        asking: Asking,
    },
    /// Sign a message: prints the DKIM-Signature fields to be put before it.
    Sign {
        /// File with the private key, in PEM form; repeat it with a --selector each for more signatures.
        #[arg(long = "key", value_name = "FILE", required = true)]
        keys: Vec<PathBuf>,
        /// Selector under which the key is published.
        #[arg(long = "selector", required = true, value_parser = Selector::parse)]
        selectors: Vec<Selector>,
        /// Domain that signs.
        #[arg(long, value_parser = domain)]
        domain: Domain,
        #[command(flatten)]
        file: MessageFile,
        /// Print one line of JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DmarcCommand {
    /// Walk from a domain up the tree, and show which DMARC record applies to it.
    #[command(after_help = LOOKUP_HELP)]
    Lookup {
        /// The domain, as in From.
        #[arg(value_parser = domain)]
        domain: Domain,
        #[command(flatten)]
        asking: Asking,
    },
    /// Check a message by SPF, DKIM and DMARC.
    #[command(after_help = EXIT_HELP)]
    Verify {
        #[command(flatten)]
        file: MessageFile,
        /// Address of the client that the message came from.
        #[arg(long)]
        ip: IpAddr,
        /// Address in MAIL FROM; a domain stands for its postmaster, <> for the null path (with --helo).
        #[arg(long, value_name = "ADDRESS", value_parser = mail_from)]
        mail_from: ReversePath,
        /// Name that the client gave in EHLO or HELO [default: its address].
        #[arg(long, value_name = "NAME", value_parser = ehlo)]
        helo: Option<EhloName>,
        #[command(flatten)]
        asking: Asking,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ArcCommand {
    /// Verify the Authenticated Received Chain of a message.
    #[command(after_help = EXIT_HELP)]
    Verify {
        #[command(flatten)]
        file: MessageFile,
        #[command(flatten)]
        asking: Asking,
    },
}

#[derive(Debug, Args)]
pub(crate) struct IprevOptions {
    /// Address of the client.
    pub(crate) ip: IpAddr,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DnsblCommand {
    /// Ask a list for an address.
    #[command(after_help = EXIT_HELP)]
    Check {
        /// Domain of the list.
        #[arg(value_parser = domain)]
        zone: Domain,
        /// The address.
        ip: IpAddr,
        #[command(flatten)]
        asking: Asking,
    },
    /// Ask a list for the test entries that it must have and must not have.
    #[command(after_help = EXIT_HELP)]
    Health {
        /// Domain of the list.
        #[arg(value_parser = domain)]
        zone: Domain,
        #[command(flatten)]
        asking: Asking,
    },
}

/// A domain as people write it: in Unicode, with a trailing dot.
fn domain(text: &str) -> Result<Domain, String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    Domain::parse_lenient(text).map_err(|error| format!("no domain name: {error}"))
}

/// A reverse-path as people write it: without brackets, or only a domain, whose postmaster is meant then
/// (RFC 7208 §4.3).
fn mail_from(text: &str) -> Result<ReversePath, String> {
    let inner = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    if inner.is_empty() {
        return Ok(ReversePath::Null);
    }
    if !inner.contains('@') {
        let postmaster = Localpart::new("postmaster").map_err(|error| error.to_string())?;
        return Ok(Address::new(postmaster, domain(inner)?).into());
    }
    Address::parse(inner).map(ReversePath::from).map_err(|error| format!("no address: {error}"))
}

/// What a client says that it is, which may be anything but nothing.
fn ehlo(text: &str) -> Result<EhloName, String> {
    if text.trim().is_empty() { Err("no name".to_owned()) } else { Ok(EhloName::parse(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_as_people_write_them() {
        let path = |text| mail_from(text).map(|path| path.to_string());
        assert_eq!(path("<>").unwrap(), "<>");
        assert_eq!(path("").unwrap(), "<>");
        assert_eq!(path("user@Example.org").unwrap(), "<user@example.org>");
        assert_eq!(path("<user@bücher.example>").unwrap(), "<user@xn--bcher-kva.example>");
        assert_eq!(path("example.org.").unwrap(), "<postmaster@example.org>");
        assert!(path("a b@example.org").unwrap_err().starts_with("no address: "));
        assert!(path("user@").is_err());
        assert!(path("a..b").unwrap_err().starts_with("no domain name: "));
        assert!(ehlo(" ").is_err());
    }
}
