//! Zones that differ in how they deny: NSEC, NSEC3 with its parameters, NSEC3 that opts out, and answers signed on line.

use super::super::zone::{Ds, Keys, Signer, Verdict, Zone};
use super::MAIL;

/// A zone with every kind of name: aliases, wildcards at several depths, empty names, names with an underscore.
const RICH: &str = r#"
@ A 203.0.113.21
@ AAAA 2001:db8:ff::21
@ MX 10 mx
@ MX 20 mx2
@ TXT "v=spf1 mx -all"
@ TXT "a second text"
@ CAA 0 issue "ca.example"
@ CAA 128 issuewild ";"
www A 203.0.113.22
www AAAA 2001:db8:ff::22
mx A 203.0.113.23
mx AAAA 2001:db8:ff::23
mx2 A 203.0.113.24
_25._tcp.mx TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971
_25._tcp.mx TLSA 2 0 1 0b9fa5a59eed715c26c1020c711b4f6ec42d58b0015e14337a39dad301c5afc3
_25._tcp.mx2 CNAME _tlsa
_tlsa TLSA 2 1 1 8f43288ad272f3103b6fb1428485ea3014c0bcfe532ad06f1b9b8b3b1a8f0c5e
_mta-sts TXT "v=STSv1; id=20240101T000000"
mta-sts A 203.0.113.25
_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@example.com"
_dmarc TXT "v=DMARC1; p=reject"
one._domainkey TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
two._domainkey CNAME one._domainkey
_imaps._tcp SRV 0 1 993 www
_submissions._tcp SRV 10 0 465 www
_submissions._tcp SRV 20 5 465 mx
_imap._tcp SRV 0 0 0 .
mail CNAME www
missing CNAME nowhere
*.wild A 203.0.113.26
*.wild MX 10 mx
here.wild TXT "a name that the wildcard does not cover"
below.here.also.wild TXT "nor its empty parents"
*.cwild CNAME www
*.cgone CNAME nowhere
*.cout CNAME www.unsigned.example.
*._tcp.star TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971
*.leaf.empty A 203.0.113.27
a.b.ent A 203.0.113.28
c.b.ent TXT "c"
xn--bcher-kva A 203.0.113.29
zz.zz A 203.0.113.30
"#;

pub(super) fn zones() -> Vec<Zone> {
    let ldns = |name, server, keys| Zone::new(name, server).signed(Signer::Ldns, keys);
    let bind = |name, server, keys| Zone::new(name, server).signed(Signer::Bind, keys);
    let small = "www A 203.0.113.31\n*.wild A 203.0.113.32";
    vec![
        ldns("nsec.example.", "alpha", Keys::Csk(13)).text(RICH),
        bind("nsec.test.", "beta", Keys::Split(13)).text(RICH),
        bind("nsec3.example.", "beta", Keys::Csk(13)).nsec3(0, "-").text(RICH),
        ldns("nsec3.test.", "alpha", Keys::Csk(15)).nsec3(10, "5a17").text(RICH),
        ldns("child.nsec.example.", "beta", Keys::Csk(13)).text(small),
        Zone::new("plain.nsec.example.", "beta").text(small),
        ldns("child.nsec3.example.", "alpha", Keys::Csk(13)).nsec3(0, "-").text(small),
        Zone::new("plain.nsec3.example.", "alpha").text(small),
        // A wildcard at the apex, so that every name exists.
        ldns("star.example.", "alpha", Keys::Csk(13)).text("* A 203.0.113.33\n* MX 10 mx\nmx A 203.0.113.34"),
        ldns("star3.example.", "beta", Keys::Csk(13)).nsec3(0, "-").text("* A 203.0.113.33\n* TXT \"*\"\nmx MX 0 ."),
        // RFC 9276 §3.2: up to 150 iterations are followed here, and by unbound.
        ldns("iterations150.example.", "alpha", Keys::Csk(13)).nsec3(150, "-").text(MAIL),
        ldns("iterations500.example.", "alpha", Keys::Csk(13)).nsec3(500, "0102").text(MAIL).denials(Verdict::Insecure),
        ldns("signed.iterations500.example.", "beta", Keys::Csk(13)).text(small),
        Zone::new("plain.iterations500.example.", "beta").text(small),
        // Registries that opt out, and a zone that does.
        ldns("signed.optout.", "alpha", Keys::Csk(13)).text(MAIL),
        ldns("island.optout.", "alpha", Keys::Csk(13)).ds(Ds::Absent).text(MAIL).all(Verdict::Insecure),
        Zone::new("unsigned.optout.", "beta").text(MAIL),
        Zone::new("below.empty.optout.", "beta").text(small),
        bind("optout.example.", "beta", Keys::Csk(13)).opt_out().text(RICH),
        ldns("signed.optout.example.", "alpha", Keys::Csk(13)).text(small),
        Zone::new("unsigned.optout.example.", "alpha").text(small),
        Zone::new("un.signed.optout.example.", "beta").text(small),
        // ldns sets the flag, but leaves no name out.
        ldns("optout.test.", "alpha", Keys::Csk(13)).opt_out().text(MAIL).judge("unsigned", "DS", Verdict::Secure),
        Zone::new("unsigned.optout.test.", "beta").text(small),
        // Knot denies just the name in question, and never says that a name does not exist.
        Zone::new("online.example.", "online").signed(Signer::Online, Keys::Csk(13)).text(RICH),
        ldns("child.online.example.", "alpha", Keys::Csk(13)).text(small),
        Zone::new("plain.online.example.", "alpha").text(small),
    ]
}
