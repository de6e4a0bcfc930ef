//! Where rspamd and we differ, by the section that explains it. rspamd is made to weigh spam: it is lenient where a record
//! is malformed, and strict where spammers use what is allowed.

use mailstead_conformance::Divergence;

/// A reason, and the SPF cases that it holds for, with both clients.
const SPF: &[(&str, &[&str])] = &[
    ("RFC 7208 §5.1 and §4.6.2: all may pass; rspamd calls that an error", &["only-pass", "bare-pass"]),
    ("RFC 7208 §4.7: a record without mechanisms is neutral; rspamd calls it an error", &["empty"]),
    ("RFC 7208 §5.6: a network of length 0 is every address; rspamd matches nothing", &["ip4-all-of-it"]),
    (
        "RFC 7208 §4.6: a syntax error anywhere is permerror before anything is evaluated; rspamd passes over what it cannot \
         read",
        &[
            "ip4-too-long",
            "ip4-bad",
            "ip4-name",
            "macro-unknown",
            "macro-open",
            "unknown-mechanism",
            "error-after-match",
            "error-after-all",
        ],
    ),
    (
        "RFC 7208 §5.2: an include without a record, or with a bad one, is permerror; rspamd goes on",
        &["include-none", "include-bad", "include-self", "include-then-ip4"],
    ),
    ("RFC 7208 §4.5: the version is a whole word; rspamd takes its beginning", &["other-version", "version-alone"]),
    ("RFC 7208 §4.5: two records are permerror; rspamd takes the first", &["two-records"]),
    ("RFC 7208 §4.6.4: the eleventh look-up is permerror; rspamd does not follow it", &["eleven-lookups"]),
    ("RFC 7208 §4.6.4: the third void look-up is permerror; rspamd does not count them", &["three-voids"]),
    ("RFC 7208 §7.3: o is the sender's domain, and a digit keeps labels from the right", &["exists-sender"]),
];

/// The same for single cases.
const SINGLE: &[(&str, &[&str])] = &[
    ("RFC 7208 §5.1: all passes; rspamd leaves out an all that does", &["spf ip4-refused other"]),
    (
        "RFC 7208 §5.2: an include matches where its record passes, and gives its own qualifier; rspamd copies mechanisms \
         with theirs",
        &["spf include-softfail named", "spf include-qualified named"],
    ),
    (
        "RFC 6376 §6.1.2 step 5: a key of another type is of no use; rspamd reads it as RSA",
        &["dkim rsa record other-type"],
    ),
    (
        "RFC 6376 §3.6.1 v: a record of another version is discarded; rspamd does not look",
        &["dkim rsa record other-version", "dkim ed25519 record other-version"],
    ),
    (
        "RFC 6376 §6.1.2 step 6: a hash that the key does not admit; rspamd does not look",
        &["dkim rsa record sha1", "dkim ed25519 record sha1"],
    ),
    (
        "RFC 6376 §3.6.1 s: a key that is not for mail; rspamd does not look",
        &["dkim rsa record service-other", "dkim ed25519 record service-other"],
    ),
    (
        "RFC 6376 §3.6.2.2: what several records mean is undefined; we try each",
        &["dkim rsa record two", "dkim ed25519 record two"],
    ),
    ("RFC 8301 §3.1: rsa-sha1 never passes; rspamd gives no result at all", &["dkim signature sha1"]),
    (
        "RFC 6376 §6.1.1: an identity outside of the domain is permanent before any cryptography; rspamd tries the signature",
        &["dkim signature identity-elsewhere"],
    ),
    ("RFC 6376 §6.1.1: an expired signature is permerror; rspamd gives no result", &["dkim signature expired"]),
];

/// What is proved by SPF and DKIM where only the tree walk tells whether it is aligned.
const ORGANIZATION: &[&str] = &[
    "spf=Organization dkim=Organization",
    "spf=Organization dkim=Elsewhere",
    "spf=Organization dkim=Nothing",
    "spf=Elsewhere dkim=Organization",
    "spf=Nothing dkim=Organization",
];

/// All of it.
pub(super) fn all() -> &'static [Divergence] {
    let leaked = |text: String| -> &'static str { text.leak() };
    let spf = SPF.iter().flat_map(|(reason, labels)| {
        let cases = labels.iter().flat_map(|label| ["named", "other"].map(|who| format!("spf {label} {who}")));
        cases.map(|case| (case, *reason))
    });
    let single = SINGLE.iter().flat_map(|(reason, cases)| cases.iter().map(|case| ((*case).to_owned(), *reason)));
    let walk = ["reject", "none", "no-policy", "capitals"].into_iter().flat_map(|label| {
        let reason = "RFC 9989 §4.10.2: without a record above, the author's domain is its own organization; rspamd goes by \
                      the Public Suffix List as RFC 7489 did";
        ORGANIZATION.iter().map(move |proved| (format!("dmarc {label} {proved}"), reason))
    });
    let two = ["Author", "Organization", "Elsewhere", "Nothing"].into_iter().flat_map(|spf| {
        let reason = "RFC 9989 §4.10: several records count as none; rspamd reports an error";
        ["Author", "Organization", "Elsewhere", "Nothing"]
            .map(|dkim| (format!("dmarc two spf={spf} dkim={dkim}"), reason))
    });
    let all = spf.chain(single).chain(walk).chain(two);
    all.map(|(case, reason)| Divergence { case: leaked(case), reason }).collect::<Vec<_>>().leak()
}
