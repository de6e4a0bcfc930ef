//! A world with something of everything, for tests that draw their questions.

use super::{Flaw, KeyLayout, SignedWorld, SignedWorldBuilder, Vouching, Window, ZonePlan};
use mailstead_dns::Rtype;

/// What zones of mail have: exchanges, TLSA records, aliases, wildcards, names that only others make exist.
const RECORDS: &str = r#"
@ MX 10 mx
@ MX 20 mx.hashed.test.
@ TXT "v=spf1 mx -all"
mx A 192.0.2.25
mx AAAA 2001:db8::25
_25._tcp.mx TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
_dmarc TXT "v=DMARC1; p=reject"
_imaps._tcp SRV 0 1 993 mx
host A 192.0.2.1
host A 192.0.2.2
www CNAME host
away CNAME mx.hashed.test.
twice CNAME away
nowhere CNAME absent
outside CNAME host.plain.test.
loop CNAME pool
pool CNAME loop
a.b.c TXT "two names above it are empty"
"#;

/// What they also have where nothing is left out of the chain of NSEC3 records.
const WILDCARDS: &str = r#"
*.wild MX 5 mx
*.wild TXT "whatever is asked for"
host.wild A 192.0.2.3
*.many CNAME mx
*.deep.wild A 192.0.2.4
x.*.star A 192.0.2.5
old DNAME new
host.new A 192.0.2.6
*.else.new A 192.0.2.7
far DNAME salted.test.
long DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test.
"#;

impl SignedWorld {
    /// The beginning of a world below `test` that has something of everything: each algorithm, both ways of denial with
    /// and without opt-out, unsigned zones, islands, and zones with each of the usual mistakes. To be added to.
    #[must_use]
    pub fn example() -> SignedWorldBuilder {
        let plain = |apex: &str| ZonePlan::signed(apex).records(RECORDS);
        let full = |apex: &str| plain(apex).records(WILDCARDS);
        SignedWorld::builder()
            .zone(ZonePlan::signed("."))
            .zone(full("test"))
            .zone(full("hashed.test").nsec3(0, b""))
            .zone(full("salted.test").algorithms(&[15]).layout(KeyLayout::Combined).nsec3(5, &[0xaa, 0xbb]))
            .zone(plain("optout.test").algorithms(&[14]).digest_types(&[4]).nsec3_opt_out(1, b""))
            .zone(ZonePlan::unsigned("plain.optout.test").records(RECORDS))
            .zone(ZonePlan::unsigned("deep.ent.optout.test").records(RECORDS))
            .zone(plain("signed.optout.test").nsec3(0, b""))
            .zone(plain("two.test").algorithms(&[13, 15]).digest_types(&[2, 4]))
            .zone(ZonePlan::signed("bare.test").algorithms(&[15]))
            .zone(ZonePlan::unsigned("plain.test").records(RECORDS).records(WILDCARDS))
            .zone(plain("below.plain.test"))
            .zone(plain("island.test").vouching(Vouching::Absent))
            .zone(plain("unknown.test").algorithms(&[200]))
            .zone(plain("digest.test").digest_types(&[200]))
            .zone(plain("expired.test").window(Window::PAST))
            .zone(plain("early.test").window(Window::FUTURE))
            .zone(plain("wrongds.test").vouching(Vouching::WrongDigest))
            .zone(plain("otherds.test").vouching(Vouching::UnknownKey))
            .zone(ZonePlan::unsigned("nokeys.test").records(RECORDS).vouching(Vouching::Correct))
            .zone(plain("revoked.test").revoked_keys())
            .zone(
                plain("flawed.test")
                    .nsec3(0, b"")
                    .flaw("@", Rtype::MX, Flaw::Corrupt)
                    .flaw("mx", Rtype::A, Flaw::Missing)
                    .flaw("mx", Rtype::AAAA, Flaw::Expired)
                    .flaw("host", Rtype::A, Flaw::WrongSigner)
                    .flaw("www", Rtype::CNAME, Flaw::UnknownKey)
                    .flaw("_tcp.mx", Rtype::NSEC3, Flaw::Corrupt),
            )
    }
}
