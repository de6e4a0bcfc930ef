//! Verifying a chain (RFC 8617 §5.2).

use std::collections::BTreeMap;

use mailstead_dns::Resolver;
use mailstead_names::Domain;

use super::chain::{Chain, ChainStatus, Reason};
use super::set::{Fields, Seal, collect};
use crate::crypto::{Crypto, Digest};
use crate::dkim::{
    self, Algorithm, BodyHasher, BodyHashes, Canonicalization, FoundKeys, HeaderIndex, Policy, Signature, Signed,
    acceptable, check, header_digest, key_name, look_up, policy_reasons, split_message,
};

/// Sets whose keys are looked up at once, from the last one down. A chain may name a hundred keys (§9.2); those of sets
/// before one that does not verify are never asked for, except for the few that are asked for together with it.
const SETS_AT_ONCE: usize = 4;

/// The chain of a header, ready to be verified once the body has been hashed.
#[derive(Debug)]
pub struct Verifier<'h, 'c> {
    crypto: &'c dyn Crypto,
    index: HeaderIndex<'h>,
    sets: Result<Vec<Fields<'h>>, Reason>,
}

impl<'h, 'c> Verifier<'h, 'c> {
    /// Reads the ARC fields of a header, which may have its empty line and more after it, and asks for the hashes of the
    /// body that they need.
    pub fn new(header: &'h [u8], body: &mut BodyHasher<'c>) -> Verifier<'h, 'c> {
        let index = HeaderIndex::new(header);
        let sets = collect(&index);
        for set in sets.iter().flatten() {
            if let Ok(signature) = &set.message_signature.parsed
                && signature.algorithm != Algorithm::RsaSha1
            {
                body.request(signature.body_canonicalization, signature.body_length);
            }
        }
        Verifier { crypto: body.crypto(), index, sets }
    }

    /// Verifies. `body` comes from the hasher that was given to [`Verifier::new`].
    ///
    /// Expiry, public suffixes, `l=` and the service of keys are judged by the policy as for DKIM; whether Subject is
    /// signed is not asked.
    pub async fn verify(&self, resolver: &dyn Resolver, body: &BodyHashes, policy: &Policy<'_>) -> Chain {
        let sets = match &self.sets {
            Ok(sets) if sets.is_empty() => return Chain::none(),
            Ok(sets) => sets,
            Err(reason) => return Chain::failed(reason.clone()),
        };
        let mut chain = Chain::none();
        chain.sets = sets.iter().map(Fields::to_set).collect();
        let result = match chain_statuses(sets) {
            Ok(()) => self.verify_sets(sets, resolver, body, policy, &mut chain).await,
            Err(reason) => Err(reason),
        };
        chain.authenticity = chain.evidence.authenticity();
        (chain.status, chain.reason) = match result {
            Ok(oldest) => {
                chain.oldest_pass = Some(oldest);
                (ChainStatus::Pass, None)
            }
            Err(reason) => (ChainStatus::Fail, Some(reason)),
        };
        tracing::debug!(status = %chain.status, sets = sets.len(), reason = ?chain.reason, "ARC chain verified");
        chain
    }

