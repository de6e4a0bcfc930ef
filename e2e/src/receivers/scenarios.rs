//! The scenarios: which domain publishes what, and which server is behind it.

use super::authority::Sent;
use super::receiver::Offer;
use super::scenario::{By, Host, Mode, Of, Reach, Scenario, Served, Shown, Site, Verdict};
use crate::lab::{Field, Spoil};

/// What Postfix says of certificates that no TLSA record matches.
const MISMATCH: Verdict = Verdict::Deferred("no matching DANE TLSA records");

/// What it says where TLS fails. Where nobody demands it, Postfix goes on in clear at a later attempt.
const HANDSHAKE: Verdict = Verdict::Deferred("Cannot start TLS: handshake failure");

/// The same where it fails after the handshake.
const LATE: Verdict = Verdict::Deferred("lost connection with");

/// What it says where TLS is demanded and not offered.
const STRIPPED: Verdict = Verdict::Deferred("TLS is required, but was not offered");

/// What it says where DNS does not tell whether there are TLSA records.
const TLSA: Verdict = Verdict::Deferred("TLSA lookup error");

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    [
        dane_ee(),
        dane_ta(),
        unusable(),
        undecided(),
        insecure(),
        aliases(),
        without_policy(),
        dane_without_tls(),
        sts(),
        sts_fetch(),
        sts_in_time(),
        both(),
        requiretls(),
        routes(),
    ]
    .concat()
}

/// TLSA records for the server's own key (RFC 7672 §3.1.1).
fn dane_ee() -> Vec<Scenario> {
    vec![
        Scenario::new("ee-good.test", "a record for the server's key", Verdict::Verified)
            .host(|mx| mx.tlsa(3, 1, 1, Of::Leaf)),
        Scenario::new("ee-mismatch.test", "a record for another key", MISMATCH)
            .host(|mx| mx.tlsa(3, 1, 1, Of::Another)),
        Scenario::new("ee-public.test", "a trusted certificate, and a record for another key", MISMATCH)
            .host(|mx| mx.public().tlsa(3, 1, 1, Of::Another)),
        Scenario::new("ee-rollover.test", "records for the next key and for this", Verdict::Verified)
            .host(|mx| mx.tlsa(3, 1, 1, Of::Another).tlsa(3, 1, 1, Of::Leaf)),
        Scenario::new("ee-careless.test", "the key is right; name and dates do not count", Verdict::Verified)
            .host(|mx| mx.shows(Shown::by(By::Itself).misnamed().expired()).tlsa(3, 1, 1, Of::Leaf)),
        Scenario::new("ee-certificate.test", "a record with the whole certificate", Verdict::Verified)
            .host(|mx| mx.tlsa(3, 0, 0, Of::Leaf)),
        Scenario::new("ee-sha512.test", "a record with SHA-512 of the key", Verdict::Verified)
            .host(|mx| mx.tlsa(3, 1, 2, Of::Leaf)),
    ]
}

/// TLSA records for an authority (RFC 7672 §3.1.2).
fn dane_ta() -> Vec<Scenario> {
    let private = Shown::by(By::Private);
    vec![
        Scenario::new("ta-good.test", "a record for the anchor, which is sent", Verdict::Verified)
            .host(|mx| mx.tlsa(2, 0, 1, Of::Anchor)),
        Scenario::new("ta-intermediate.test", "a record for the authority next to the server", Verdict::Verified)
            .host(|mx| mx.shows(private.sent(Sent::Intermediate)).tlsa(2, 1, 1, Of::Intermediate)),
        Scenario::new("ta-wrong-name.test", "the certificate has another name", Verdict::Deferred("hostname mismatch"))
            .host(|mx| mx.shows(private.misnamed()).tlsa(2, 0, 1, Of::Anchor)),
        Scenario::new("ta-expired.test", "the certificate has expired", Verdict::Deferred("certificate has expired"))
            .host(|mx| mx.shows(private.expired()).tlsa(2, 0, 1, Of::Anchor)),
        Scenario::new("ta-unsent.test", "the anchor is not sent", MISMATCH)
            .host(|mx| mx.shows(private.sent(Sent::Intermediate)).tlsa(2, 0, 1, Of::Anchor)),
        Scenario::new("ta-whole.test", "the anchor is not sent, but the record has all of it", Verdict::Verified)
            .host(|mx| mx.shows(private.sent(Sent::Intermediate)).tlsa(2, 0, 0, Of::Anchor)),
        Scenario::new("ta-foreign.test", "a trusted authority, but not that of the record", MISMATCH)
            .host(|mx| mx.public().tlsa(2, 0, 1, Of::Anchor)),
    ]
}

