//! The test suite of openspf.org for RFC 7208, as PyPI's pyspf carries it: every case, its result and its explanation.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use mailstead_conformance::{Divergence, OPENSPF, Suite};
use mailstead_dns::{
    Answer, Authenticity, Existence, Hop, HopKind, Lookup, LookupError, LookupErrorKind, Mx, Record, RecordType,
    Resolver, Target, Txt,
};
use mailstead_mailauth::spf::{Query, check_host};
use mailstead_names::{Domain, EhloName};
use saphyr::{LoadableYamlNode, Yaml};

/// How many cases this version of the suite has.
const CASES: usize = 203;

/// None: we agree in every case.
const DIVERGENCES: &[Divergence] = &[];

/// The names of a scenario.
#[derive(Debug, Default)]
struct Zone(HashMap<String, Node>);

#[derive(Debug, Default)]
struct Node {
    records: Vec<Record>,
    /// What is not there is not known.
    times_out: bool,
}

impl Zone {
    fn read(yaml: &Yaml<'_>) -> Zone {
        let mut zone = Zone::default();
        for (name, entries) in yaml.as_mapping().expect("zonedata maps names to entries") {
            let node = zone.0.entry(text(name).to_ascii_lowercase()).or_default();
            // A record of type SPF stands for one of type TXT as well, unless there are some of that type: that RFC 7208
            // knows no other type is what a few cases are about.
            let mut spf = Vec::new();
            let mut has_txt = false;
            for entry in entries.as_sequence().expect("entries are a list") {
                let Some(pair) = entry.as_mapping() else {
                    assert_eq!(text(entry), "TIMEOUT");
                    node.times_out = true;
                    continue;
                };
                for (record_type, data) in pair {
                    match text(record_type) {
                        "SPF" => spf.push(txt(data)),
                        "TXT" => {
                            has_txt = true;
                            node.records.extend((data.as_str() != Some("NONE")).then(|| txt(data)));
                        }
                        record_type => node.records.push(record(record_type, data)),
                    }
                }
            }
            if !has_txt {
                node.records.append(&mut spf);
            }
        }
        zone
    }

    fn answer(&self, asked: &Domain, record_type: RecordType) -> Result<Answer<Record>, LookupError> {
        let mut name = asked.clone();
        let mut chain = Vec::new();
        loop {
            let absent = |existence| Answer::absent(existence, Authenticity::Insecure, Duration::ZERO);
            let Some(node) = self.0.get(name.as_ascii()) else {
                return Ok(Answer { chain, ..absent(Existence::NxDomain) });
            };
            let found: Vec<_> = node.records.iter().filter(|it| it.record_type() == record_type).cloned().collect();
            if !found.is_empty() {
                return Ok(Answer { chain, ..Answer::found(found, Authenticity::Insecure, Duration::ZERO) });
            }
            let alias = node.records.iter().find_map(|it| if let Record::Cname(to) = it { to.domain() } else { None });
            match alias {
                Some(_) if chain.len() == 8 => {
                    return Err(LookupError::new(LookupErrorKind::AliasLoop, asked, record_type));
                }
                Some(to) => {
                    let from = std::mem::replace(&mut name, to.clone());
                    let authenticity = Authenticity::Insecure;
                    chain.push(Hop { from, to: to.clone(), kind: HopKind::Cname, authenticity });
                }
                None if node.times_out => return Err(LookupError::new(LookupErrorKind::Timeout, asked, record_type)),
                None => return Ok(Answer { chain, ..absent(Existence::NoData) }),
            }
        }
    }
}

impl Resolver for Zone {
    fn lookup<'a>(&'a self, name: &'a Domain, record_type: RecordType) -> Lookup<'a> {
        Box::pin(std::future::ready(self.answer(name, record_type)))
    }
}

fn text<'a>(yaml: &'a Yaml<'_>) -> &'a str {
    yaml.as_str().unwrap_or_else(|| panic!("{yaml:?} should be text"))
}

/// One string or several.
fn txt(data: &Yaml<'_>) -> Record {
    let strings = match data.as_sequence() {
        Some(strings) => strings.iter().map(|it| text(it).as_bytes().to_vec()).collect(),
        None => vec![text(data).as_bytes().to_vec()],
    };
    Record::Txt(Txt { strings })
}

fn record(record_type: &str, data: &Yaml<'_>) -> Record {
    match record_type {
        "A" => Record::A(text(data).parse().expect("an IPv4 address")),
        "AAAA" => Record::Aaaa(text(data).parse().expect("an IPv6 address")),
        "PTR" => Record::Ptr(Target::parse(text(data))),
        "CNAME" => Record::Cname(Target::parse(text(data))),
        "MX" => {
            let preference = data[0].as_integer().and_then(|number| number.try_into().ok()).expect("a preference");
            Record::Mx(Mx { preference, exchange: Target::parse(text(&data[1])) })
        }
        other => panic!("no records of type {other} are known"),
    }
}

/// Runs a case; in what it differs from what is wanted, where it does.
async fn run(zone: &Zone, case: &Yaml<'_>) -> Result<(), String> {
    let ip = text(&case["host"]).parse().expect("an address");
    let ehlo = EhloName::parse(text(&case["helo"]));
    let query = Query::sender(ip, text(&case["mailfrom"]), &ehlo, SystemTime::UNIX_EPOCH);
    let verdict = check_host(zone, &query).await;
    let wanted: Vec<&str> = match case["result"].as_sequence() {
        Some(results) => results.iter().map(text).collect(),
        None => vec![text(&case["result"])],
    };
    if !wanted.contains(&verdict.result.as_str()) {
        return Err(format!("{} because {}, and not {wanted:?}", verdict.result, verdict.reason));
    }
    // DEFAULT is the checking host's own explanation, which here is none.
    let explanation = verdict.explanation.as_ref().map_or("DEFAULT", |explanation| explanation.text.as_str());
    match case.as_mapping_get("explanation").map(text) {
        Some(wanted) if wanted != explanation => Err(format!("explanation {explanation:?}, and not {wanted:?}")),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn rfc_7208() {
    let file = OPENSPF.locate("python3".as_ref()).unwrap_or_else(|reason| panic!("{reason}"));
    let content = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let scenarios = Yaml::load_from_str(&content).expect("the suite is YAML");
    let mut suite = Suite::new(OPENSPF.suite, DIVERGENCES);
    for scenario in &scenarios {
        let zone = Zone::read(&scenario["zonedata"]);
        for (name, case) in scenario["tests"].as_mapping().expect("tests have names") {
            suite.record(text(name), run(&zone, case).await);
        }
    }
    suite.finish(CASES);
}
