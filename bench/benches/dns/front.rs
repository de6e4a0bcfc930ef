//! Our resolver behind a socket, so that it can be asked and measured just as unbound is: a process of its own that
//! takes questions over UDP and does nothing else.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};

use mailstead_dns::{
    Answer, Edns, Flags, LookupError, Message, Name, Question, Rcode, Record, Resolver as _, RrSet, Rtype, UDP_SIZE,
};
use mailstead_net::resolver::DnsResolver;
use serde_json::{Value, json};
use tokio::net::UdpSocket;

use crate::Outcome;
use crate::library::{Mode, Place};
use crate::process::Process;

/// How the server is started.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Where it listens
    #[arg(long)]
    listen: SocketAddr,
    #[command(flatten)]
    place: Place,
}

/// The running server. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Front {
    child: Child,
    requests: ChildStdin,
    replies: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
}

impl Front {
    /// Starts it.
    pub(crate) fn start(listen: SocketAddr, place: &Place) -> Outcome<Front> {
        let mode = match place.mode {
            Mode::Recurse => "recurse",
            Mode::Validate => "validate",
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--bench", "front", "--mode", mode, "--listen", &listen.to_string()]);
        command.arg("--root-hints").arg(&place.root_hints).arg("--trust-anchor").arg(&place.trust_anchor);
        if let Some(server) = place.server {
            command.args(["--server", &server.to_string()]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let requests = child.stdin.take().ok_or("no standard input")?;
        let replies = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut front = Front { child, requests, replies, address: listen };
        front.statistics()?;
        Ok(front)
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// What the resolver has counted.
    pub(crate) fn statistics(&mut self) -> Outcome<Value> {
        self.requests.write_all(b"statistics\n")?;
        let mut line = String::new();
        self.replies.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until killed.
pub(crate) fn serve(options: &Options) -> Outcome<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let resolver = options.place.resolver()?;
    let socket = Arc::new(runtime.block_on(UdpSocket::bind(options.listen))?);
    let counted = resolver.clone();
    std::thread::spawn(move || tell_statistics(&counted));
    runtime.block_on(async {
        let mut buffer = [0; 1500];
        loop {
            let (length, client) = socket.recv_from(&mut buffer).await?;
            let Some(Ok(query)) = buffer.get(..length).map(Message::parse) else { continue };
            let (socket, resolver) = (Arc::clone(&socket), resolver.clone());
            let mut answering = Box::pin(async move {
                if let Some(octets) = respond(&resolver, query).await {
                    // A client that has gone asks no more.
                    let _ = socket.send_to(&octets, client).await;
                }
            });
            // What is known is answered at once.
            let turn = |context: &mut Context<'_>| Poll::Ready(answering.as_mut().poll(context).is_ready());
            if !std::future::poll_fn(turn).await {
                tokio::spawn(answering);
            }
        }
    })
}

/// A line for every line that is read.
#[expect(clippy::print_stdout, reason = "how the benchmark learns of it")]
fn tell_statistics(resolver: &DnsResolver) {
    for _ in std::io::stdin().lines() {
        let counted = resolver.statistics();
        let entries = counted.cache_entries;
        println!("{}", json!({ "octets": counted.cache_octets, "entries": entries, "questions": counted.udp_queries }));
    }
}

async fn respond(resolver: &DnsResolver, query: Message) -> Option<Vec<u8>> {
    let Question { name, rtype } = &query.question;
    let outcome = resolver.lookup(&name.to_domain()?, rtype.record_type()?).await;
    message(query, outcome).to_octets()
}

fn message(query: Message, outcome: Result<Answer<Record>, LookupError>) -> Message {
    let mut flags = Flags { response: true, recursion_desired: true, recursion_available: true, ..Flags::default() };
    let mut response =
        Message { flags, rcode: Rcode::SERVFAIL, edns: Some(Edns { udp_size: UDP_SIZE, ..Edns::default() }), ..query };
    let Ok(answer) = outcome else { return response };
    flags.authentic_data = answer.is_secure();
    (response.flags, response.rcode) = (flags, Rcode::NOERROR);
    let ttl = answer.ttl.as_secs().try_into().unwrap_or(u32::MAX);
    let set = |owner, rtype, data| RrSet { owner, rtype, ttl, data, signatures: Vec::new() };
    let mut owner = response.question.name.clone();
    for hop in &answer.chain {
        let to = Name::from(&hop.to);
        let alias = set(owner, Rtype::CNAME, vec![to.as_wire().into()]);
        response.answer.push(alias);
        owner = to;
    }
    let data: Vec<_> = answer.records.iter().filter_map(Record::to_data).map(Vec::into_boxed_slice).collect();
    if !data.is_empty() {
        response.answer.push(set(owner, response.question.rtype, data));
    }
    response
}
