//! rspamd beside us: the same messages from the same clients in the same DNS get the same SPF, DKIM and DMARC results, or
//! the difference is in the list with the section that explains it.
//!
//! `cases` makes names and messages, `names` reads the names, `symbols` says what rspamd's symbols mean, `divergences` has
//! the list.

mod cases;
mod divergences;
mod names;
mod symbols;

use std::sync::Arc;
use std::time::SystemTime;

use mailstead_conformance::Suite;
use mailstead_dns::Resolver;
use mailstead_e2e::rspamd::{Asked, Cache, Rspamd};
use mailstead_mailauth::crypto::AwsLcRs;
use mailstead_mailauth::dkim::{self, split_message};
use mailstead_mailauth::{dmarc, spf};
use mailstead_names::EhloName;
use mailstead_testkit::NameServer;

use cases::Case;

/// What one of the two says of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Results {
    spf: String,
    dkim: String,
    /// The result, and what is to be done where it is a failure.
    dmarc: String,
}

/// What we say.
async fn ours(resolver: &dyn Resolver, case: &Case) -> Results {
    let at = SystemTime::now();
    let helo = EhloName::parse(cases::HELO);
    let query = spf::Query::sender(case.ip, &case.mail_from, &helo, at);
    let verdict = spf::check_host(resolver, &query).await;
    let (header, _) = split_message(&case.message);
    let policy = dkim::Policy::new(at, &mailstead_mailauth::psl::is_public_suffix);
    let verification = dkim::verify(&case.message, &AwsLcRs, resolver, &policy).await;
    let authors = dmarc::author_domains(header);
    let result = dmarc::evaluate(resolver, &authors, &dmarc::identifiers(&verdict, &verification)).await;
    let dmarc = match result.status.as_str() {
        "fail" => format!("fail {}", result.disposition),
        other => other.to_owned(),
    };
    Results {
        spf: verdict.result.as_str().to_owned(),
        dkim: verification.outcomes.first().map_or("none", |outcome| outcome.status.name()).to_owned(),
        dmarc,
    }
}

#[tokio::test]
async fn rspamd_agrees() {
    let cases = cases::all();
    let zone: String = cases.iter().map(|case| case.zone.as_str()).collect();
    let zones = Arc::new(names::zones(&zone));
    let server = NameServer::start(Arc::clone(&zones));
    let rspamd = Rspamd::start(server.address(), "example", Cache::Off);
    let mut suite = Suite::new("rspamd", divergences::all());
    for case in &cases {
        let asked = Asked { ip: case.ip, helo: cases::HELO, mail_from: &case.mail_from, message: &case.message };
        let theirs = rspamd.symbols(asked).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let (ours, theirs) = (ours(&*zones, case).await, symbols::results(&theirs));
        let outcome = if ours == theirs { Ok(()) } else { Err(format!("we say {ours:?}, rspamd says {theirs:?}")) };
        suite.record(&case.name, outcome);
    }
    assert!(cases.len() >= 200, "{}", cases.len());
    suite.finish(cases.len());
}
