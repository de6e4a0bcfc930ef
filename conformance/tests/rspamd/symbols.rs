//! What rspamd's symbols mean.

use serde_json::Value;

use crate::Results;

/// The results that symbols stand for.
pub(super) fn results(symbols: &Value) -> Results {
    let has = |symbol: &str| symbol.is_empty() || symbols.get(symbol).is_some();
    let first = |table: &[(&str, &str)]| {
        table.iter().find(|(symbol, _)| has(symbol)).map_or("nothing", |(_, result)| result).to_owned()
    };
    Results {
        spf: first(&[
            ("R_SPF_ALLOW", "pass"),
            ("R_SPF_FAIL", "fail"),
            ("R_SPF_SOFTFAIL", "softfail"),
            ("R_SPF_NEUTRAL", "neutral"),
            ("R_SPF_DNSFAIL", "temperror"),
            ("R_SPF_PERMFAIL", "permerror"),
            ("R_SPF_NA", "none"),
        ]),
        dkim: first(&[
            ("R_DKIM_ALLOW", "pass"),
            ("R_DKIM_REJECT", "fail"),
            ("R_DKIM_TEMPFAIL", "temperror"),
            ("R_DKIM_PERMFAIL", "permerror"),
            ("R_DKIM_NA", "none"),
            // A signature that it cannot read has no symbol; RFC 8601 §2.7.1 calls that neutral.
            ("", "neutral"),
        ]),
        dmarc: first(&[
            ("DMARC_POLICY_ALLOW", "pass"),
            ("DMARC_POLICY_ALLOW_WITH_FAILURES", "pass"),
            ("DMARC_POLICY_REJECT", "fail reject"),
            ("DMARC_POLICY_QUARANTINE", "fail quarantine"),
            ("DMARC_POLICY_SOFTFAIL", "fail none"),
            ("DMARC_BAD_POLICY", "permerror"),
            ("DMARC_DNSFAIL", "temperror"),
            ("DMARC_NA", "none"),
        ]),
    }
}
