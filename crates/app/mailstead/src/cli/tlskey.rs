//! The options of `mailstead tlskey`.

use std::path::PathBuf;

use clap::Subcommand;
use mailstead_names::{Address, KeyFingerprint};

use super::Place;

const ADD_HELP: &str = "\
Only the key counts: who issued the certificate, which names are in it and when it runs out does not matter, and a new
certificate with the same key needs nothing. Whoever holds the key may log in with SASL EXTERNAL on the submission ports
and by IMAP, without a password. On the port for IMAP over TLS (imaps) nothing has to be said at all: the server greets
with PREAUTH. Programs that do not expect this, as they want to send a password, need --no-imap-preauth.";

#[derive(Debug, Subcommand)]
pub(crate) enum TlskeyCommand {
    /// List the keys of TLS certificates with which people may log in.
    List {
        /// Only those of this account: its name, or one of its addresses.
        account: Option<String>,
        /// Print a line of JSON for each.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Let whoever holds the key of a certificate log in.
    #[command(after_help = ADD_HELP)]
    Add {
        /// What they log in as: an address of the account.
        #[arg(value_parser = Address::parse)]
        address: Address,
        /// PEM file with the certificate or its key; without it, and for `-`, standard input. Private keys stay here.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// What to call the key in lists, such as the device that has it.
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        /// Do not log in IMAP connections by the key alone: the program wants to log in by itself.
        #[arg(long)]
        no_imap_preauth: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Let nobody log in with a key any more.
    Remove {
        /// Its fingerprint, as `tlskey list` shows it.
        #[arg(value_parser = KeyFingerprint::parse)]
        fingerprint: KeyFingerprint,
        #[command(flatten)]
        place: Place,
    },
    /// Make a key and a certificate for a mail program, in the files STEM.key.pem and STEM.cert.pem.
    Generate {
        /// Beginning of the names of the files; what follows the last slash is the name in the certificate.
        stem: PathBuf,
        /// Print one line of JSON.
        #[arg(long)]
        json: bool,
    },
}
