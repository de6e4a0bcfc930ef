//! The room as a whole: every combination of facts, demands and outcomes, against what must hold of all of them.

mod combinations;
mod details;
mod invariants;
mod mutants;

use combinations::{facts, outcomes};
use invariants::{Rules, violations};

#[test]
fn what_must_hold_holds_for_every_combination() {
    let rules = Rules::ours();
    let mut checked = 0usize;
    for facts in facts() {
        let broken = violations(&rules, &facts, &outcomes(), &mut checked);
        assert!(broken.is_empty(), "{broken:?}\n{facts:#?}\n{:#?}", (rules.plan)(&facts.0, &facts.1, facts.2));
    }
    // So that nobody empties the lists without noticing.
    assert!(checked > 50_000, "{checked}");
}
