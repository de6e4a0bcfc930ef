//! The scenarios: which domain publishes what, and which server is behind it.

use super::scenario::{By, Of, Scenario, Shown, Verdict};

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    dane_ee()
}

/// TLSA records for the server's own key (RFC 7672 §3.1.1).
fn dane_ee() -> Vec<Scenario> {
    vec![
        Scenario::new("ee-good.test", "a record for the server's key", Verdict::Verified)
            .host(|mx| mx.tlsa(3, 1, 1, Of::Leaf)),
        Scenario::new(
            "ee-mismatch.test",
            "a record for another key",
            Verdict::Refused("no matching DANE TLSA records"),
        )
        .host(|mx| mx.tlsa(3, 1, 1, Of::Another)),
        Scenario::new("ee-rollover.test", "records for the next key and for this", Verdict::Verified)
            .host(|mx| mx.tlsa(3, 1, 1, Of::Another).tlsa(3, 1, 1, Of::Leaf)),
        Scenario::new("ee-careless.test", "the key is right; name and dates do not count", Verdict::Verified)
            .host(|mx| mx.shows(Shown::by(By::Itself).misnamed().expired()).tlsa(3, 1, 1, Of::Leaf)),
    ]
}
