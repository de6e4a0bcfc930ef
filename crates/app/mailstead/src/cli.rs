//! The command line.

mod queue;
mod tlskey;

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mailstead_config::{DnsMode, LogLevel};
use mailstead_names::Address;

use crate::checks::options::transport::{DaneCommand, MtastsCommand, SmtpCommand, TlsrptCommand};
use crate::checks::options::{
    ArcCommand, DkimCommand, DmarcCommand, DnsblCommand, EXIT_HELP, IprevOptions, SpfCommand,
};
use crate::failure::Failure;

pub(crate) use queue::QueueCommand;
pub(crate) use tlskey::TlskeyCommand;

/// A complete mail server in one program.
#[derive(Debug, Parser)]
#[command(name = "mailstead", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a mail server for trying things out: loopback only, one account, nothing to configure.
    #[command(after_help = LOCALSERVE_HELP)]
    Localserve(LocalserveOptions),
    /// Run the server that a configuration file describes.
    Serve(ServeOptions),
    /// Stop a running server. Connections get three seconds to finish.
    Stop(Place),
    /// List, add and remove accounts, and set their passwords.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Look after the keys of TLS certificates with which people may log in, instead of a password.
    #[command(subcommand)]
    Tlskey(TlskeyCommand),
    /// Look after the message store.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Show what is known about a message.
    #[command(subcommand)]
    Message(MessageCommand),
    /// Ask the DNS as the server does, and show what DNSSEC proves.
    #[command(subcommand)]
    Dns(DnsCommand),
    /// Look up, read and check SPF records: who may send for a domain.
    #[command(subcommand)]
    Spf(SpfCommand),
    /// Make keys for DKIM, look them up, sign and verify messages.
    #[command(subcommand)]
    Dkim(DkimCommand),
    /// Look up DMARC records, and check messages by them.
    #[command(subcommand)]
    Dmarc(DmarcCommand),
    /// Verify the ARC chain of a message: what those who passed it on say that they found.
    #[command(subcommand)]
    Arc(ArcCommand),
    /// Check whether the address of a client has a name that has this address.
    #[command(after_help = EXIT_HELP)]
    Iprev(IprevOptions),
    /// Ask DNS lists for addresses, and whether the lists are alive.
    #[command(subcommand)]
    Dnsbl(DnsblCommand),
    /// Talk with SMTP servers, to see what they offer.
    #[command(subcommand)]
    Smtp(SmtpCommand),
    /// Make TLSA records, and check servers by them: certificates that DNSSEC vouches for.
    #[command(subcommand)]
    Dane(DaneCommand),
    /// Look up MTA-STS policies: which hosts of a domain may be sent mail, and that only over verified TLS.
    #[command(subcommand)]
    Mtasts(MtastsCommand),
    /// Look up where domains want reports about TLS, and read such reports.
    #[command(subcommand)]
    Tlsrpt(TlsrptCommand),
    /// Show what waits to be delivered, and do something about it.
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Show how mail would travel to somebody.
    #[command(subcommand)]
    Transport(TransportCommand),
    /// Print the version.
    Version,
}

const LOCALSERVE_HELP: &str = "\
Mail to any address of any domain lands in the account you@localhost, and mail that you submit does too, whatever its
sender: nothing leaves this machine.

To test how your software deals with failures, choose the local part of an address. Its end says what happens:
  …temperror   a temporary failure, code 451
  …permerror   a permanent failure, code 550
  …NNN         the code NNN, from 400 to 599
  …timeout     no answer for an hour, then 451