/// Records none of which is usable: TLS is demanded, and no certificate (RFC 7672 §2.2).
fn unusable() -> Vec<Scenario> {
    vec![
        Scenario::new("pkix-usages.test", "usages 0 and 1, which mean nothing here", Verdict::Untrusted)
            .host(|mx| mx.tlsa(1, 1, 1, Of::Leaf).tlsa(0, 0, 1, Of::Anchor)),
        Scenario::new("short-digest.test", "a digest of a wrong length", Verdict::Untrusted)
            .host(|mx| mx.tlsa(3, 1, 1, Of::Shortened)),
        Scenario::new("pkix-and-mismatch.test", "a useless record beside one for another key", MISMATCH)
            .host(|mx| mx.tlsa(1, 1, 1, Of::Leaf).tlsa(3, 1, 1, Of::Another)),
        Scenario::new("unusable-stripped.test", "a useless record, and no TLS", STRIPPED)
            .host(|mx| mx.offers(Offer::Nothing).tlsa(1, 1, 1, Of::Leaf)),
    ]
}

/// What DNS says cannot be known: the server must not be used (RFC 7672 §2.1.2, §2.1.3).
fn undecided() -> Vec<Scenario> {
    let broken = Field::Signature;
    vec![
        Scenario::new("tlsa-bogus.test", "a spoiled signature over the TLSA records", TLSA)
            .host(|mx| mx.tlsa(3, 1, 1, Of::Leaf))
            .spoil(Spoil::Signature("_25._tcp.mx", "TLSA", broken)),
        Scenario::new("tlsa-removed.test", "somebody removed the TLSA records", TLSA)
            .host(|mx| mx.tlsa(3, 1, 1, Of::Leaf))
            .spoil(Spoil::Remove("_25._tcp.mx", "TLSA")),
        Scenario::new("tlsa-servfail.test", "the server of the TLSA records refuses", TLSA)
            .zone("_tcp.mx.tlsa-servfail.test", Served::Lame),
        Scenario::new(
            "mx-bogus.test",
            "a spoiled signature over the MX records",
            Verdict::Deferred("type=MX: Host not found, try again"),
        )
        .spoil(Spoil::Signature("@", "MX", broken)),
        Scenario::new(
            "address-bogus.test",
            "a spoiled signature over the address",
            Verdict::Deferred("type=A: Host not found, try again"),
        )
        .host(|mx| mx.tlsa(3, 1, 1, Of::Leaf))
        .spoil(Spoil::Signature("mx", "A", broken)),
    ]
}

/// Unsigned zones (RFC 7672 §2.2.1, §2.2.2).
fn insecure() -> Vec<Scenario> {
    vec![
        Scenario::new("insecure-mx.test", "an unsigned MX record names a server with TLSA records", Verdict::Trusted)
            .unsigned()
            .zone("insecure-mx-host.test", Served::Signed)
            .hosts([Host::new("mx.insecure-mx-host.test").tlsa(3, 1, 1, Of::Leaf)]),
        Scenario::new("insecure-mx-mismatch.test", "the same, with a record for another key", MISMATCH)
            .unsigned()
            .zone("insecure-mx-mismatch-host.test", Served::Signed)
            .hosts([Host::new("mx.insecure-mx-mismatch-host.test").tlsa(3, 1, 1, Of::Another)]),
        Scenario::new(
            "insecure-host.test",
            "the server's name is unsigned, its TLSA records mean nothing",
            Verdict::Untrusted,
        )
        .zone("insecure-host-host.test", Served::Unsigned)
        .hosts([Host::new("mx.insecure-host-host.test").tlsa(3, 1, 1, Of::Another)]),
        Scenario::new("insecure.test", "nothing is signed, TLSA records mean nothing", Verdict::Untrusted)
            .unsigned()
            .host(|mx| mx.tlsa(3, 1, 1, Of::Another)),
    ]
}

