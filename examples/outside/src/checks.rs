//! All checks of a message in memory, one after the other.

use std::net::IpAddr;
use std::time::SystemTime;

use mailstead_dns::Resolver;
use mailstead_mailauth::crypto::AwsLcRs;
use mailstead_mailauth::results::{AuthenticationResults, MethodResult};
use mailstead_mailauth::{arc, dkim, dmarc, iprev, psl, spf};
use mailstead_names::{Domain, EhloName, ReversePath};

/// A message and how it came.
pub(crate) struct Arrived<'m> {
    pub(crate) message: &'m [u8],
    pub(crate) remote: IpAddr,
    pub(crate) hello: EhloName,
    pub(crate) sender: ReversePath,
    pub(crate) at: SystemTime,
}

/// What was found about it.
pub(crate) struct Found {
    pub(crate) query: spf::Query,
    pub(crate) iprev: iprev::Verdict,
    pub(crate) spf: spf::Verdict,
    pub(crate) dkim: dkim::Verification,
    pub(crate) dmarc: dmarc::DmarcResult,
    pub(crate) arc: arc::Chain,
}

/// Checks a message that came to the host `here`.
pub(crate) async fn check(resolver: &dyn Resolver, here: &Domain, arrived: &Arrived<'_>) -> Found {
    let Arrived { message, remote, hello, sender, at } = arrived;
    let iprev = iprev::check_iprev(resolver, *remote).await;
    let query = spf::Query::mail_from(*remote, sender, hello, *at).received_by(here.clone());
    let spf = spf::check_host(resolver, &query).await;
    let policy = dkim::Policy::new(*at, &psl::is_public_suffix);
    let dkim = dkim::verify(message, &AwsLcRs, resolver, &policy).await;
    let arc = arc::verify(message, &AwsLcRs, resolver, &policy).await;
    let (header, _) = dkim::split_message(message);
    let authors = dmarc::author_domains(header);
    let dmarc = dmarc::evaluate(resolver, &authors, &dmarc::identifiers(&spf, &dkim)).await;
    Found { query, iprev, spf, dkim, dmarc, arc }
}

impl Found {
    /// For the header of the message.
    pub(crate) fn results(&self, here: &Domain) -> AuthenticationResults {
        let results = AuthenticationResults::new(here.clone())
            .with(MethodResult::of_iprev(&self.iprev))
            .with(MethodResult::of_spf(&self.query, &self.spf))
            .with(MethodResult::of_dmarc(&self.dmarc, &[]));
        let further = MethodResult::of_dkim(&self.dkim);
        let further = further.into_iter().chain(MethodResult::of_arc(&self.arc, self.iprev.ip));
        further.fold(results, AuthenticationResults::with)
    }
}
