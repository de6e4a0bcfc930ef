//! Aliases, by CNAME and DNAME (RFC 6672), from signed and unsigned zones into names of every verdict.

use std::fmt::Write as _;

use super::super::zone::{Keys, Signer, Zone};

/// What an alias may lead to: a label for it and the target.
const TARGETS: &[(&str, &str)] = &[
    ("secure", "www.nsec.example."),
    ("nsec3", "www.nsec3.example."),
    ("wild", "any.wild.nsec3.example."),
    ("wildalias", "any.cwild.nsec.example."),
    ("wildaliasout", "any.cout.nsec3.example."),
    ("nodata", "_dmarc.nsec3.example."),
    ("nxdomain", "nowhere.nsec.example."),
    ("nxdomain3", "nowhere.nsec3.example."),
    ("nxtld", "nowhere.nowhere."),
    ("optout", "nowhere.optout.example."),
    ("insecure", "www.unsigned.example."),
    ("insecurenodata", "_mta-sts.unsigned.example."),
    ("insecurenxdomain", "nowhere.unsigned.example."),
    ("island", "www.island.example."),
    ("plain", "www.glueless.plain."),
    ("expired", "www.expired.example."),
    ("badsig", "bad.badsig.example."),
    ("badnodata", "_dmarc.badnsec.example."),
    ("badnxdomain", "nowhere.badnsec.example."),
    ("wrongkey", "www.wrongkey.example."),
    ("lame", "www.refused.example."),
    ("apex", "p384.example."),
    ("online", "nowhere.online.example."),
    // Two zones further, by way of the other kind of zone.
    ("viainsecure", "secure.alias.plain."),
    ("viasecure", "insecure.alias.test."),
    ("viaexpired", "expired.alias.plain."),
];

pub(super) fn zones() -> Vec<Zone> {
    let mut text = String::new();
    for (label, target) in TARGETS {
        // The aliases of a mail domain: its DANE records and its policy are often elsewhere.
        let _ = writeln!(text, "{label} CNAME {target}");
    }
    let mail = "\
mx A 203.0.113.41
_25._tcp.mx CNAME _25._tcp.mx.nsec.example.
_25._tcp.direct CNAME _25._tcp.mx2.nsec3.example.
_25._tcp.unsigned CNAME _25._tcp.mx.unsigned.example.
_25._tcp.gone CNAME _25._tcp.gone.nsec3.example.
_25._tcp.bogus CNAME _25._tcp.mx.expired.example.
_25._tcp.star CNAME _25._tcp.star.nsec.example.
_mta-sts CNAME _mta-sts.nsec3.example.
_mta-sts.unsigned CNAME _mta-sts.unsigned.example.
_mta-sts.gone CNAME _mta-sts.nowhere.example.
_mta-sts.bogus CNAME _mta-sts.expired.example.
_mta-sts.dname CNAME _mta-sts.tree
a.tree A 203.0.113.42
_mta-sts.tree TXT \"v=STSv1; id=1\"
loop1 CNAME loop2
loop2 CNAME loop3
loop3 CNAME loop1
self CNAME self
chain1 CNAME chain2
chain2 CNAME chain3
chain3 CNAME chain4
chain4 CNAME chain5
chain5 CNAME chain6
chain6 CNAME chain7
chain7 CNAME chain8
chain8 CNAME www.nsec.example.
";
    let subtrees = "\
d1 DNAME nsec.example.
d3 DNAME nsec3.example.
dtree DNAME tree
dunsigned DNAME unsigned.example.
dexpired DNAME expired.example.
dgone DNAME gone.nsec.example.
dtld DNAME nowhere.
dwild DNAME wild.nsec.example.
dtwice DNAME d3
donline DNAME online.example.
byname CNAME www.d1
bytwo CNAME www.dtwice
under.d9 A 203.0.113.43
";
    let zone = |name, server| Zone::new(name, server).text(&text).text(mail).text(subtrees);
    vec![
        zone("alias.example.", "alpha").signed(Signer::Ldns, Keys::Csk(13)),
        zone("alias.test.", "beta").signed(Signer::Bind, Keys::Csk(15)).nsec3(0, "-"),
        zone("alias.plain.", "beta"),
        Zone::new("ring.example.", "gamma")
            .signed(Signer::Ldns, Keys::Csk(13))
            .text("a CNAME b.ring.test.\nlong CNAME long1.ring.test."),
        // A loop across zones, and a chain that is in no one zone.
        Zone::new("ring.test.", "delta").text(
            "b CNAME a.ring.example.\nlong1 CNAME long2.ring.plain.\nlong3 CNAME long4.ring.plain.\n\
             long5 CNAME chain4.alias.example.",
        ),
        Zone::new("ring.plain.", "gamma").text("long2 CNAME long3.ring.test.\nlong4 CNAME long5.ring.test."),
    ]
}
