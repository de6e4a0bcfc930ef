//! `mailstead dns lookup` in the lab: in every mode the same verdict, the same records and the same aliases as unbound's
//! for every question, but for differences that are listed with their reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use mailstead_e2e::lab::{Answer, Existence, Lab, Question, Verdict, inside};
use mailstead_e2e::{binary, run_with_input};
use serde_json::Value;

use Verdict::{Bogus, Insecure, Secure};

/// Where the oracle errs: the question, what it says, and why that is not so. The lab knows better.
const ERRORS_OF_THE_ORACLE: &[(&str, &str, Verdict, &str)] = &[
    ("CNAME", "www.d1.alias.example.", Bogus, "RFC 6672 §5.3.1: the CNAME that a DNAME makes has no signature"),
    ("CNAME", "mail.d3.alias.test.", Bogus, "RFC 6672 §5.3.1: the CNAME that a DNAME makes has no signature"),
];

/// A way to resolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Validating what the oracle passes on.
    Validate,
    /// From the root.
    Recurse,
    /// Believing the oracle's AD.
    TrustAd,
}

impl Mode {
    const ALL: [Self; 3] = [Self::Validate, Self::Recurse, Self::TrustAd];

    fn name(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Recurse => "recurse",
            Self::TrustAd => "trust-ad",
        }
    }
}

/// A difference that is meant: it must occur, in each of its modes.
struct Difference {
    /// The name that it is about, with all below it.
    below: &'static str,
    /// The type; empty for all.
    rtype: &'static str,
    modes: &'static [Mode],
    oracle: Verdict,
    ours: Verdict,
    reason: &'static str,
}

/// Modes that judge themselves.
const OWN: &[Mode] = &[Mode::Validate, Mode::Recurse];

/// Everything in which we mean to differ.
const DIFFERENCES: &[Difference] = &[
    Difference {
        below: "alg5.example.",
        rtype: "",
        modes: OWN,
        oracle: Secure,
        ours: Insecure,
        reason: "RFC 9905 §2: RSASHA1 is not used for validation; without another algorithm the zone is insecure",
    },
    Difference {
        below: "alg7.example.",
        rtype: "",
        modes: OWN,
        oracle: Secure,
        ours: Insecure,
        reason: "RFC 9905 §2: RSASHA1-NSEC3-SHA1 is not used for validation",
    },
    Difference {
        below: "ds1.example.",
        rtype: "",
        modes: OWN,
        oracle: Secure,
        ours: Insecure,
        reason: "RFC 8624 §3.3: a digest of SHA-1 is not made any more; by our policy it does not count either",
    },
    Difference {
        below: "ed448.example.",
        rtype: "",
        modes: OWN,
        oracle: Secure,
        ours: Insecure,
        reason: "RFC 8624 §3.1: ED448 is recommended, not required; RFC 4035 §5.2: what is not known is insecure",
    },
    Difference {
        below: "badsoa.example.",
        rtype: "",
        modes: OWN,
        oracle: Bogus,
        ours: Secure,
        reason: "RFC 4035 §5.4: NSEC records prove that there is nothing; the SOA beside them is no part of the proof",
    },
    Difference {
        below: "www.d1.alias.example.",
        rtype: "CNAME",
        modes: OWN,
        oracle: Bogus,
        ours: Secure,
        reason: ERRORS_OF_THE_ORACLE[0].3,
    },
    Difference {
        below: "mail.d3.alias.test.",
        rtype: "CNAME",
        modes: OWN,
        oracle: Bogus,
        ours: Secure,
        reason: ERRORS_OF_THE_ORACLE[1].3,
    },
];

impl Difference {
    fn fits(&self, mode: Mode, question: &Question, oracle: Verdict, ours: &str) -> bool {
        let name = question.name.to_ascii_lowercase();
        self.modes.contains(&mode)
            && (name == self.below || name.ends_with(&format!(".{}", self.below)))
            && (self.rtype.is_empty() || self.rtype == question.rtype)
            && (self.oracle, self.ours.to_string().as_str()) == (oracle, ours)
    }
}

