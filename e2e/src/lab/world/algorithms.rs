//! Zones that differ in their keys and in what the parent says about them.

use super::super::zone::{Ds, Keys, Signer, Verdict, Zone};
use super::MAIL;

pub(super) fn zones() -> Vec<Zone> {
    let ldns = |name, server, keys| Zone::new(name, server).signed(Signer::Ldns, keys).text(MAIL);
    let bind = |name, server, keys| Zone::new(name, server).signed(Signer::Bind, keys).text(MAIL);
    vec![
        // RFC 8624 §3.1: those that a validator must or should have.
        ldns("rsa256.example.", "alpha", Keys::Split(8)),
        bind("rsa512.example.", "beta", Keys::Csk(10)),
        ldns("p256.example.", "alpha", Keys::Csk(13)),
        bind("p256split.example.", "beta", Keys::Split(13)),
        bind("p384.example.", "beta", Keys::Csk(14)),
        ldns("p384split.example.", "alpha", Keys::Split(14)).nsec3(0, "-"),
        ldns("ed25519.example.", "alpha", Keys::Csk(15)),
        bind("ed25519split.example.", "beta", Keys::Split(15)).nsec3(0, "-"),
        ldns("ed448.example.", "alpha", Keys::Csk(16)),
        // Those that are on their way out.
        ldns("alg5.example.", "alpha", Keys::Csk(5)),
        bind("alg7.example.", "beta", Keys::Csk(7)).nsec3(0, "-"),
        // Keys in the course of a rollover.
        bind("twoalgs.example.", "beta", Keys::Two(8, 13)),
        bind("twonew.example.", "beta", Keys::Two(13, 15)).nsec3(0, "-"),
        ldns("standby.example.", "alpha", Keys::Standby(13)),
        bind("standby.test.", "beta", Keys::Standby(14)).nsec3(0, "-"),
        // The parent's word.
        ldns("ds384.example.", "alpha", Keys::Csk(13)).ds(Ds::Sha384),
        ldns("ds1.example.", "alpha", Keys::Csk(13)).ds(Ds::Sha1),
        bind("ds1and2.example.", "beta", Keys::Split(13)).ds(Ds::Sha1And256),
        ldns("twods.example.", "alpha", Keys::Csk(13)).ds(Ds::AlsoOfAnotherKey),
        ldns("mixedds.example.", "alpha", Keys::Csk(13)).ds(Ds::AlsoUnknownAlgorithm),
        ldns("alg253.example.", "alpha", Keys::Csk(13)).ds(Ds::UnknownAlgorithm).all(Verdict::Insecure),
        ldns("digest200.example.", "alpha", Keys::Csk(13)).ds(Ds::UnknownDigest).all(Verdict::Insecure),
        // Below a zone that does not count, nothing does.
        ldns("below.alg253.example.", "alpha", Keys::Csk(13)).all(Verdict::Insecure),
    ]
}
