//! The root, the top-level domains, the trees of addresses, and chains of delegations.

use super::super::zone::{Ds, Keys, Signer, Verdict, Zone};
use super::MAIL;

pub(super) fn zones() -> Vec<Zone> {
    let ldns = |name, server, keys| Zone::new(name, server).signed(Signer::Ldns, keys);
    let bind = |name, server, keys| Zone::new(name, server).signed(Signer::Bind, keys);
    vec![
        // As the real one: RSASHA256 with two keys, and servers with names below it.
        bind(".", "root", Keys::Split(8)).hosts(&["a.servers.", "b.servers."]).text(
            "a.servers A 198.51.100.1\na.servers AAAA 2001:db8:53::1\nb.servers A 198.51.100.2\n\
             b.servers AAAA 2001:db8:53::2",
        ),
        ldns("example.", "registry", Keys::Csk(13)),
        bind("test.", "registrar", Keys::Split(15)).nsec3(0, "-"),
        bind("optout.", "registrar", Keys::Csk(8)).opt_out().text("@ TXT \"a registry that opts out\"").judge(
            // With all delegations below it left out, so is this (RFC 5155 §7.1).
            "empty",
            "A",
            Verdict::Insecure,
        ),
        Zone::new("plain.", "registrar"),
        bind("arpa.", "registrar", Keys::Csk(13)),
        // Delegated across empty names, with no zone `in-addr.arpa.` between.
        ldns("113.0.203.in-addr.arpa.", "alpha", Keys::Csk(13)).text(
            "1 PTR mx.nsec.example.\n2 PTR mx.nsec3.example.\n2 PTR www.nsec3.example.\n3 CNAME 3.half\n\
             3.half PTR mx.unsigned.example.\n4 PTR nowhere.example.",
        ),
        Zone::new("100.51.198.in-addr.arpa.", "beta").text("1 PTR a.servers.\n53 PTR resolver.plain."),
        bind("8.b.d.0.1.0.0.2.ip6.arpa.", "beta", Keys::Csk(15)).nsec3(2, "0badc0de").text(
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.5.0.0 PTR a.servers.\n\
             2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.f.f.0.0 PTR www.p256.example.",
        ),
        // Unsigned, and what is below it: signed, with and without a word of the parent that does not count.
        Zone::new("unsigned.example.", "gamma").text(MAIL),
        ldns("kept.unsigned.example.", "gamma", Keys::Csk(13)).text(MAIL).all(Verdict::Insecure),
        ldns("lost.unsigned.example.", "alpha", Keys::Csk(13)).ds(Ds::Absent).text(MAIL).all(Verdict::Insecure),
        Zone::new("unsigned.test.", "delta").text(MAIL),
        ldns("signed.test.", "gamma", Keys::Csk(13)).text(MAIL),
        // An island: signed, and the parent does not know.
        ldns("island.example.", "alpha", Keys::Csk(13)).ds(Ds::Absent).text(MAIL).all(Verdict::Insecure),
        bind("shore.island.example.", "beta", Keys::Csk(13)).text(MAIL).all(Verdict::Insecure),
        // Four cuts, on servers in turn, some of which have an ancestor as well.
        ldns("deep.example.", "alpha", Keys::Csk(13)).text(MAIL),
        bind("l1.deep.example.", "beta", Keys::Csk(15)).nsec3(0, "-").text("www A 203.0.113.11"),
        ldns("l2.l1.deep.example.", "gamma", Keys::Split(14)).text("www A 203.0.113.12"),
        bind("l3.l2.l1.deep.example.", "alpha", Keys::Split(13)).text(MAIL),
        Zone::new("l4.l3.l2.l1.deep.example.", "gamma").text("www A 203.0.113.13"),
        // A cut below empty names of its parent.
        ldns("cut.below.nothing.example.", "gamma", Keys::Csk(13)).text(MAIL),
        // Parent, child and grandchild on one server, which answers from the deepest it has.
        ldns("same.example.", "delta", Keys::Csk(13)).text(MAIL),
        ldns("signed.same.example.", "delta", Keys::Csk(15)).nsec3(0, "-").text(MAIL),
        ldns("again.signed.same.example.", "delta", Keys::Csk(13)).text("www A 203.0.113.14"),
        Zone::new("unsigned.same.example.", "delta").text(MAIL),
        // Servers with names of another tree, whose servers have names of a third.
        ldns("glueless.example.", "gamma", Keys::Csk(13)).hosts(&["ns1.hosting.test."]).text(MAIL),
        bind("hosting.test.", "gamma", Keys::Csk(13))
            .hosts(&["ns.names.plain."])
            .text("ns1 A 198.51.100.13\nns1 AAAA 2001:db8:53::13\nns2 CNAME ns1"),
        Zone::new("names.plain.", "gamma").text("ns A 198.51.100.13"),
        Zone::new("glueless.plain.", "gamma").hosts(&["ns1.hosting.test.", "ns1.nowhere.test."]).text(MAIL),
        // The addresses of its servers are bogus, which matters only to who believes the servers.
        ldns("hosted.example.", "gamma", Keys::Csk(13)).hosts(&["ns.expired.example."]).text("www A 203.0.113.15"),
        // Names as people write them (RFC 4343).
        bind("MixedCase.Example.", "alpha", Keys::Csk(13)).text(
            "@ MX 10 MX\nMX A 203.0.113.16\nWWW A 203.0.113.17\nwww AAAA 2001:DB8:FF::17\n*.Wild TXT \"Mixed\"\n\
             Alias CNAME wWw.mIxEdCaSe.eXaMpLe.",
        ),
        // Names of other scripts (RFC 5890 §2.3.2.1).
        ldns("xn--bcher-kva.example.", "alpha", Keys::Csk(13))
            .nsec3(0, "-")
            .text(MAIL)
            .text("xn--mller-kva A 203.0.113.18\nxn--mller-kva MX 10 xn--mller-kva\nxn--zckzah CNAME xn--mller-kva"),
        bind("xn--p1ai.", "registrar", Keys::Csk(13)),
        ldns("xn--e1afmkfd.xn--p1ai.", "beta", Keys::Csk(13)).text(MAIL),
    ]
}
