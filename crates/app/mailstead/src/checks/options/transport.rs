//! The command lines of what is about the security of connections.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use mailstead_names::Domain;
use mailstead_net::tls::{roots_from_file, system_roots};
use rustls::RootCertStore;

use super::{Asking, domain};
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
}