    /// Steps 4 to 6, from the last set down; gives `oldest-pass`.
    async fn verify_sets(
        &self,
        sets: &[Fields<'_>],
        resolver: &dyn Resolver,
        body: &BodyHashes,
        policy: &Policy<'_>,
        chain: &mut Chain,
    ) -> Result<u8, Reason> {
        let digests = seal_digests(self.crypto, sets);
        let mut keys: BTreeMap<Domain, FoundKeys> = BTreeMap::new();
        // The instance of the last message signature that verified, while all of them did.
        let mut oldest = 0;
        let mut all = true;
        let from_last: Vec<_> = sets.iter().zip(&digests).rev().collect();
        for (position, (set, digest)) in from_last.iter().enumerate() {
            if position.is_multiple_of(SETS_AT_ONCE) {
                let batch = from_last.iter().skip(position).take(SETS_AT_ONCE);
                let names = batch.flat_map(|(set, _)| names(set, all, policy)).filter(|name| !keys.contains_key(name));
                let found = look_up(resolver, names.collect::<Vec<_>>()).await;
                found.values().for_each(|found| chain.evidence.extend(found.evidence.clone()));
                keys.extend(found);
            }
            if all {
                match self.message_signature(set, &keys, body, policy) {
                    Ok(()) => oldest = set.instance,
                    // Step 4
                    Err(reason) if position == 0 => return Err(Reason::MessageSignature(set.instance, reason)),
                    // Step 5 A
                    Err(_) => all = false,
                }
            }
            // Step 6
            self.seal(set, &keys, digest, policy).map_err(|reason| Reason::Seal(set.instance, reason))?;
        }
        Ok(if all { 0 } else { oldest })
    }

    fn message_signature(
        &self,
        set: &Fields<'_>,
        keys: &BTreeMap<Domain, FoundKeys>,
        body: &BodyHashes,
        policy: &Policy<'_>,
    ) -> Result<(), dkim::Reason> {
        let field = &set.message_signature;
        let signature = field.parsed.as_ref().map_err(Clone::clone)?;
        let name = signature_key(signature, policy)?;
        let digest = header_digest(self.crypto, &self.index, signature, &field.field, &field.own);
        let signed = Signed {
            algorithm: signature.algorithm,
            digest: &digest,
            signature: &signature.signature,
            identity: None,
            body: Some((&signature.body_hash, body.hash(signature.body_canonicalization, signature.body_length))),
        };
        check(self.crypto, keys.get(&name).ok_or(dkim::Reason::NoKey)?, policy.service, &signed).0?;
        match policy_reasons(signature, &self.index, policy).into_iter().find(|r| *r == dkim::Reason::BodyLength) {
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }

    fn seal(
        &self,
        set: &Fields<'_>,
        keys: &BTreeMap<Domain, FoundKeys>,
        digest: &Digest,
        policy: &Policy<'_>,
    ) -> Result<(), dkim::Reason> {
        let seal = set.seal.parsed.as_ref().map_err(Clone::clone)?;
        let name = seal_key(seal, policy)?;
        let signed =
            Signed { algorithm: seal.algorithm, digest, signature: &seal.signature, identity: None, body: None };
        check(self.crypto, keys.get(&name).ok_or(dkim::Reason::NoKey)?, policy.service, &signed).0
    }
}

/// Steps 2 and 3 C.
fn chain_statuses(sets: &[Fields<'_>]) -> Result<(), Reason> {
    let status = |set: &Fields<'_>| match &set.seal.parsed {
        Ok(seal) => Ok(seal.chain_status),
        Err(reason) => Err(Reason::Seal(set.instance, reason.clone())),
    };
    if let Some(last) = sets.last()
        && status(last)? == ChainStatus::Fail
    {
        return Err(Reason::AlreadyFailed(last.instance));
    }
    for set in sets {
        let expected = if set.instance == 1 { ChainStatus::None } else { ChainStatus::Pass };
        if status(set)? != expected {
            return Err(Reason::ChainStatus(set.instance));
        }
    }
    Ok(())
}

/// The keys of a set; the one of the message signature only where it is still wanted.
fn names(set: &Fields<'_>, message_signature: bool, policy: &Policy<'_>) -> Vec<Domain> {
    let signature = set.message_signature.parsed.as_ref().ok().filter(|_| message_signature);
    let seal = set.seal.parsed.as_ref().ok();
    let names = [
        signature.and_then(|signature| signature_key(signature, policy).ok()),
        seal.and_then(|seal| seal_key(seal, policy).ok()),
    ];
    names.into_iter().flatten().collect()
}

fn signature_key(signature: &Signature, policy: &Policy<'_>) -> Result<Domain, dkim::Reason> {
    acceptable(signature, policy)?;
    key_name(&signature.selector, &signature.domain)
}

fn seal_key(seal: &Seal, policy: &Policy<'_>) -> Result<Domain, dkim::Reason> {
    if seal.algorithm == Algorithm::RsaSha1 {
        return Err(dkim::Reason::HistoricAlgorithm);
    }
    if (policy.is_public_suffix)(&seal.domain) {
        return Err(dkim::Reason::PublicSuffix);
    }
    key_name(&seal.selector, &seal.domain)
}

/// What each seal covers (§5.1.1): all sets up to its own, which is why this goes through them once.
fn seal_digests(crypto: &dyn Crypto, sets: &[Fields<'_>]) -> Vec<Digest> {
    const RELAXED: Canonicalization = Canonicalization::Relaxed;
    let mut hash = crypto.sha256();
    let mut octets = Vec::new();
    let mut digests = Vec::with_capacity(sets.len());
    for set in sets {
        octets.clear();
        RELAXED.field(&set.results, &mut octets);
        RELAXED.field(&set.message_signature.field, &mut octets);
        hash.update(&octets);

        octets.clear();
        RELAXED.own_field(&set.seal.field, &set.seal.own, &mut octets);
        let mut own = hash.fork();
        own.update(&octets);
        digests.push(own.finish());

        octets.clear();
        RELAXED.field(&set.seal.field, &mut octets);
        hash.update(&octets);
    }
    digests
}

/// Verifies the chain of a message that is in memory.
pub async fn verify(message: &[u8], crypto: &dyn Crypto, resolver: &dyn Resolver, policy: &Policy<'_>) -> Chain {
    let (header, body) = split_message(message);
    let mut hasher = BodyHasher::new(crypto);
    let verifier = Verifier::new(header, &mut hasher);
    hasher.update(body);
    verifier.verify(resolver, &hasher.finish(), policy).await
}
