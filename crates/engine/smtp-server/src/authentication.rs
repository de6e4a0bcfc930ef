//! Who sent a message: iprev, SPF, DKIM, DMARC and ARC, gathered once for all recipients.
//!
//! The checks run at the same time. A look-up that comes too late is a temporary error of its own check only, because
//! deadlines are the resolver's. What is made of the results is decided in `analysis.rs`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use mailstead_dns::Resolver;
use mailstead_mailauth::crypto::AwsLcRs;
use mailstead_mailauth::dkim::{self, BodyHasher, BodyHashes, Signer};
use mailstead_mailauth::results::{AuthenticationResults, Form, MethodResult};
use mailstead_mailauth::{arc, dmarc, iprev, psl, received_spf, spf};
use mailstead_names::{Domain, EhloName, ReversePath};

use crate::inbound::Origin;

/// The cryptography of all checks.
pub(crate) static CRYPTO: AwsLcRs = AwsLcRs;

/// A header as it was received, and the hashes of the body that its signatures need.
#[derive(Debug)]
pub(crate) struct Signed {
    header: Vec<u8>,
    body: BodyHashes,
    signers: Arc<[Signer]>,
}

impl Signed {
    /// The header that counts: as it was received, or as it will be sent.
    pub(crate) fn header(&self) -> &[u8] {
        &self.header
    }

    pub(crate) fn body(&self) -> &BodyHashes {
        &self.body
    }

    /// The keys that it is to be signed with: those that the hashes were made for. None for mail that comes in.
    pub(crate) fn signers(&self) -> &[Signer] {
        &self.signers
    }
}

/// Hashes a body while it passes by.
pub(crate) struct Hashing {
    header: Vec<u8>,
    body: BodyHasher<'static>,
    signers: Arc<[Signer]>,
}

impl std::fmt::Debug for Hashing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hashing behind a header of {} octets", self.header.len())
    }
}

impl Hashing {
    /// Of what the signatures of a header need, as it was received.
    pub(crate) fn to_verify(header: &[u8]) -> Hashing {
        let mut body = BodyHasher::new(&CRYPTO);
        // They say which hashes they will need.
        dkim::Verifier::new(header, &mut body);
        arc::Verifier::new(header, &mut body);
        Hashing { header: header.to_vec(), body, signers: Arc::from([]) }
    }

    /// Of what signing needs, behind a header as it will be sent.
    pub(crate) fn to_sign(header: &[u8], signers: Arc<[Signer]>) -> Hashing {
        let mut body = BodyHasher::new(&CRYPTO);
        signers.iter().for_each(|signer| signer.request(&mut body));
        Hashing { header: header.to_vec(), body, signers }
    }

    pub(crate) fn update(&mut self, octets: &[u8]) {
        self.body.update(octets);
    }

    pub(crate) fn finish(self) -> Signed {
        Signed { header: self.header, body: self.body.finish(), signers: self.signers }
    }
}

/// An SPF check with what it was about.
#[derive(Debug, Clone)]
pub(crate) struct SpfCheck {
    pub(crate) query: spf::Query,
    pub(crate) verdict: spf::Verdict,
}

impl SpfCheck {
    /// Whether the owner of the reverse-path lets the client use it, so that notices go to whoever sent the message.
    pub(crate) fn authorizes_sender(&self) -> bool {
        self.verdict.result == spf::SpfResult::Pass && self.verdict.identity == spf::Identity::MailFrom
    }
}

/// What is known about who sent a message.
#[derive(Debug)]
pub(crate) struct Authentication {
    pub(crate) iprev: iprev::Verdict,
    pub(crate) spf: SpfCheck,
    pub(crate) dkim: dkim::Verification,
    pub(crate) dmarc: dmarc::DmarcResult,
    pub(crate) arc: arc::Chain,
}

/// Whether the client may use the reverse-path (RFC 7208).
pub(crate) async fn check_spf(
    resolver: &dyn Resolver,
    hostname: &Domain,
    remote: IpAddr,
    sender: &ReversePath,
    hello: &EhloName,
    at: Timestamp,
) -> SpfCheck {
    let query = spf::Query::mail_from(remote, sender, hello, system_time(at)).received_by(hostname.clone());
    let verdict = spf::check_host(resolver, &query).await;
    SpfCheck { query, verdict }
}

/// Gathers everything about an arrived message. `spf` is given where it was needed before.
pub(crate) async fn authenticate(
    resolver: &dyn Resolver,
    hostname: &Domain,
    sender: &ReversePath,
    origin: &Origin,
    signed: &Signed,
    spf: Option<SpfCheck>,
) -> Authentication {
    let policy = dkim::Policy::new(system_time(origin.at), &psl::is_public_suffix);
    // The hashes have been made: these are asked for nothing.
    let mut unused = BodyHasher::new(&CRYPTO);
    let dkim = dkim::Verifier::new(&signed.header, &mut unused);
    let arc = arc::Verifier::new(&signed.header, &mut unused);
    let spf = async {
        match spf {
            Some(spf) => spf,
            None => check_spf(resolver, hostname, origin.remote, sender, &origin.hello, origin.at).await,
        }
    };
    let (iprev, spf, dkim, arc) = tokio::join!(
        iprev::check_iprev(resolver, origin.remote),
        spf,
        dkim.verify(resolver, &signed.body, &policy),
        arc.verify(resolver, &signed.body, &policy),
    );
    let authors = dmarc::author_domains(&signed.header);
    let dmarc = dmarc::evaluate(resolver, &authors, &dmarc::identifiers(&spf.verdict, &dkim)).await;
    Authentication { iprev, spf, dkim, dmarc, arc }
}

pub(crate) fn system_time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0))
}

impl Authentication {
    /// The domains that are proved to have to do with the message: that of MAIL FROM, and those that signed.
    pub(crate) fn verified_domains(&self) -> impl Iterator<Item = &Domain> {
        let spf = self.spf.verdict.domain.iter().filter(|_| self.spf.verdict.result == spf::SpfResult::Pass);
        spf.chain(self.dkim.authenticated())
    }

    /// Authentication-Results and Received-SPF, for the copy of one recipient. `overrides` are the reasons for not doing
    /// what DMARC asks for (RFC 9990 names them).
    pub(crate) fn fields(&self, hostname: &Domain, overrides: &[&str], form: Form) -> String {
        let ip = self.iprev.ip;
        let mut results = AuthenticationResults::new(hostname.clone())
            .with(MethodResult::of_iprev(&self.iprev))
            .with(MethodResult::of_spf(&self.spf.query, &self.spf.verdict))
            .with(MethodResult::of_dmarc(&self.dmarc, overrides));
        // ARC only where there is a chain: it is information.
        for result in MethodResult::of_dkim(&self.dkim).into_iter().chain(MethodResult::of_arc(&self.arc, ip)) {
            results = results.with(result);
        }
        let received_spf = received_spf::ReceivedSpf::new(&self.spf.query, &self.spf.verdict);
        results.to_field(form) + &received_spf.field()
    }
}
