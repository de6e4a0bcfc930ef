//! The Mailstead binary: a complete mail server in one program.
//!
//! Composition only. `cli` says what can be asked for, `serve` runs a server from a configuration, `localserve`
//! makes a configuration for trying things out, `operations` are the administrator's commands (run by the
//! server when there is one, see `control`, and directly when not), `tlskey` makes and reads the keys of mail
//! programs, `dns` and `checks` ask the DNS as the server does and show what comes of it, `wiring` joins the
//! engines to each other, `web` has the status page and the metrics. Everything that knows about mail is in the
//! other crates.

mod binding;
mod checks;
mod cli;
mod control;
mod dns;
mod failure;
mod files;
mod localserve;
mod logging;
mod metrics;
mod operations;
mod password;
mod pem;
mod serve;
mod tlskey;
mod web;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};
use failure::Failure;
use mailstead_names::ReversePath;
use mailstead_queue::{Demand, TlsRequirement};
use operations::{Form, Orphaned, Reading, Request};

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Whatever we create is ours alone: directories 0700, files and sockets 0600.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    raise_file_limit();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            ExitCode::FAILURE
        }
    }
}

/// Every connection takes a file descriptor and every open database some; the usual soft limit is for programs
/// that use select(2).
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // What cannot be raised is lived with: accepting waits while there are too few.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Worker threads of the runtime. Blocking work has threads of its own, in the store.
const MOST_WORKERS: usize = 4;

fn run(cli: Cli) -> Result<(), Failure> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.min(MOST_WORKERS))
        .max_blocking_threads(8)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start threads: {error}")))?;
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Localserve(options) => localserve::run(options).await,
            Command::Serve(options) => serve::run(options).await,
            Command::Stop(place) => control::run(&place, Request::Stop).await,
            Command::Account(command) => control::account(command).await,
            Command::Tlskey(command) => tlskey::run(command).await,
            Command::Store(cli::StoreCommand::Check { quick, remove_orphans, place }) => {
                let reading = if quick { Reading::Rows } else { Reading::Messages };
                let orphans = if remove_orphans { Orphaned::Remove } else { Orphaned::Keep };
                control::run(&place, Request::StoreCheck { reading, orphans }).await
            }
            Command::Message(cli::MessageCommand::Why { id, json, place }) => {
                let form = if json { Form::Json } else { Form::Words };
                control::run(&place, Request::MessageWhy { id, form }).await
            }
            Command::Dns(command) => dns::run(command).await,
            Command::Spf(command) => checks::spf(command).await,
            Command::Dkim(command) => checks::dkim(command).await,
            Command::Dmarc(command) => checks::dmarc(command).await,
            Command::Arc(command) => checks::arc(command).await,
            Command::Iprev(options) => checks::iprev(options).await,
            Command::Dnsbl(command) => checks::dnsbl(command).await,
            Command::Smtp(command) => checks::smtp(command).await,
            Command::Dane(command) => checks::dane(command).await,
            Command::Mtasts(command) => checks::mtasts(command).await,
            Command::Tlsrpt(command) => checks::tlsrpt(command).await,
            Command::Queue(command) => control::queue(command).await,
            Command::Transport(cli::TransportCommand::Explain {
                recipient,
                from,
                attempts,
                require_tls,
                tls_required_no,
                json,
                place,
            }) => {
                let requirement = match (require_tls, tls_required_no) {
                    (true, _) => TlsRequirement::RequireTls,
                    (false, true) => TlsRequirement::TlsRequiredNo,
                    (false, false) => TlsRequirement::Opportunistic,
                };
                let demand = Demand { requirement, ..Demand::default() };
                let form = if json { Form::Json } else { Form::Words };
                let recipient = recipient.unicode().to_string();
                let sender = from.map_or(ReversePath::Null, ReversePath::Address).to_string();
                let request = Request::TransportExplain { sender, recipient, attempts, demand, form };
                control::run(&place, request).await
            }
            Command::Version => cli::print(&format!("mailstead {}", env!("CARGO_PKG_VERSION"))),
        }
    });
    // What still runs on a blocking thread must not keep the program alive.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}