and its beginning says when:
  mailfrom…    at MAIL FROM (in the sender's address)
  rcptto…      at RCPT TO
  queue…       submission succeeds, delivery from the queue fails
  otherwise    after the message
For example rcptto-permerror@example.org is refused at RCPT TO with 550, both on the SMTP and the submission ports.";

#[derive(Debug, Args)]
pub(crate) struct LocalserveOptions {
    /// Directory for configuration, certificates and mail; created if it is not there [default:
    /// ~/.local/share/mailstead/localserve].
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) dir: Option<PathBuf>,
    /// Listen on this address instead of 127.0.0.1 and ::1. Only when the directory is created; an address
    /// that others can reach needs --password-file.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip: Option<IpAddr>,
    /// Password of the account, in the first line of this file (`-` is standard input), instead of the
    /// well-known one. Only when the directory is created.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Keep mail in this PostgreSQL database instead of SQLite files. Only when the directory is created.
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// Which ports: the fixed ones (1025, 1143 and so on), or any that are free.
    #[arg(long, value_enum, default_value_t = Ports::Fixed)]
    pub(crate) ports: Ports,
    /// Print one line of JSON when ready, instead of text for people.
    #[arg(long)]
    pub(crate) json: bool,
    /// Treat deviations from the protocols that real software shows as errors.
    #[arg(long)]
    pub(crate) pedantic: bool,
    /// What to log: error, warn, info, debug, trace, traceauth (shows passwords), tracedata (shows mail too).
    #[arg(long, value_name = "LEVEL", value_parser = log_level)]
    pub(crate) log_level: Option<LogLevel>,
}

/// Which ports to bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ports {
    /// Those of the configuration.
    Fixed,
    /// Free ones that the system chooses.
    Any,
}

#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    /// Configuration file.
    #[arg(long, value_name = "FILE", default_value = "mailstead.toml")]
    pub(crate) config: PathBuf,
    /// What to log, instead of what the configuration says.
    #[arg(long, value_name = "LEVEL", value_parser = log_level)]
    pub(crate) log_level: Option<LogLevel>,
}