/// MX records that name an alias (RFC 7672 §2.2.2, §2.2.3).
fn aliases() -> Vec<Scenario> {
    vec![
        Scenario::new("alias-target.test", "a secure alias; TLSA records at its target", Verdict::Verified)
            .zone("alias-target-host.test", Served::Signed)
            .hosts([Host::new("mx.alias-target-host.test").alias("alias.alias-target.test").tlsa(3, 1, 1, Of::Leaf)]),
        Scenario::new("alias-name.test", "a secure alias; TLSA records only at the alias", Verdict::Verified)
            .zone("alias-name-host.test", Served::Signed)
            .hosts([Host::new("mx.alias-name-host.test")
                .alias("alias.alias-name.test")
                .tlsa_at("alias.alias-name.test", Of::Leaf)]),
        Scenario::new("alias-both.test", "TLSA records at both names; those of the target count", MISMATCH)
            .zone("alias-both-host.test", Served::Signed)
            .hosts([Host::new("mx.alias-both-host.test")
                .alias("alias.alias-both.test")
                .tlsa(3, 1, 1, Of::Another)
                .tlsa_at("alias.alias-both.test", Of::Leaf)]),
        Scenario::new("alias-insecure.test", "a secure alias of an unsigned name", Verdict::Untrusted)
            .zone("alias-insecure-host.test", Served::Unsigned)
            .hosts([Host::new("mx.alias-insecure-host.test")
                .alias("alias.alias-insecure.test")
                .tlsa_at("mx.alias-insecure-host.test", Of::Another)]),
        Scenario::new("alias-insecure-name.test", "the same, with TLSA records at the alias", Verdict::Verified)
            .zone("alias-insecure-name-host.test", Served::Unsigned)
            .hosts([Host::new("mx.alias-insecure-name-host.test")
                .alias("alias.alias-insecure-name.test")
                .tlsa_at("alias.alias-insecure-name.test", Of::Leaf)]),
    ]
}

/// Servers of every kind, of domains that demand nothing.
fn without_policy() -> Vec<Scenario> {
    let plaintext = Verdict::Plaintext;
    vec![
        Scenario::new("nothing.test", "a certificate of nobody", Verdict::Untrusted),
        Scenario::new("trusted.test", "a certificate that is trusted", Verdict::Trusted).host(Host::public),
        Scenario::new("plain.test", "no STARTTLS", plaintext).host(|mx| mx.offers(Offer::Nothing)),
        Scenario::new("tls10.test", "TLS 1.0 and nothing newer", Verdict::Untrusted)
            .probe(HANDSHAKE)
            .host(|mx| mx.offers(Offer::Tls10)),
        Scenario::new("refusing.test", "the handshake fails without a certificate of the client", HANDSHAKE)
            .host(|mx| mx.offers(Offer::RefusesTls12)),
        Scenario::new("refusing-late.test", "the same, after the client's part of the handshake", LATE)
            .host(|mx| mx.offers(Offer::RefusesTls13)),
        Scenario::new("client-certificate.test", "nothing without one", Verdict::Deferred("No client certificate"))
            .host(|mx| mx.offers(Offer::ClientCertificate)),
        Scenario::new("unavailable.test", "STARTTLS is refused for the moment", plaintext)
            .host(|mx| mx.offers(Offer::Unavailable)),
        Scenario::new("hang-up.test", "the connection ends with STARTTLS", HANDSHAKE)
            .host(|mx| mx.offers(Offer::HangUp)),
    ]
}

/// TLSA records, and no TLS that is worth its name.
fn dane_without_tls() -> Vec<Scenario> {
    let with = |domain, about, verdict, offer| {
        Scenario::new(domain, about, verdict).host(|mx| mx.offers(offer).tlsa(3, 1, 1, Of::Leaf))
    };
    vec![
        with("dane-stripped.test", "no STARTTLS", STRIPPED, Offer::Nothing),
        with("dane-tls10.test", "TLS 1.0", HANDSHAKE, Offer::Tls10),
        with("dane-refusing.test", "the handshake fails", HANDSHAKE, Offer::RefusesTls12),
        with("dane-refusing-late.test", "it fails late", LATE, Offer::RefusesTls13),
        with("dane-unavailable.test", "STARTTLS is refused", Verdict::Deferred("454"), Offer::Unavailable),
        with("dane-hang-up.test", "the connection ends", HANDSHAKE, Offer::HangUp),
    ]
}

