//! Zones in which something is wrong on purpose.

use super::super::zone::{Dates, Ds, Field, Keys, Signer, Spoil, Verdict, Zone};
use super::MAIL;

use Verdict::{Bogus, Insecure, Secure};

pub(super) fn zones() -> Vec<Zone> {
    let ldns = |name, server| Zone::new(name, server).signed(Signer::Ldns, Keys::Csk(13)).text(MAIL);
    let bind = |name, server| Zone::new(name, server).signed(Signer::Bind, Keys::Split(13)).text(MAIL);
    vec![
        // Signatures out of their time.
        ldns("expired.example.", "gamma").dated(Dates::Past).all(Bogus),
        bind("expired3.example.", "delta").nsec3(0, "-").dated(Dates::Past).all(Bogus),
        bind("future.example.", "delta").dated(Dates::Future).all(Bogus),
        // Keys that the parent does not vouch for, or that are not there.
        ldns("wrongkey.example.", "gamma").ds(Ds::OfAnotherKey).all(Bogus),
        bind("wrongds.example.", "delta").ds(Ds::Altered).all(Bogus),
        ldns("below.wrongkey.example.", "delta").all(Bogus),
        Zone::new("below2.wrongkey.example.", "delta").text(MAIL).all(Bogus),
        Zone::new("nodnskey.example.", "gamma").ds(Ds::OfAnotherKey).text(MAIL).all(Bogus),
        Zone::new("nodnskey.test.", "delta").ds(Ds::OfAnotherKey).text(MAIL).all(Bogus),
        ldns("baddnskey.example.", "gamma").spoil(Spoil::Signatures("DNSKEY")).all(Bogus),
        ldns("nodnskeysig.example.", "gamma").spoil(Spoil::RemoveSignature("@", "DNSKEY")).all(Bogus),
        // No signatures but that of the keys, as a server does that has lost half its files.
        bind("nosigs.example.", "delta").spoil(Spoil::Unsign).all(Bogus),
        // One set of records is bad, the rest is good.
        one_set("badsig.example.", "gamma", Signer::Ldns),
        one_set("badsig.test.", "delta", Signer::Bind).nsec3(0, "-"),
        // Denials: signatures over NSEC records, the records, their chain, and what they say.
        ldns("badnsec.example.", "gamma").spoil(Spoil::Signatures("NSEC")).denials(Bogus),
        ldns("plain.badnsec.example.", "delta").ds(Ds::Absent).all(Bogus),
        Zone::new("plain2.badnsec.example.", "delta").text("www A 203.0.113.52").all(Bogus),
        ldns("signed.badnsec.example.", "delta"),
        bind("badnsec3.example.", "delta").nsec3(0, "-").spoil(Spoil::Signatures("NSEC3")).denials(Bogus),
        Zone::new("plain.badnsec3.example.", "gamma").text("www A 203.0.113.52").all(Bogus),
        // No name is denied without the first link, which says that there is no wildcard.
        ldns("chain.example.", "gamma")
            .spoil(Spoil::Remove("@", "NSEC"))
            .nxdomain(Bogus)
            .judge("below.www", "A", Secure)
            .judge("@", "CAA", Bogus),
        with_bad_soa(bind("badsoa.example.", "delta")),
        // Stripped on its way: the server behind is right.
        bare("bare.example.", 0),
        bare("bare3.example.", 1),
        ldns("signed.bare.example.", "delta"),
        Zone::new("plain.bare.example.", "delta").text("www A 203.0.113.54").all(Bogus),
        // Its server answers about one name with the signed answer about another.
        replayed("replay.example.", 0),
        replayed("replay3.example.", 1),
        // Insecure, so that the same faults do no harm.
        ldns("harmless.example.", "gamma").ds(Ds::Absent).dated(Dates::Past).all(Insecure),
    ]
}

fn one_set(name: &str, server: &'static str, signer: Signer) -> Zone {
    Zone::new(name, server)
        .signed(signer, Keys::Csk(13))
        .text(MAIL)
        .text(
            "bad A 203.0.113.61 ;= bogus\nbad TXT \"good\"\nalgorithm A 203.0.113.62 ;= bogus\n\
             labels A 203.0.113.63 ;= bogus\nttl A 203.0.113.64 ;= bogus\ndate A 203.0.113.65 ;= bogus\n\
             tag A 203.0.113.66 ;= bogus\nsigner A 203.0.113.67 ;= bogus\nunsigned A 203.0.113.68 ;= bogus\n\
             replaced A 203.0.113.69 ;= bogus\nstale A 203.0.113.70 ;= bogus\nstale AAAA 2001:db8:ff::70\n\
             _25._tcp.bad TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971 ;= bogus\n\
             alias CNAME www ;= bogus\n*.badwild A 203.0.113.71 ;= bogus\nremoved MX 10 mx ;= bogus\n\
             removed A 203.0.113.72",
        )
        .spoil(Spoil::Signature("bad", "A", Field::Signature))
        .spoil(Spoil::Signature("algorithm", "A", Field::Algorithm))
        .spoil(Spoil::Signature("labels", "A", Field::Labels))
        .spoil(Spoil::Signature("ttl", "A", Field::OriginalTtl))
        .spoil(Spoil::Signature("date", "A", Field::Expiration))
        .spoil(Spoil::Signature("tag", "A", Field::KeyTag))
        .spoil(Spoil::Signature("signer", "A", Field::Signer))
        .spoil(Spoil::RemoveSignature("unsigned", "A"))
        .spoil(Spoil::Replace("replaced", "A", "203.0.113.99"))
        .spoil(Spoil::Stale("stale", "A"))
        .spoil(Spoil::Signature("_25._tcp.bad", "TLSA", Field::Signature))
        .spoil(Spoil::Signature("alias", "CNAME", Field::Signature))
        .spoil(Spoil::Signature("*.badwild", "A", Field::Signature))
        .spoil(Spoil::Remove("removed", "MX"))
        .spoil(Spoil::Add("www TXT \"unsigned\""))
        .judge("www", "TXT", Bogus)
}

/// A denial has the zone's SOA beside its proof, which must be good as well.
fn with_bad_soa(mut zone: Zone) -> Zone {
    zone = zone.spoil(Spoil::Signature("@", "SOA", Field::Signature)).judge("@", "SOA", Bogus).denials(Bogus);
    zone.expect.wildcard = Secure;
    zone
}

fn replayed(name: &str, nsec3: u8) -> Zone {
    let zone = Zone::new(name, "replaying").signed(Signer::Ldns, Keys::Csk(13));
    let zone = if nsec3 > 0 { zone.nsec3(0, "-") } else { zone };
    zone.held_by(&["gamma"])
        .text("*.w A 203.0.113.55\ntaken.w A 203.0.113.56\nexist A 203.0.113.57\nwww A 203.0.113.58")
        .judge("taken.w", "*", Bogus)
        .judge("exist", "*", Bogus)
}

fn bare(name: &str, nsec3: u8) -> Zone {
    let zone = Zone::new(name, "bare").signed(Signer::Ldns, Keys::Csk(13));
    let zone = if nsec3 > 0 { zone.nsec3(0, "-") } else { zone };
    zone.held_by(&["gamma"]).text(MAIL).denials(Bogus)
}