/// Which server a command is about.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// Configuration file of the server.
    #[arg(long, value_name = "FILE", conflicts_with = "dir")]
    pub(crate) config: Option<PathBuf>,
    /// Directory of a localserve.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// List the accounts with their addresses and how much they store.
    List(Place),
    /// Add an account. Asks for its password (or reads it from standard input).
    Add {
        /// Name of the account.
        name: String,
        /// Its addresses.
        #[arg(required = true, value_parser = Address::parse)]
        addresses: Vec<Address>,
        #[command(flatten)]
        place: Place,
    },
    /// Set the password of an account. Asks for it (or reads it from standard input).
    Password {
        /// Name of the account, or one of its addresses.
        account: String,
        #[command(flatten)]
        place: Place,
    },
    /// Remove an account and all its mail.
    Remove {
        /// Name of the account.
        name: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Verify counts, sizes, change numbers, threads, index and bodies of all accounts.
    ///
    /// Reads every message. Files that a crash left behind and that belong to nothing are named, and are no error.
    Check {
        /// Compare rows and the sizes of files only; without it every message is read as well.
        #[arg(long)]
        quick: bool,
        /// Remove the files that belong to nothing.
        #[arg(long)]
        remove_orphans: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MessageCommand {
    /// Explain what became of a message that came in, accepted or refused, and what would have changed that.
    ///
    /// What is known of refused messages is kept for 30 days.
    Why {
        /// The id in parentheses in the reply to the sender, or after `id` in our Received field.
        #[arg(allow_hyphen_values = true)]
        id: String,
        /// Print what is kept as it is: a line of JSON for each copy.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TransportCommand {
    /// Say what would happen to a message now: which servers would be tried in which order, what each must prove and why,
    /// and who would be told of the result. Nobody is connected to but to look up records and policies.
    Explain {
        /// Address of the recipient.
        #[arg(value_parser = Address::parse)]
        recipient: Address,
        /// Address of the sender, which may decide about the route. Without it, for a message from nobody, as notices are.
        #[arg(long, value_parser = Address::parse)]
        from: Option<Address>,
        /// For a message for which so many attempts have been made, which may decide about the route too.
        #[arg(long, default_value_t = 0)]
        attempts: u32,
        /// For a message that demands verified TLS all the way (REQUIRETLS, RFC 8689).
        #[arg(long, conflicts_with = "tls_required_no")]
        require_tls: bool,
        /// For a message that is to be delivered even where TLS fails (`TLS-Required: No`, RFC 8689).
        #[arg(long)]
        tls_required_no: bool,
        /// Print one line of JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DnsCommand {
    /// Look up records: with status, aliases, and remarks of servers.
    ///
    /// Ends with failure where there is no answer; that there are no such records is an answer.
    Lookup(DnsLookup),
    /// Show the chain of trust behind an answer, from the trust anchor on.
    Trace(DnsTrace),
}

#[derive(Debug, Args)]
pub(crate) struct DnsLookup {
    #[command(flatten)]
    pub(crate) question: Option<DnsQuestion>,
    /// Answer the questions of a file, a line each of type and name (`-` is standard input).
    #[arg(long, value_name = "FILE", conflicts_with = "DnsQuestion", required_unless_present = "record_type")]
    pub(crate) batch: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: DnsSource,
    /// Print a line of JSON for each answer.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DnsTrace {
    #[command(flatten)]
    pub(crate) question: DnsQuestion,
    #[command(flatten)]
    pub(crate) source: DnsSource,
    /// Print a line of JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is asked.
#[derive(Debug, Args)]
pub(crate) struct DnsQuestion {
    /// Type of the records: mx, a, aaaa, ips (both), txt, tlsa, ptr, cname, ns, soa, srv, caa, ds.
    #[arg(value_name = "TYPE", requires = "name")]
    pub(crate) record_type: String,
    /// Name, or IP address for ptr.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// Who is asked, and how.
#[derive(Debug, Args)]
pub(crate) struct DnsSource {
    /// Configuration file that says, in its table `dns`, how names are resolved [default: mailstead.toml, if it is there].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How to resolve: automatic, validate, recurse, trust-ad or unvalidated.
    #[arg(long, value_name = "MODE", value_parser = dns_mode)]
    pub(crate) mode: Option<DnsMode>,
    /// Ask this resolver instead of those of resolv.conf; repeat for more.
    #[arg(long = "server", value_name = "ADDRESS[:PORT]", value_parser = dns_server)]
    pub(crate) servers: Vec<SocketAddr>,
    /// Zone file with the servers of the root, instead of those that are built in.
    #[arg(long, value_name = "FILE")]
    pub(crate) root_hints: Option<PathBuf>,
    /// Zone file with DS or DNSKEY records to trust, instead of the root's.
    #[arg(long = "trust-anchor", value_name = "FILE")]
    pub(crate) trust_anchors: Option<PathBuf>,
    /// Ask authorities with private addresses too.
    #[arg(long)]
    pub(crate) private_servers: bool,
}

fn dns_mode(text: &str) -> Result<DnsMode, String> {
    let mode = DnsMode::ALL.iter().find(|(name, _)| *name == text).map(|(_, mode)| *mode);
    mode.ok_or_else(|| "use automatic, validate, recurse, trust-ad or unvalidated".to_owned())
}

fn dns_server(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53)).or_else(|_| text.parse());
    address.map_err(|_| "use an address such as 192.0.2.53, 127.0.0.1:5335 or [2001:db8::53]:53".to_owned())
}

fn log_level(text: &str) -> Result<LogLevel, String> {
    LogLevel::parse(text).ok_or_else(|| "use error, warn, info, debug, trace, traceauth or tracedata".to_owned())
}

impl Place {
    /// The configuration file meant.
    pub(crate) fn config_file(&self) -> PathBuf {
        match (&self.config, &self.dir) {
            (Some(file), _) => file.clone(),
            (None, Some(directory)) => directory.join(CONFIG_FILE),
            (None, None) => CONFIG_FILE.into(),
        }
    }
}

/// Name of the configuration file.
pub(crate) const CONFIG_FILE: &str = "mailstead.toml";

/// Prints a line on standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))
}
