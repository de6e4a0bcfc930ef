//! Whole messages: iprev, SPF, DKIM, ARC and DMARC, with everything that they look up in a cache.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use mailstead_dns::{Mx, Record, Resolver, Target, Txt, reverse_name};
use mailstead_e2e::rspamd::{Asked, Cache, Rspamd};
use mailstead_mailauth::crypto::{AwsLcRs, KeyType};
use mailstead_mailauth::dkim::{BodyHasher, KeyRecord, Policy, Selector, Signer, Verifier, split_message};
use mailstead_mailauth::{arc, dmarc, iprev, psl, spf};
use mailstead_names::{Domain, EhloName};
use mailstead_net::resolver::{DnsMode, DnsOptions, DnsResolver, ResolvConf, Servers};
use mailstead_runtime::{Supervisor, SystemClock, SystemRandom};
use mailstead_testkit::{NameServer, Zones};

use crate::figures::{Figures, progress};
use crate::process::Process;
use crate::signatures::{fields, key, message};
use crate::{Outcome, rounded};

/// Domains that send, a message each.
const SENDERS: u8 = 100;
/// Octets of a body.
const BODY: usize = 4000;
/// Who ask rspamd at the same time.
const CLIENTS: usize = 4;

struct Sent {
    ip: IpAddr,
    helo: String,
    mail_from: String,
    message: Vec<u8>,
}

/// Senders as they are: SPF by MX or by include, a signature with RSA, a policy, names of addresses.
fn senders() -> Outcome<(Zones, Vec<Sent>)> {
    let key = key(KeyType::Rsa)?;
    let public = KeyRecord::new(key.public_key().clone()).to_txt();
    let text = |text: &str| Record::Txt(Txt::from(text));
    let (mut zones, mut sent) = (Zones::new(), Vec::new());
    for number in 0..SENDERS {
        let (domain, host) = (format!("sender{number}.example"), format!("mail.sender{number}.example"));
        let ip = Ipv4Addr::new(203, 0, 113, number);
        let record = if number % 2 == 0 { "v=spf1 mx -all" } else { "v=spf1 include:_spf.hosting.example ~all" };
        zones = zones
            .with(&domain, text(record))
            .with(&domain, Record::Mx(Mx { preference: 10, exchange: Target::parse(&host) }))
            .with(&host, Record::A(ip))
            .with(&format!("key._domainkey.{domain}"), Record::Txt(public.clone()))
            .with(&format!("_dmarc.{domain}"), text("v=DMARC1; p=reject; rua=mailto:dmarc@example.example"))
            .with(reverse_name(ip.into()).as_ascii(), Record::Ptr(Target::parse(&host)));
        let signer = Signer::new(Domain::parse(&domain)?, Selector::parse("key")?, Arc::clone(&key));
        let mail_from = format!("joe@{domain}");
        let message = message(&mail_from, BODY);
        let message = [fields(&signer, &message)?.as_bytes(), &message].concat();
        sent.push(Sent { ip: ip.into(), helo: host, mail_from, message });
    }
    let zones = zones.with("_spf.hosting.example", text("v=spf1 ip4:203.0.113.0/24 -all"));
    Ok((zones, sent))
}

/// As the server does it, from the octets of the message to the results; whether DMARC passes.
async fn authenticate(resolver: &dyn Resolver, sent: &Sent) -> bool {
    let at = SystemTime::now();
    let query = spf::Query::sender(sent.ip, &sent.mail_from, &EhloName::parse(&sent.helo), at);
    let policy = Policy::new(at, &psl::is_public_suffix);
    let (header, body) = split_message(&sent.message);
    let mut hasher = BodyHasher::new(&AwsLcRs);
    let (dkim, arc) = (Verifier::new(header, &mut hasher), arc::Verifier::new(header, &mut hasher));
    hasher.update(body);
    let hashes = hasher.finish();
    let (_, spf, dkim, _) = tokio::join!(
        iprev::check_iprev(resolver, sent.ip),
        spf::check_host(resolver, &query),
        dkim.verify(resolver, &hashes, &policy),
        arc.verify(resolver, &hashes, &policy),
    );
    let authors = dmarc::author_domains(header);
    let result = dmarc::evaluate(resolver, &authors, &dmarc::identifiers(&spf, &dkim)).await;
    result.status.as_str() == "pass" && spf.result.as_str() == "pass" && !dkim.outcomes.is_empty()
}

