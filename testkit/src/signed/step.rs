//! What one zone has to say to one question: records, an alias, a referral or a proof (RFC 1034 §4.3.2, RFC 4592,
//! RFC 6672 §3.2, RFC 4035 §3.1, RFC 5155 §7.2).

use mailstead_dns::{HopKind, Name, Question, Rcode, RrSet, Rtype};

use super::plan::Denial;
use super::zone::{StoredSet, Zone, hash};

/// Where a step leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Nowhere: this is the end.
    Done(End),
    /// To another name.
    Alias(Name, HopKind),
    /// To another zone.
    Referral(Name),
}

/// How asking ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With these records, of which the owner is the name at the end of the aliases. Without signatures.
    Records(RrSet),
    /// The name exists without such records.
    NoData,
    /// There is no such name.
    NxDomain,
    /// A DNAME makes a name that is too long (RFC 6672 §2.2).
    TooLong,
    /// Aliases in a circle, or more of them than are followed.
    AliasLoop,
    /// The zone is delegated but nobody has it.
    Unreachable,
}

impl End {
    pub(super) fn rcode(&self) -> Rcode {
        match self {
            End::Records(_) | End::NoData => Rcode::NOERROR,
            End::NxDomain => Rcode::NXDOMAIN,
            End::TooLong => Rcode::YXDOMAIN,
            End::AliasLoop | End::Unreachable => Rcode::SERVFAIL,
        }
    }
}

/// The answer of a zone.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// The zone.
    pub(super) apex: Name,
    /// The name asked for.
    pub(super) name: Name,
    pub(super) answer: Vec<RrSet>,
    pub(super) authority: Vec<RrSet>,
    pub(super) additional: Vec<RrSet>,
    pub(super) next: Next,
    /// The sets with signatures on which this rests: what they are about, and their types.
    pub(super) rests_on: Vec<(Name, Rtype)>,
    /// Whether it is not proved that there is no unsigned delegation in between (RFC 5155 §9.2).
    pub(super) opt_out: bool,
}

impl Zone {
    /// Answers one question, without following aliases.
    pub(super) fn step(&self, name: &Name, rtype: Rtype) -> Step {
        let mut step = Step {
            apex: self.apex().clone(),
            name: name.clone(),
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            next: Next::Done(End::NoData),
            rests_on: Vec::new(),
            opt_out: false,
        };
        match self.cut(name) {
            // RFC 4035 §3.1.4.1: DS records are the parent's.
            Some(cut) if cut != *name || rtype != Rtype::DS => self.refer(&mut step, &cut),
            _ => match self.dname_above(name) {
                Some(dname) => self.redirect(&mut step, dname, rtype),
                None if self.exists(name) => self.answer_at(&mut step, name, rtype),
                None => self.answer_by_wildcard(&mut step, rtype),
            },
        }
        step
    }

    fn refer(&self, step: &mut Step, cut: &Name) {
        if let Some(servers) = self.stored(cut, Rtype::NS) {
            step.authority.push(self.fetch(servers));
            for target in servers.set.data.iter().filter_map(|data| Name::from_wire(data)) {
                let addresses = [Rtype::A, Rtype::AAAA].into_iter().filter_map(|rtype| self.stored(&target.0, rtype));
                step.additional.extend(addresses.map(|stored| self.fetch(stored)));
            }
        }
        match self.stored(cut, Rtype::DS) {
            Some(ds) => self.prove(step, ds),
            // RFC 4035 §3.1.4, RFC 5155 §7.2.7.
            None => self.deny_data(step, cut),
        }
        step.next = Next::Referral(cut.clone());
    }

    fn dname_above(&self, name: &Name) -> Option<&StoredSet> {
        let depths = self.apex().label_count()..name.label_count();
        depths.map(|depth| name.ancestor(depth)).find_map(|name| self.stored(&name, Rtype::DNAME))
    }