/// MTA-STS policies, and servers that are what they demand, or not (RFC 8461 §4).
fn sts() -> Vec<Scenario> {
    let with = |domain, about, verdict, mode, change: fn(Host) -> Host| {
        Scenario::new(domain, about, verdict).unsigned().host(change).policy(mode)
    };
    let public = Shown::by(By::Public);
    let (trusted, untrusted, plaintext) = (Verdict::Trusted, Verdict::Untrusted, Verdict::Plaintext);
    let stripped: fn(Host) -> Host = |mx| mx.offers(Offer::Nothing);
    let itself: fn(Host) -> Host = |mx| mx.shows(Shown::by(By::Itself));
    let other = |policy: &mut super::Policy| policy.mx = vec!["mx.other.test".to_owned()];
    vec![
        with("sts-good.test", "enforced, and all is well", trusted, Mode::Enforce, Host::public),
        Scenario::new("sts-signed.test", "the same in a signed zone", trusted).host(Host::public).policy(Mode::Enforce),
        with("sts-wildcard.test", "a pattern for all hosts", trusted, Mode::Enforce, Host::public)
            .but(|policy| policy.mx = vec!["*.sts-wildcard.test".to_owned()]),
        with("sts-wrong-mx.test", "the policy names another server", trusted, Mode::Enforce, Host::public).but(other),
        with("sts-self-signed.test", "a certificate of nobody", untrusted, Mode::Enforce, itself),
        Scenario::new("sts-expired.test", "an expired certificate", untrusted)
            .unsigned()
            .host(|mx| mx.shows(public.expired()))
            .policy(Mode::Enforce),
        Scenario::new("sts-misnamed.test", "a certificate with another name", trusted)
            .unsigned()
            .host(|mx| mx.shows(public.misnamed()))
            .policy(Mode::Enforce),
        with("sts-stripped.test", "no STARTTLS", plaintext, Mode::Enforce, stripped),
        with("sts-testing.test", "testing, and all is well", trusted, Mode::Testing, Host::public),
        with("sts-testing-stripped.test", "testing, no STARTTLS", plaintext, Mode::Testing, stripped),
        with("sts-testing-self-signed.test", "testing, a certificate of nobody", untrusted, Mode::Testing, itself),
        with("sts-testing-wrong-mx.test", "testing, another server", trusted, Mode::Testing, Host::public).but(other),
        with("sts-none-stripped.test", "mode none, no STARTTLS", plaintext, Mode::None, stripped),
        Scenario::new("sts-two-mx.test", "the preferred server fails the policy, the second does not", untrusted)
            .unsigned()
            .hosts([Host::new("mx1.sts-two-mx.test"), Host::new("mx2.sts-two-mx.test").public()])
            .policy(Mode::Enforce),
    ]
}

/// Policies that cannot be had, with servers that would fail them (RFC 8461 §3.3).
fn sts_fetch() -> Vec<Scenario> {
    let with = |domain, about, site| {
        let scenario = Scenario::new(domain, about, Verdict::Plaintext).unsigned();
        scenario.host(|mx| mx.offers(Offer::Nothing)).policy(Mode::Enforce).but(|policy| policy.site = site)
    };
    let public = Shown::by(By::Public);
    vec![
        with("sts-down.test", "nothing listens", Site::Closed),
        with("sts-untrusted.test", "a certificate of nobody", Site::Shows(Shown::by(By::Itself))),
        with("sts-host-misnamed.test", "a certificate with another name", Site::Shows(public.misnamed())),
        with("sts-host-expired.test", "an expired certificate", Site::Shows(public.expired())),
        with("sts-missing.test", "no such page", Site::Error(404)),
        with("sts-broken.test", "the web server is broken", Site::Error(500)),
        with("sts-moved.test", "the policy is elsewhere", Site::Moved),
        with("sts-html.test", "the policy is HTML", Site::Html),
        with("sts-malformed.test", "what is there is no policy", Site::Malformed),
        with("sts-no-record.test", "no record says that there is a policy", Site::Good)
            .but(|policy| policy.record = None),
        with("sts-bad-record.test", "the record has no id", Site::Good).but(|policy| policy.record = Some("v=STSv1;")),
    ]
}

/// Policies that a test changes while the world runs: good ones at first.
fn sts_in_time() -> Vec<Scenario> {
    let with = |domain, about| {
        Scenario::new(domain, about, Verdict::Trusted).unsigned().host(Host::public).policy(Mode::Enforce)
    };
    vec![
        with("sts-renewed.test", "there is a new policy, with a new id"),
        with("sts-removed.test", "the record goes, and the policy"),
        with("sts-outage.test", "the policy's host is down for a while"),
    ]
}