/// The lab is what it is meant to be: unbound finds of every zone what the zone says a validator must find.
#[test]
fn lab_self_test() {
    inside("lab_self_test", || {
        let lab = Lab::start();
        let questions = lab.questions();
        assert!(questions.len() >= 400, "only {} questions", questions.len());
        let answers = lab.oracle().judge_all(&questions);
        let (mut wrong, mut errors) = (String::new(), 0);
        let mut verdicts: BTreeMap<Verdict, usize> = BTreeMap::new();
        for (question, answer) in questions.iter().zip(&answers) {
            *verdicts.entry(answer.verdict).or_default() += 1;
            let Question { rtype, name, expected, .. } = question;
            let error = ERRORS_OF_THE_ORACLE.iter().find(|error| (error.0, error.1) == (rtype, name));
            errors += usize::from(error.is_some_and(|error| error.2 == answer.verdict));
            if error.map_or(*expected, |error| error.2) != answer.verdict {
                let _ = writeln!(wrong, "{rtype} {name} is meant to be {expected}: {answer:?}");
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
        assert_eq!(errors, ERRORS_OF_THE_ORACLE.len(), "the oracle does not err any more");
        for verdict in [Secure, Insecure, Bogus, Verdict::Error] {
            assert!(verdicts.get(&verdict).is_some_and(|count| *count >= 40), "{verdicts:?}");
        }
        // Large answers arrive whole.
        let octets = |name: &str| {
            let at = questions.iter().position(|question| question.name == name && question.rtype == "TXT");
            answers[at.expect("a question")].records.iter().map(String::len).sum::<usize>()
        };
        assert!(octets("four.large.example.") > 4_000);
        assert!(octets("forty.large.example.") > 40_000);
        assert!(octets("sheaf.large.example.") > 40_000);
    });
}

#[test]
fn every_mode_agrees_with_the_oracle() {
    inside("every_mode_agrees_with_the_oracle", || {
        let lab = Lab::start();
        // Names that mail can have: neither the root nor wildcards as such.
        let questions: Vec<_> = lab.questions().into_iter().filter(|question| is_domain(&question.name)).collect();
        assert!(questions.len() >= 400, "only {} questions", questions.len());
        let answers = lab.oracle().judge_all(&questions);
        let mut complaints = String::new();
        for mode in Mode::ALL {
            let ours = look_up(&lab, mode, &questions);
            let mut occurred = vec![false; DIFFERENCES.len()];
            for ((question, oracle), ours) in questions.iter().zip(&answers).zip(&ours) {
                let status = ours["status"].as_str().unwrap_or_default();
                let meant =
                    DIFFERENCES.iter().position(|difference| difference.fits(mode, question, oracle.verdict, status));
                if let Some(meant) = meant {
                    occurred[meant] = true;
                }
                let found = complaint(question, oracle, ours, meant.is_some());
                if let Some(found) = found {
                    let (mode, name, rtype) = (mode.name(), &question.name, &question.rtype);
                    let _ = writeln!(complaints, "{mode}: {rtype} {name}: {found}\n  oracle {oracle:?}\n  ours {ours}");
                }
            }
            for (difference, _) in DIFFERENCES.iter().zip(occurred).filter(|(_, occurred)| !occurred) {
                if difference.modes.contains(&mode) {
                    let Difference { below, oracle, ours, reason, .. } = difference;
                    let _ = writeln!(
                        complaints,
                        "{}: {below} is no more {oracle} for the oracle and {ours} for us ({reason}): strike it off",
                        mode.name()
                    );
                }
            }
        }
        assert!(complaints.is_empty(), "{complaints}");
    });
}

fn is_domain(name: &str) -> bool {
    name != "." && !name.contains('*')
}

/// The answers of `mailstead dns lookup`, in the order of the questions.
#[track_caller]
fn look_up(lab: &Lab, mode: Mode, questions: &[Question]) -> Vec<Value> {
    let input = questions.iter().fold(String::new(), |text, question| {
        let name = question.name.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(".");
        text + &format!("{} {name}\n", question.rtype)
    });
    let mut command = Command::new(binary());
    command.args(["dns", "lookup", "--batch", "-", "--json", "--mode", mode.name()]);
    match mode {
        Mode::Validate => {
            command.arg("--server").arg(lab.oracle().address().to_string());
            command.arg("--trust-anchor").arg(lab.trust_anchor());
        }
        Mode::Recurse => {
            command.arg("--root-hints").arg(lab.root_hints()).arg("--trust-anchor").arg(lab.trust_anchor());
        }
        Mode::TrustAd => {
            command.arg("--server").arg(lab.local_resolver().to_string());
        }
    }
    let ran = run_with_input(&mut command, &input);
    let lines: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert_eq!(lines.len(), questions.len(), "answers and questions\n{}", ran.err);
    for (line, question) in lines.iter().zip(questions) {
        assert_eq!(line["type"].as_str(), Some(question.rtype.as_str()), "out of order: {line}");
        assert_eq!(bare(line["name"].as_str().unwrap_or_default()), bare(&question.name), "out of order: {line}");
    }
    lines
}

/// What is wrong with an answer, if anything.
fn complaint(question: &Question, oracle: &Answer, ours: &Value, meant: bool) -> Option<String> {
    let status = ours["status"].as_str().unwrap_or("without a status");
    if status != oracle.verdict.to_string() && !meant {
        return Some(format!("{status} and not {}", oracle.verdict));
    }
    let existence = ours["existence"].as_str();
    if matches!(status, "bogus" | "error") {
        let kind = ours["error"]["kind"].as_str();
        let wrong = existence.is_some() || kind.is_none() || (status == "bogus") != (kind == Some("bogus"));
        return wrong.then(|| format!("{status} with existence {existence:?} and error {kind:?}"));
    }
    let steps = || ours["chain"].as_array().into_iter().flatten();
    if status == "secure" && steps().any(|step| step["status"] != "secure") {
        return Some("secure by way of an insecure alias".to_owned());
    }
    // Of what the oracle calls bogus it tells no records.
    let expected = oracle.existence.filter(|_| !matches!(oracle.verdict, Bogus | Verdict::Error))?;
    if existence != Some(expected.to_string().as_str()) {
        return Some(format!("{existence:?} and not {expected}"));
    }
    let mut records: Vec<String> = match expected {
        Existence::Found => {
            ours["records"].as_array().into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
        }
        _ => Vec::new(),
    };
    let mut wanted: Vec<String> = oracle.records.iter().cloned().collect();
    for list in [&mut records, &mut wanted] {
        list.iter_mut().for_each(|record| *record = plain(&question.rtype, record));
        list.sort();
        list.dedup();
    }
    if records != wanted {
        return Some(format!("records {records:?} and not {wanted:?}"));
    }
    let ends = |step: &Value| (bare(step["from"].as_str().unwrap_or("?")), bare(step["to"].as_str().unwrap_or("?")));
    let steps: Vec<_> = steps().map(ends).collect();
    let wanted: Vec<_> = oracle.aliases.iter().map(|(from, to)| (bare(from), bare(to))).collect();
    (steps != wanted).then(|| format!("aliases {steps:?} and not {wanted:?}"))
}

/// A name in one form.
fn bare(name: &str) -> String {
    name.to_ascii_lowercase().trim_end_matches('.').to_owned()
}

/// A record in one form: names may be spelled in any case, and with their last dot or without.
fn plain(rtype: &str, record: &str) -> String {
    if matches!(rtype, "TXT" | "CAA") {
        return record.to_owned();
    }
    let words = record.split_whitespace().map(|word| if word == "." { word.to_owned() } else { bare(word) });
    words.collect::<Vec<_>>().join(" ")
}