    /// RFC 6672 §3.1.
    fn redirect(&self, step: &mut Step, dname: &StoredSet, rtype: Rtype) {
        step.answer.push(self.fetch(dname));
        step.rests_on.push((dname.about.clone(), Rtype::DNAME));
        let target = dname.set.data.first().and_then(|data| Name::from_wire(data));
        let target = target.and_then(|(target, _)| step.name.substitute(&dname.set.owner, &target));
        let Some(target) = target else {
            step.next = Next::Done(End::TooLong);
            return;
        };
        let cname = RrSet {
            owner: step.name.clone(),
            rtype: Rtype::CNAME,
            ttl: dname.set.ttl,
            data: vec![target.as_wire().into()],
            signatures: Vec::new(),
        };
        step.answer.push(cname.clone());
        step.next = match rtype {
            Rtype::CNAME => Next::Done(End::Records(cname)),
            _ => Next::Alias(target, HopKind::Dname),
        };
    }

    fn answer_at(&self, step: &mut Step, name: &Name, rtype: Rtype) {
        if !self.answer_from(step, name, rtype) {
            self.deny_data(step, name);
            self.prove_soa(step);
        }
    }

    /// Answers with the records of this node, which may be a wildcard.
    fn answer_from(&self, step: &mut Step, node: &Name, rtype: Rtype) -> bool {
        let alias = || self.stored(node, Rtype::CNAME).filter(|_| rtype != Rtype::NSEC);
        let Some(stored) = self.stored(node, rtype).or_else(alias) else { return false };
        let set = RrSet { owner: step.name.clone(), ..self.fetch(stored) };
        step.rests_on.push((stored.about.clone(), stored.set.rtype));
        let target = set.data.first().and_then(|data| Name::from_wire(data));
        step.next = match target {
            Some((target, _)) if set.rtype == Rtype::CNAME && rtype != Rtype::CNAME => {
                Next::Alias(target, HopKind::Cname)
            }
            _ => Next::Done(End::Records(RrSet { signatures: Vec::new(), ..set.clone() })),
        };
        step.answer.push(set);
        true
    }

    /// RFC 4592 §3.3 with the proofs of RFC 4035 §3.1.3.2 to §3.1.3.4 and RFC 5155 §7.2.2, §7.2.5 and §7.2.6.
    fn answer_by_wildcard(&self, step: &mut Step, rtype: Rtype) {
        let name = step.name.clone();
        let encloser = self.closest_encloser(&name);
        let Some(wildcard) = encloser.wildcard().filter(|wildcard| self.exists(wildcard)) else {
            self.deny(step, &name);
            self.prove_soa(step);
            step.next = Next::Done(End::NxDomain);
            return;
        };
        let is_nsec = self.plan.denial == Denial::Nsec;
        if self.answer_from(step, &wildcard, rtype) {
            // The signature tells which wildcard it was; that nothing closer exists is to be proved.
            match is_nsec {
                true => self.deny_name(step, &name),
                false => self.deny_next_closer(step, &name, &encloser),
            }
            return;
        }
        match is_nsec {
            true => self.deny_name(step, &name),
            false => drop(self.prove_encloser(step, &name)),
        }
        self.deny_data(step, &wildcard);
        self.prove_soa(step);
    }

    fn closest_encloser(&self, name: &Name) -> Name {
        let depths = self.apex().label_count()..name.label_count();
        let above = depths.rev().map(|depth| name.ancestor(depth));
        above.into_iter().find(|name| self.exists(name)).unwrap_or_else(|| self.apex().clone())
    }

    /// The proof that there is neither the name nor a wildcard for it: RFC 4035 §3.1.3.2, RFC 5155 §7.2.2. Made
    /// without asking whether that is so.
    pub(super) fn deny(&self, step: &mut Step, name: &Name) {
        let encloser = match self.plan.denial {
            Denial::Nsec => {
                self.deny_name(step, name);
                self.closest_encloser(name)
            }
            Denial::Nsec3 { .. } => self.prove_encloser(step, name),
        };
        if let Some(wildcard) = encloser.wildcard() {
            self.deny_name(step, &wildcard);
        }
    }