pub(crate) fn measure(time: Duration, beside_rspamd: bool, figures: &mut Figures) -> Outcome<()> {
    let (zones, sent) = senders()?;
    let server = NameServer::start(Arc::new(zones));
    progress("whole messages");
    let (rate, cpu) = ours(&server, &sent, time)?;
    figures.add("authentication: messages of 4 KB, one core, warm cache, 1/s", rounded(rate));
    figures.add("  processor time a message, µs", rounded(cpu));
    if !beside_rspamd {
        figures.add("rspamd", "left out");
        return Ok(());
    }
    progress("rspamd");
    let (their_rate, their_cpu) = rspamd(&server, &sent, time)?;
    figures.add("rspamd, one worker, SPF, DKIM and DMARC of the same messages, 1/s", rounded(their_rate));
    figures.add("  processor time a message, µs", rounded(their_cpu));
    figures.add("  ours as a multiple of its rate", rounded(rate / their_rate));
    figures.add("  its processor time as a multiple of ours", rounded(their_cpu / cpu));
    Ok(())
}

/// Messages a second, and processor time for one in microseconds.
fn ours(server: &NameServer, sent: &[Sent], time: Duration) -> Outcome<(f64, f64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let options = DnsOptions {
            mode: DnsMode::Unvalidated,
            servers: Servers::Fixed(ResolvConf::with_servers(vec![server.address()])),
            ..DnsOptions::default()
        };
        let clock = Arc::new(SystemClock);
        let resolver = DnsResolver::new(options, clock, Arc::new(SystemRandom), Supervisor::new())?;
        for sent in sent {
            if !authenticate(&resolver, sent).await {
                return Err(format!("{} does not pass", sent.mail_from).into());
            }
        }
        let (used, start, mut messages) = (Process::own().cpu()?, Instant::now(), 0_u32);
        for sent in sent.iter().cycle() {
            authenticate(&resolver, sent).await;
            messages += 1;
            if start.elapsed() >= time {
                break;
            }
        }
        let (wall, used) = (start.elapsed(), Process::own().cpu()? - used);
        let messages = f64::from(messages);
        Ok((messages / wall.as_secs_f64(), used.as_secs_f64() * 1e6 / messages))
    })
}

fn rspamd(server: &NameServer, sent: &[Sent], time: Duration) -> Outcome<(f64, f64)> {
    let rspamd = Rspamd::start(server.address(), "example", Cache::Kept);
    let ask = |sent: &Sent| {
        let Sent { ip, helo, mail_from, message } = sent;
        rspamd.symbols(Asked { ip: *ip, helo, mail_from, message })
    };
    for sent in sent {
        let symbols = ask(sent)?;
        for symbol in ["R_SPF_ALLOW", "R_DKIM_ALLOW", "DMARC_POLICY_ALLOW"] {
            if symbols.get(symbol).is_none() {
                return Err(format!("rspamd gives {} no {symbol}: {symbols}", sent.mail_from).into());
            }
        }
    }
    let used = || rspamd.processes().into_iter().map(|id| Process(id).cpu()).sum::<Outcome<Duration>>();
    let (before, start) = (used()?, Instant::now());
    let (messages, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (ask, messages, failed) = (&ask, &messages, &failed);
            scope.spawn(move || {
                for sent in sent.iter().cycle().skip(client * sent.len() / CLIENTS) {
                    if start.elapsed() >= time {
                        break;
                    }
                    if ask(sent).is_err() {
                        failed.store(true, Ordering::Relaxed);
                        break;
                    }
                    messages.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    if failed.into_inner() {
        return Err("rspamd stopped answering".into());
    }
    let (wall, used) = (start.elapsed(), used()? - before);
    let messages = messages.into_inner() as f64;
    Ok((messages / wall.as_secs_f64(), used.as_secs_f64() * 1e6 / messages))
}
