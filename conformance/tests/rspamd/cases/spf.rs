//! SPF: records, with what they lead to, and a client that is named and one that is not.

use super::{BAD, Case, GOOD, message, txt};

/// A label, the records of the domain (`<d>` is its name; several are parted by `|`), and lines of a zone file below it.
const RECORDS: &[(&str, &str, &str)] = &[
    ("only-fail", "v=spf1 -all", ""),
    ("only-softfail", "v=spf1 ~all", ""),
    ("only-neutral", "v=spf1 ?all", ""),
    ("only-pass", "v=spf1 +all", ""),
    ("bare-pass", "v=spf1 all", ""),
    ("empty", "v=spf1", ""),
    ("ip4", "v=spf1 ip4:192.0.2.1 -all", ""),
    ("ip4-network", "v=spf1 ip4:192.0.2.0/29 -all", ""),
    ("ip4-odd-network", "v=spf1 ip4:192.0.2.3/29 -all", ""),
    ("ip4-all-of-it", "v=spf1 ip4:203.0.113.1/0 -all", ""),
    ("ip4-too-long", "v=spf1 ip4:192.0.2.1/33 -all", ""),
    ("ip4-bad", "v=spf1 ip4:192.0.2 -all", ""),
    ("ip4-name", "v=spf1 ip4:mail.<d> -all", ""),
    ("ip6", "v=spf1 ip6:2001:db8::/32 -all", ""),
    ("ip4-qualifiers", "v=spf1 ?ip4:192.0.2.1 -all", ""),
    ("ip4-softfail", "v=spf1 ~ip4:192.0.2.1 -all", ""),
    ("ip4-refused", "v=spf1 -ip4:192.0.2.1 +all", ""),
    ("a", "v=spf1 a -all", "<d>. 300 IN A 192.0.2.1\n"),
    ("a-other", "v=spf1 a:mail.<d> -all", "mail.<d>. 300 IN A 192.0.2.1\n"),
    ("a-network", "v=spf1 a:mail.<d>/29 -all", "mail.<d>. 300 IN A 192.0.2.6\n"),
    ("a-dual-network", "v=spf1 a:mail.<d>/29//64 -all", "mail.<d>. 300 IN A 192.0.2.6\n"),
    ("a-void", "v=spf1 a:none.<d> -all", ""),
    ("a-many", "v=spf1 a -all", "<d>. 300 IN A 192.0.2.7\n<d>. 300 IN A 192.0.2.1\n"),
    ("mx", "v=spf1 mx -all", "<d>. 300 IN MX 10 mail.<d>.\nmail.<d>. 300 IN A 192.0.2.1\n"),
    ("mx-other", "v=spf1 mx:x.<d> ~all", "x.<d>. 300 IN MX 10 mail.<d>.\nmail.<d>. 300 IN A 192.0.2.1\n"),
    ("mx-network", "v=spf1 mx/29 -all", "<d>. 300 IN MX 10 mail.<d>.\nmail.<d>. 300 IN A 192.0.2.6\n"),
    ("mx-none", "v=spf1 mx ip4:192.0.2.1 -all", ""),
    ("include", "v=spf1 include:ok.<d> -all", "ok.<d>. 300 IN TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"),
    ("include-softfail", "v=spf1 include:ok.<d> -all", "ok.<d>. 300 IN TXT \"v=spf1 ~ip4:192.0.2.1 -all\"\n"),
    ("include-neutral", "v=spf1 include:ok.<d> -all", "ok.<d>. 300 IN TXT \"v=spf1 ?all\"\n"),
    ("include-qualified", "v=spf1 ~include:ok.<d> -all", "ok.<d>. 300 IN TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"),
    ("include-none", "v=spf1 include:none.<d> -all", ""),
    ("include-bad", "v=spf1 include:bad.<d> -all", "bad.<d>. 300 IN TXT \"v=spf1 ip4:nonsense -all\"\n"),
    ("include-self", "v=spf1 include:<d> -all", ""),
    ("include-broken", "v=spf1 include:broken.<d> -all", "broken.<d>. 300 IN TXT \"v=spf1 -all\"\n"),
    (
        "include-twice",
        "v=spf1 include:a.<d> include:b.<d> -all",
        "a.<d>. 300 IN TXT \"v=spf1 -all\"\nb.<d>. 300 IN TXT \"v=spf1 ip4:192.0.2.1 -all\"\n",
    ),
    ("include-then-ip4", "v=spf1 include:none.<d> ip4:192.0.2.1 -all", ""),
    ("redirect", "v=spf1 redirect=ok.<d>", "ok.<d>. 300 IN TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"),
    ("redirect-none", "v=spf1 redirect=none.<d>", ""),
    ("redirect-after-all", "v=spf1 ?all redirect=ok.<d>", "ok.<d>. 300 IN TXT \"v=spf1 -all\"\n"),
    ("redirect-self", "v=spf1 redirect=<d>", ""),
    ("redirect-twice", "v=spf1 redirect=ok.<d> redirect=ok.<d>", "ok.<d>. 300 IN TXT \"v=spf1 +all\"\n"),
    ("exists", "v=spf1 exists:%{i}.ex.<d> -all", "192.0.2.1.ex.<d>. 300 IN A 127.0.0.2\n"),
    ("exists-reversed", "v=spf1 exists:%{ir}.%{v}.<d> -all", "1.2.0.192.in-addr.<d>. 300 IN A 127.0.0.2\n"),
    ("exists-local", "v=spf1 exists:%{l}.ex.<d> -all", "user.ex.<d>. 300 IN A 127.0.0.2\n"),
    ("exists-domain", "v=spf1 exists:%{d}.ex.<d> -all", "<d>.ex.<d>. 300 IN A 127.0.0.2\n"),
    ("exists-sender", "v=spf1 exists:%{o1}.ex.<d> -all", "example.ex.<d>. 300 IN A 127.0.0.2\n"),
    ("macro-unknown", "v=spf1 exists:%{y}.ex.<d> -all", ""),
    ("macro-open", "v=spf1 exists:%{i.ex.<d> -all", ""),
    ("macro-percent", "v=spf1 exists:a%%b.<d> -all", ""),
    ("unknown-mechanism", "v=spf1 ip5:192.0.2.1 -all", ""),
    ("unknown-modifier", "v=spf1 foo=bar ip4:192.0.2.1 -all", ""),
    ("explained", "v=spf1 ip4:192.0.2.1 -all exp=why.<d>", "why.<d>. 300 IN TXT \"not you\"\n"),
    ("capitals", "V=SPF1 IP4:192.0.2.1 -ALL", ""),
    ("other-version", "v=spf10 -all", ""),
    ("version-alone", "v=spf1-all", ""),
    ("none", "", ""),
    ("other-text", "something else", ""),
    ("beside-other-text", "something else|v=spf1 ip4:192.0.2.1 -all", ""),
    ("two-records", "v=spf1 ip4:192.0.2.1 -all|v=spf1 -all", ""),
    ("spaces", "v=spf1   ip4:192.0.2.1    -all  ", ""),
    ("no-space", "v=spf1 ip4:192.0.2.1-all", ""),
    ("error-after-match", "v=spf1 ip4:192.0.2.1 ip4:nonsense -all", ""),
    ("error-after-all", "v=spf1 -all ip4:nonsense", ""),
    (
        "eleven-lookups",
        "v=spf1 a:1.<d> a:2.<d> a:3.<d> a:4.<d> a:5.<d> a:6.<d> a:7.<d> a:8.<d> a:9.<d> a:10.<d> a:11.<d> -all",
        "1.<d>. 300 IN A 203.0.113.1\n2.<d>. 300 IN A 203.0.113.1\n3.<d>. 300 IN A 203.0.113.1\n4.<d>. 300 IN A 203.0.113.1\n\
      5.<d>. 300 IN A 203.0.113.1\n6.<d>. 300 IN A 203.0.113.1\n7.<d>. 300 IN A 203.0.113.1\n8.<d>. 300 IN A 203.0.113.1\n\
      9.<d>. 300 IN A 203.0.113.1\n10.<d>. 300 IN A 203.0.113.1\n11.<d>. 300 IN A 203.0.113.1\n",
    ),
    ("three-voids", "v=spf1 a:1.<d> a:2.<d> a:3.<d> ip4:192.0.2.1 -all", ""),
    ("two-voids", "v=spf1 a:1.<d> a:2.<d> ip4:192.0.2.1 -all", ""),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (number, (label, records, below)) in RECORDS.iter().enumerate() {
        let domain = format!("sender{number}.example");
        let own: String =
            records.split('|').filter(|record| !record.is_empty()).map(|record| txt(&domain, record)).collect();
        let zone = (own + below).replace("<d>", &domain);
        for (who, ip) in [("named", GOOD), ("other", BAD)] {
            let mail_from = format!("user@{domain}");
            cases.push(Case {
                name: format!("spf {label} {who}"),
                // Once for both.
                zone: if who == "named" { zone.clone() } else { String::new() },
                ip: ip.parse().expect("an address"),
                message: message(&mail_from).into_bytes(),
                mail_from,
            });
        }
    }
    cases
}