    /// The proof that a name has no more than it has: RFC 4035 §3.1.3.1, RFC 5155 §7.2.3 and §7.2.4.
    pub(super) fn deny_data(&self, step: &mut Step, name: &Name) {
        match self.plan.denial {
            Denial::Nsec => match self.stored(name, Rtype::NSEC) {
                Some(nsec) => self.prove(step, nsec),
                // A name that only others below make exist lies between two NSEC records.
                None => self.deny_name(step, name),
            },
            Denial::Nsec3 { .. } => match self.matching(name) {
                Some(nsec3) => self.prove(step, nsec3),
                // Left out because of opt-out; for names without records see also erratum 3441 of RFC 5155.
                None => {
                    self.prove_encloser(step, name);
                }
            },
        }
    }

    /// The record whose span the name, or its hash, lies in.
    fn deny_name(&self, step: &mut Step, name: &Name) {
        let covering = match &self.plan.denial {
            Denial::Nsec => {
                let before = self.nodes.range(..name.clone()).rev();
                before.into_iter().find_map(|(_, sets)| sets.get(&Rtype::NSEC))
            }
            Denial::Nsec3 { iterations, salt, .. } => {
                let hash = hash(name, *iterations, salt);
                let before = self.hashed.range(..hash).next_back();
                // Before the first one is the span of the last one.
                before.or_else(|| self.hashed.last_key_value()).map(|(_, stored)| stored)
            }
        };
        if let Some(stored) = covering {
            self.prove(step, stored);
        }
    }

    fn matching(&self, name: &Name) -> Option<&StoredSet> {
        let Denial::Nsec3 { iterations, salt, .. } = &self.plan.denial else { return None };
        self.hashed.get(&hash(name, *iterations, salt))
    }

    /// The closest encloser that can be proved, with the proof (RFC 5155 §7.2.1).
    fn prove_encloser(&self, step: &mut Step, name: &Name) -> Name {
        let depths = self.apex().label_count()..name.label_count();
        let encloser = depths
            .rev()
            .map(|depth| name.ancestor(depth))
            .find(|name| self.matching(name).is_some())
            .unwrap_or_else(|| self.apex().clone());
        if let Some(nsec3) = self.matching(&encloser) {
            self.prove(step, nsec3);
        }
        self.deny_next_closer(step, name, &encloser);
        encloser
    }

    fn deny_next_closer(&self, step: &mut Step, name: &Name, encloser: &Name) {
        self.deny_name(step, &name.ancestor(encloser.label_count() + 1));
        let opt_out = matches!(self.plan.denial, Denial::Nsec3 { opt_out: true, .. });
        step.opt_out |= opt_out && self.plan.signed;
    }

    fn prove_soa(&self, step: &mut Step) {
        if let Some(soa) = self.stored(self.apex(), Rtype::SOA) {
            self.prove(step, soa);
        }
    }

    /// Puts a set into the authority section, once.
    fn prove(&self, step: &mut Step, stored: &StoredSet) {
        let rests_on = (stored.about.clone(), stored.set.rtype);
        if !step.rests_on.contains(&rests_on) {
            step.rests_on.push(rests_on);
            step.authority.push(self.fetch(stored));
        }
    }

    /// A proof about a name, true or not: the part of an authority section without the SOA record.
    pub(super) fn forced_proof(&self, question: &Question, of: fn(&Zone, &mut Step, &Name)) -> Vec<RrSet> {
        let mut step = self.step(self.apex(), Rtype::SOA);
        step.authority.clear();
        step.rests_on.clear();
        of(self, &mut step, &question.name);
        step.authority
    }
}
