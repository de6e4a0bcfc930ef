//! The mechanisms that compare the client with what the DNS knows (RFC 7208 §5.3 to §5.7).

use std::net::IpAddr;

use mailstead_dns::{Record, RecordType};
use mailstead_names::Domain;

use super::check::{Evaluation, Stop};
use super::expand::Target;
use super::{DomainSpec, MOST_EXCHANGERS, MOST_NAMES, PrefixLengths, Problem};
use crate::iprev;

/// The names that PTR records give the client, and for each whether its addresses confirm it; `None` where nobody asked
/// yet.
pub(super) type Names = Vec<(Domain, Option<bool>)>;

/// Whether the leading bits of both addresses are equal. Addresses of different families never match (§5).
pub(super) fn is_within(ip: IpAddr, network: IpAddr, lengths: PrefixLengths) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let differing = ip.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= u32::from(lengths.ip4)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let differing = ip.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= u32::from(lengths.ip6)
        }
        _ => false,
    }
}

impl Evaluation<'_> {
    /// §5.3
    pub(super) async fn a(
        &mut self,
        spec: Option<&DomainSpec>,
        lengths: PrefixLengths,
        domain: &Domain,
    ) -> Result<bool, Stop> {
        self.begin_term()?;
        let Some(name) = self.name(spec, domain).await? else { return Ok(false) };
        self.has_client(&name, lengths).await
    }

    /// §5.4. There is no implicit MX here.
    pub(super) async fn mx(
        &mut self,
        spec: Option<&DomainSpec>,
        lengths: PrefixLengths,
        domain: &Domain,
    ) -> Result<bool, Stop> {
        self.begin_term()?;
        let Some(name) = self.name(spec, domain).await? else { return Ok(false) };
        let answer = self.lookup(&name, RecordType::Mx).await?;
        let mx = |record| if let Record::Mx(mx) = record { Some(mx) } else { None };
        let mut exchangers: Vec<_> = answer.records.into_iter().filter_map(mx).collect();
        // Not only when the eleventh is needed: records have no order, and the result must not depend on one.
        if exchangers.len() > MOST_EXCHANGERS {
            return Err(Problem::TooManyExchangers(name).into());
        }
        exchangers.sort();
        for mx in &exchangers {
            if let Some(host) = iprev::host(&mx.exchange)
                && self.has_client(&host, lengths).await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// §5.5. Names that are not within the target cannot match, so their addresses are of no interest.
    pub(super) async fn ptr(&mut self, spec: Option<&DomainSpec>, domain: &Domain) -> Result<bool, Stop> {
        self.begin_term()?;
        let Some(target) = self.name(spec, domain).await? else { return Ok(false) };
        self.learn_names().await?;
        Ok(self.first_confirmed(|name| name.is_subdomain_of(&target)).await.is_some())
    }

    /// §5.7. The record is an A record, whatever the client's address is.
    pub(super) async fn exists(&mut self, spec: &DomainSpec, domain: &Domain) -> Result<bool, Stop> {
        self.begin_term()?;
        let Some(name) = self.name(Some(spec), domain).await? else { return Ok(false) };
        let answer = self.lookup(&name, RecordType::A).await?;
        Ok(!answer.records.is_empty())
    }

    /// What the macro `p` stands for: the domain itself, else a name below it, else any name (§7.3).
    pub(super) async fn validated_name(&mut self, domain: &Domain) -> Option<Domain> {
        // An explanation may ask where limits are reached: then there is no name.
        let _ = self.learn_names().await;
        if let Some(name) = self.first_confirmed(|name| name == domain).await {
            return Some(name);
        }
        if let Some(name) = self.first_confirmed(|name| name.is_subdomain_of(domain)).await {
            return Some(name);
        }
        self.first_confirmed(|_| true).await
    }

    /// The target name; nothing where the term cannot match because of it (§4.8, RFC 8616 §4).
    async fn name(&mut self, spec: Option<&DomainSpec>, domain: &Domain) -> Result<Option<Domain>, Stop> {
        let Some(spec) = spec else { return Ok(Some(domain.clone())) };
        Ok(match self.target(spec, domain).await? {
            Target::Name(name) => Some(name),
            Target::Malformed | Target::Unmatchable => None,
        })
    }

    /// Whether the client is one of the addresses of a name.
    async fn has_client(&mut self, name: &Domain, lengths: PrefixLengths) -> Result<bool, Stop> {
        let ip = self.query.ip;
        let answer = self.lookup(name, iprev::address_type(ip)).await?;
        Ok(answer.records.iter().filter_map(iprev::address).any(|address| is_within(ip, address, lengths)))
    }

    /// Asks for the names of the client, unless that is done. An error is that of a limit; a look-up that fails gives no
    /// names (§5.5).
    pub(super) async fn learn_names(&mut self) -> Result<(), Stop> {
        if self.names.is_some() {
            return Ok(());
        }
        self.names = Some(Names::new());
        let answer = match self.lookup(&mailstead_dns::reverse_name(self.query.ip), RecordType::Ptr).await {
            Ok(answer) => answer,
            Err(Stop::Lookup(_)) => return Ok(()),
            Err(stop) => return Err(stop),
        };
        let names = answer.records.iter().filter_map(iprev::name).take(MOST_NAMES);
        self.names = Some(names.map(|name| (name, None)).collect());
        Ok(())
    }

    /// The first of the client's names that is wanted and has the client's address. A name whose addresses are not known
    /// is skipped (§5.5). They do not count as void: the owner of the address chose them, not the domain.
    async fn first_confirmed(&mut self, is_wanted: impl Fn(&Domain) -> bool) -> Option<Domain> {
        for (name, confirmed) in self.names.iter_mut().flatten().filter(|(name, _)| is_wanted(name)) {
            let is_confirmed = match confirmed {
                Some(known) => *known,
                None => {
                    let known = iprev::confirm(&mut self.evidence, self.resolver, name, self.query.ip).await;
                    let known = matches!(known, Ok(Some(_)));
                    *confirmed = Some(known);
                    known
                }
            };
            if is_confirmed {
                return Some(name.clone());
            }
        }
        None
    }
}