/// DANE and MTA-STS together: neither may excuse a failure of the other (RFC 8461 §2).
fn both() -> Vec<Scenario> {
    let with = |domain, about, verdict, change: fn(Host) -> Host| {
        Scenario::new(domain, about, verdict).host(change).policy(Mode::Enforce)
    };
    vec![
        with("both-good.test", "both hold", Verdict::Verified, |mx| mx.public().tlsa(3, 1, 1, Of::Leaf)),
        with("both-dane-fails.test", "DANE fails, MTA-STS holds", MISMATCH, |mx| {
            mx.public().tlsa(3, 1, 1, Of::Another)
        }),
        with("both-sts-fails.test", "DANE holds, MTA-STS fails", Verdict::Verified, |mx| mx.tlsa(3, 1, 1, Of::Leaf)),
        with("both-stripped.test", "no STARTTLS", STRIPPED, |mx| mx.offers(Offer::Nothing).tlsa(3, 1, 1, Of::Leaf)),
    ]
}

/// For messages that require TLS all the way (RFC 8689 §4.2.1).
fn requiretls() -> Vec<Scenario> {
    let offering =
        |domain, about, verdict| Scenario::new(domain, about, verdict).host(|mx| mx.public().offers(Offer::RequireTls));
    vec![
        offering("require-dane.test", "the extension and DANE", Verdict::Verified)
            .host(|mx| mx.shows(Shown::by(By::Private)).tlsa(3, 1, 1, Of::Leaf)),
        offering("require-sts.test", "the extension and MTA-STS", Verdict::Trusted).unsigned().policy(Mode::Enforce),
        offering("require-signed.test", "the extension, a signed MX, a trusted certificate", Verdict::Trusted),
        offering("require-unsigned.test", "the extension, but nobody knows whose the server is", Verdict::Trusted)
            .unsigned(),
        offering("require-untrusted.test", "the extension, but a certificate of nobody", Verdict::Untrusted)
            .host(|mx| mx.shows(Shown::by(By::Itself))),
        offering("require-testing.test", "the extension and a policy that only tests", Verdict::Trusted)
            .unsigned()
            .policy(Mode::Testing),
        Scenario::new("require-unoffered.test", "DANE, but not the extension", Verdict::Verified)
            .host(|mx| mx.tlsa(3, 1, 1, Of::Leaf)),
    ]
}

/// Ways to a server: several of them, or none.
fn routes() -> Vec<Scenario> {
    vec![
        Scenario::new("dual-good.test", "both families", Verdict::Verified)
            .host(|mx| mx.tlsa(3, 1, 1, Of::Leaf).reach(&[Reach::V4, Reach::V6])),
        Scenario::new("dual-v6-dead.test", "nothing listens at the IPv6 address", Verdict::Verified)
            .host(|mx| mx.tlsa(3, 1, 1, Of::Leaf).reach(&[Reach::V4, Reach::DeadV6])),
        Scenario::new("dual-v4-dead.test", "nothing listens at the IPv4 address", Verdict::Verified)
            .host(|mx| mx.tlsa(3, 1, 1, Of::Leaf).reach(&[Reach::DeadV4, Reach::V6])),
        Scenario::new("v6-only.test", "no IPv4 address", Verdict::Verified)
            .host(|mx| mx.tlsa(3, 1, 1, Of::Leaf).reach(&[Reach::V6])),
        Scenario::new("two-mx.test", "the preferred server fails DANE, the second does not", Verdict::Verified)
            .hosts([
                Host::new("mx1.two-mx.test").tlsa(3, 1, 1, Of::Another),
                Host::new("mx2.two-mx.test").tlsa(3, 1, 1, Of::Leaf),
            ])
            .probe(MISMATCH),
        Scenario::new("two-mx-dead.test", "nothing listens at the preferred server", Verdict::Verified).hosts([
            Host::new("mx1.two-mx-dead.test").tlsa(3, 1, 1, Of::Leaf).reach(&[Reach::DeadV4]),
            Host::new("mx2.two-mx-dead.test").tlsa(3, 1, 1, Of::Leaf),
        ]),
        Scenario::new("implicit.test", "no MX record; the domain is the server", Verdict::Verified)
            .hosts([Host::new("implicit.test").tlsa(3, 1, 1, Of::Leaf)]),
        Scenario::new("null-mx.test", "it takes no mail (RFC 7505)", Verdict::Bounced("nullMX"))
            .hosts([])
            .records("@ MX 0 ."),
    ]
}
