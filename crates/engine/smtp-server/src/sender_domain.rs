//! Whether a sender's domain can receive the answers to its mail (RFC 5321 §5.1, RFC 7505).

use mailstead_dns::{Existence, LookupError, Mx, Resolver};
use mailstead_names::Domain;

/// What the DNS says about a domain as a destination of mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MailDomain {
    /// It has a mail exchanger, or an address that counts as one.
    Receives,
    /// It has none, or says that it takes no mail.
    DoesNotReceive,
    /// Not known now.
    Undecided,
}

/// Asks for MX records and, where there are none, for addresses.
pub(crate) async fn mail_domain(resolver: &dyn Resolver, domain: &Domain) -> MailDomain {
    decide(resolver, domain).await.unwrap_or_else(|error| {
        tracing::debug!(%domain, kind = %error.kind, "look-up of sender domain failed");
        MailDomain::Undecided
    })
}

async fn decide(resolver: &dyn Resolver, domain: &Domain) -> Result<MailDomain, LookupError> {
    let exchangers = resolver.records::<Mx>(domain).await?;
    match exchangers.existence {
        // RFC 7505 §3: a single record that names the root.
        Existence::Found if exchangers.records.iter().all(Mx::is_null) => Ok(MailDomain::DoesNotReceive),
        Existence::Found => Ok(MailDomain::Receives),
        Existence::NxDomain => Ok(MailDomain::DoesNotReceive),
        Existence::NoData => has_address(resolver, domain).await.map(|has| match has {
            true => MailDomain::Receives,
            false => MailDomain::DoesNotReceive,
        }),
    }
}

/// Whether a name has an A or AAAA record.
pub(crate) async fn has_address(resolver: &dyn Resolver, domain: &Domain) -> Result<bool, LookupError> {
    Ok(!resolver.addresses(domain).await?.records.is_empty())
}
