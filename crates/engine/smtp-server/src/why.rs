//! What [`crate::record`] keeps, in words for people: what was decided about a message, what was known, and what would have
//! changed the verdict.
//!
//! Much in a record was written by strangers. All of it is shown without control characters, so that no terminal obeys them.

use std::fmt::Write as _;

use serde_json::Value;

/// Puts the record of one arrival into words, several lines without a line end at the end; nothing where it is no record.
/// Records of version 1, which had no checks, can be read too.
#[must_use]
pub fn explain(payload: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(payload).ok()?;
    let record = Record(value.as_object().map(|_| &value)?);
    record.word("rcpt-to")?;
    let mut text = Text(String::new());
    text.arrival(record);
    text.verdict(record);
    if record.part("checks").is_some() {
        text.checks(record);
    }
    let advice = advice(record);
    if !advice.is_empty() {
        text.line(0, "what would have changed this:");
        advice.iter().for_each(|advice| text.line(2, &format!("- {advice}")));
    }
    Some(text.0.trim_end().to_owned())
}

/// A part of a record. Whatever is not there is not spoken of.
#[derive(Clone, Copy)]
struct Record<'r>(&'r Value);

impl<'r> Record<'r> {
    fn part(self, key: &str) -> Option<Record<'r>> {
        self.0.get(key).filter(|value| value.is_object()).map(Record)
    }

    /// The text of a key, as it may be shown.
    fn word(self, key: &str) -> Option<String> {
        self.0.get(key)?.as_str().map(harmless)
    }

    fn words(self, key: &str) -> Vec<String> {
        let all = self.0.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter_map(Value::as_str).map(harmless).collect()
    }

    fn parts(self, key: &str) -> impl Iterator<Item = Record<'r>> {
        let all = self.0.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        all.iter().map(Record)
    }

    fn number(self, key: &str) -> Option<u64> {
        self.0.get(key)?.as_u64()
    }

    /// One of the checks.
    fn check(self, name: &str) -> Option<Record<'r>> {
        self.part("checks")?.part(name)
    }

    /// Whether the verdict has this reason.
    fn is_because(self, reason: &str) -> bool {
        self.words("reasons").iter().any(|it| it == reason)
    }

    fn result(self) -> String {
        self.word("result").unwrap_or_else(|| "unknown".to_owned())
    }

    fn proof(self) -> &'static str {
        match self.0.get("dnssec").and_then(Value::as_bool) {
            Some(true) => "proved by DNSSEC",
            _ => "not proved",
        }
    }

    fn signatures(self) -> Vec<Record<'r>> {
        self.check("dkim").map(|dkim| dkim.parts("signatures").collect()).unwrap_or_default()
    }

    /// The domains that are proved to have to do with the message.
    fn verified_domains(self) -> Vec<String> {
        let spf = self.check("spf").into_iter();
        let all = spf.chain(self.signatures()).filter(|check| check.result() == "pass");
        let mut domains: Vec<String> = all.filter_map(|check| check.word("domain")).collect();
        domains.sort();
        domains.dedup();
        domains
    }
}

/// Text without what terminals obey.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// The words for a reason of a verdict.
fn in_words(reason: &str, record: Record<'_>) -> String {
    let trusted = record.word("trusted").unwrap_or_else(|| "its sender".to_owned());
    match reason {
        "unchecked" => "nothing about its sender was checked".to_owned(),
        "provoked" => "its recipient asked for it, as it may in a sandbox".to_owned(),
        "unknown-user" => "there is nobody of this address".to_owned(),
        "list-allow" => format!("a rule of the recipient trusts the mailing list of {trusted}"),
        "forwarded" => format!("a rule of the recipient trusts {trusted} to forward mail"),
        "dmarc-policy" => {
            let policy = record.check("dmarc").and_then(|dmarc| dmarc.part("policy"));
            let asks = |policy: Record<'_>| {
                let effective = policy.word("effective")?;
                Some(format!("the DMARC policy of {} asks for it (p={effective})", policy.word("domain")?))
            };
            policy.and_then(asks).unwrap_or_else(|| "a DMARC policy asks for it".to_owned())
        }
        "too-many-authors" => "From has addresses of more domains than are checked".to_owned(),
        "authentication-undecided" => "checks that would decide could not be made then".to_owned(),
        "no-bad-signals" => "nothing spoke against it".to_owned(),
        "loop" => "it has passed so many servers that it must be going in circles".to_owned(),
        "line-endings" => "it has a bare CR or LF where other servers would see its end".to_owned(),
        "too-large" => "it or its header is too large".to_owned(),
        "line-length" => "it has a line that is too long, and that cannot be made shorter".to_owned(),
        "malformed" => "it lacks what a message must have, or has what it must not have".to_owned(),
        "undeclared" => "it is not what MAIL declared".to_owned(),
        "author" => "its author is somebody else than the user".to_owned(),
        "allowance" => "the user has submitted too many messages".to_owned(),
        "storage" => "it could not be stored".to_owned(),
        "internal" => "the server was not ready for it".to_owned(),
        other => other.to_owned(),
    }
}

/// Lines that grow.
struct Text(String);

impl Text {
    fn line(&mut self, indent: usize, text: &str) {
        // A String takes everything.
        let _ = writeln!(self.0, "{:indent$}{text}", "");
    }

    fn arrival(&mut self, record: Record<'_>) {
        let word = |key: &str| record.word(key).unwrap_or_else(|| "?".to_owned());
        let at = record.word("at").map(|at| format!("{at}: ")).unwrap_or_default();
        let more = match record.number("more-recipients") {
            None | Some(0) => String::new(),
            Some(more) => format!(" and {more} more"),
        };
        self.line(0, &format!("{at}from {} to {}{more}", word("mail-from"), word("rcpt-to")));
        let tls = record.word("tls").map_or_else(|| "without TLS".to_owned(), |tls| format!("with {tls}"));
        let hello = word("hello");
        self.line(
            2,
            &format!("sent by {}, which called itself {hello}, by {} {tls}", word("remote"), word("protocol")),
        );
        self.line(2, &format!("id {}", word("id")));
    }

    fn verdict(&mut self, record: Record<'_>) {
        let decided = match record.word("decision").as_deref() {
            // Version 1 was only kept beside what was accepted.
            None | Some("accept") => match record.word("mailbox") {
                Some(mailbox) => format!("accepted, into {mailbox}"),
                None => "accepted".to_owned(),
            },
            Some("junk") => "accepted, into Junk".to_owned(),
            Some("defer") => "refused for then".to_owned(),
            Some("reject") => "refused".to_owned(),
            Some(other) => other.to_owned(),
        };
        let because: Vec<String> = record.words("reasons").iter().map(|reason| in_words(reason, record)).collect();
        let because = if because.is_empty() { String::new() } else { format!(", because {}", because.join(" and ")) };
        self.line(0, &format!("{decided}{because}"));
        if let Some(reply) = record.word("reply") {
            self.line(2, &format!("reply: {reply}"));
        }
    }

    fn checks(&mut self, record: Record<'_>) {
        self.line(0, "what was checked:");
        if let Some(iprev) = record.check("iprev") {
            self.check(&format!("iprev: {}", iprev.result()), iprev, iprev.word("reason"));
        }
        if let Some(spf) = record.check("spf") {
            let domain = spf.word("domain").unwrap_or_else(|| "no domain".to_owned());
            self.check(&format!("SPF: {} for {domain}", spf.result()), spf, spf.word("reason"));
        }
        self.dkim(record);
        if let Some(dmarc) = record.check("dmarc") {
            let author = dmarc.word("author").map(|author| format!(" for {author}")).unwrap_or_default();
            let policy = dmarc.part("policy").map(policy_in_words).unwrap_or_default();
            self.check(&format!("DMARC: {}{author}{policy}", dmarc.result()), dmarc, dmarc.words("reasons"));
        }
        // Nearly no message has a chain, and nothing follows from it.
        if let Some(arc) = record.check("arc").filter(|arc| arc.result() != "none") {
            let reason = arc.word("reason").map(|reason| format!(" ({reason})")).unwrap_or_default();
            self.line(2, &format!("ARC: {}{reason}", arc.result()));
        }
    }

    fn dkim(&mut self, record: Record<'_>) {
        let signatures = record.signatures();
        if signatures.is_empty() && record.check("dkim").is_some() {
            self.line(2, "DKIM: no signature");
        }
        for signature in signatures {
            let domain = signature.word("domain").unwrap_or_else(|| "an unknown domain".to_owned());
            let details: Vec<String> = [
                signature.word("selector").map(|selector| format!("selector {selector}")),
                signature.word("algorithm"),
                signature.number("key-bits").map(|bits| format!("{bits} bits")),
            ]
            .into_iter()
            .flatten()
            .collect();
            let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
            let title = format!("DKIM: {} for {domain}{details}", signature.result());
            self.check(&title, signature, signature.words("reasons"));
        }
        let ignored = record.check("dkim").and_then(|dkim| dkim.number("ignored")).unwrap_or_default();
        if ignored > 0 {
            self.line(2, &format!("DKIM: {ignored} more signatures, not looked at"));
        }
    }

    /// A result with its reasons and what it rests on.
    fn check(&mut self, title: &str, check: Record<'_>, reasons: impl IntoIterator<Item = String>) {
        self.line(2, &format!("{title}, {}", check.proof()));
        reasons.into_iter().for_each(|reason| self.line(4, &reason));
        for question in check.parts("dns") {
            self.question(question);
        }
    }

    fn question(&mut self, question: Record<'_>) {
        if let Some(omitted) = question.number("omitted") {
            self.line(4, &format!("and {omitted} more questions, whose answers were not kept"));
            return;
        }
        let word = |key: &str| question.word(key).unwrap_or_else(|| "?".to_owned());
        let asked = format!("{} {}", word("type"), word("name"));
        if let Some(failed) = question.word("failed") {
            self.line(4, &format!("{asked}: no answer, {failed}"));
            return;
        }
        let alias = question.word("alias-of").map(|of| format!(", an alias of {of}")).unwrap_or_default();
        let proof = question.proof();
        let records = question.words("records");
        let existence = question.word("existence").unwrap_or_default();
        match (records.as_slice(), existence.as_str()) {
            ([], "nxdomain") => self.line(4, &format!("{asked}{alias}: there is no such name ({proof})")),
            ([], _) => self.line(4, &format!("{asked}{alias}: there are no such records ({proof})")),
            ([only], _) => self.line(4, &format!("{asked}{alias}: {only} ({proof})")),
            (several, _) => {
                self.line(4, &format!("{asked}{alias}: {} records ({proof})", several.len()));
                several.iter().for_each(|record| self.line(6, record));
            }
        }
        question.words("remarks").iter().for_each(|remark| self.line(6, &format!("remark: {remark}")));
    }
}

fn policy_in_words(policy: Record<'_>) -> String {
    let word = |key: &str| policy.word(key).unwrap_or_else(|| "?".to_owned());
    let (published, effective) = (word("published"), word("effective"));
    let test = if published == effective { String::new() } else { format!(", in effect {effective}") };
    format!(", policy p={published} of {}{test}", word("domain"))
}

/// What would have changed the verdict, each a sentence without its full stop.
fn advice(record: Record<'_>) -> Vec<String> {
    let mut advice: Vec<String> = refusals(record).map(str::to_owned).collect();
    let Some(dmarc) = record.check("dmarc") else {
        advice.extend(record.is_because("unknown-user").then(|| known_user(record)));
        return advice;
    };
    if record.is_because("unknown-user") {
        advice.push(known_user(record));
    }
    if record.is_because("dmarc-policy") {
        advice.extend(passing_dmarc(record, dmarc));
        advice.push(trusting(record));
    }
    if record.is_because("too-many-authors") {
        advice.push("addresses of fewer domains in From".to_owned());
    }
    if record.is_because("authentication-undecided") {
        advice.extend(record.unanswered().map(|asked| format!("an answer to the question for {asked}")));
        advice.push(trusting(record));
    }
    if record.is_because("list-allow") || record.is_because("forwarded") {
        advice.extend(without_rule(record, dmarc));
    }
    if record.is_because("no-bad-signals") && dmarc.result() == "fail" {
        let domain = dmarc.part("policy").and_then(|policy| policy.word("domain"));
        let domain = domain.or_else(|| dmarc.word("author")).unwrap_or_else(|| "its author".to_owned());
        advice
            .push(format!("a DMARC policy of {domain} with p=quarantine or p=reject would have kept it out of Inbox"));
    }
    advice
}

/// What would have let a message through that was refused before anything was checked, or could not be stored.
fn refusals(record: Record<'_>) -> impl Iterator<Item = &'static str> {
    const ADVICE: [(&str, &str); 5] = [
        ("loop", "no rule or forwarding anywhere that sends the message back to where it came from"),
        ("line-endings", "lines that end in CR LF; the sending program is at fault, or an attack was tried"),
        ("too-large", "fewer or smaller attachments"),
        ("line-length", "lines of at most 998 octets, or a transfer encoding: quoted-printable or base64"),
        ("storage", "room on the disk, and in the account where it has a quota; the log of that time says more"),
    ];
    ADVICE.into_iter().filter(move |(reason, _)| record.is_because(reason)).map(|(_, advice)| advice)
}

fn known_user(record: Record<'_>) -> String {
    let recipient = record.word("rcpt-to").unwrap_or_default();
    format!("an account that {recipient} is an address of, or a catch-all account of its domain")
}

/// How the author's domain could have let DMARC pass (RFC 9989 §4.4).
fn passing_dmarc(record: Record<'_>, dmarc: Record<'_>) -> Option<String> {
    let author = dmarc.word("author")?;
    let organization = dmarc.word("organization").unwrap_or_else(|| author.clone());
    let remote = record.word("remote")?;
    let spf = record.check("spf").and_then(|spf| spf.word("domain"));
    let is_strict = dmarc.part("policy").and_then(|policy| policy.word("spf-alignment")).as_deref() == Some("strict");
    let is_aligned = |domain: &str| if is_strict { domain == author } else { is_within(domain, &organization) };
    let by_spf = match spf {
        Some(domain) if is_aligned(&domain) => format!("an SPF record of {domain} that lists {remote}"),
        _ => format!("a MAIL FROM address in {author}, with an SPF record of {author} that lists {remote}"),
    };
    Some(format!("{by_spf}, or a DKIM signature by {author} that verifies, would have let it pass DMARC"))
}

/// Whether a domain is another one or below it.
fn is_within(domain: &str, of: &str) -> bool {
    domain.strip_suffix(of).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Which rule of the recipient would have let the message in.
fn trusting(record: Record<'_>) -> String {
    let recipient = record.word("rcpt-to").unwrap_or_default();
    let verified = record.verified_domains();
    match verified.as_slice() {
        [] => format!(
            "a list or forwarder that {recipient} trusts by a rule; but for no domain is it proved that it passed this message on"
        ),
        domains => format!(
            "a rule of {recipient} with `forwarder` or `mailing-list` for {}, which is proved to have passed this message on",
            domains.join(" or ")
        ),
    }
}

fn without_rule(record: Record<'_>, dmarc: Record<'_>) -> Option<String> {
    let trusted = record.word("trusted").unwrap_or_else(|| "its sender".to_owned());
    let instead = match (dmarc.word("disposition").as_deref(), dmarc.result().as_str()) {
        (Some("reject"), _) => "been refused",
        (Some("quarantine"), _) => "gone into Junk",
        (_, "temperror") => "been refused for then",
        _ => return None,
    };
    Some(format!("without the rule of the recipient that trusts {trusted} it would have {instead}"))
}

impl<'r> Record<'r> {
    /// The questions of the checks that decide that were not answered.
    fn unanswered(self) -> impl Iterator<Item = String> {
        let checks = [self.check("dmarc"), self.check("spf")].into_iter().flatten().chain(self.signatures());
        checks
            .flat_map(|check| check.parts("dns"))
            .filter(|question| question.word("failed").is_some())
            .filter_map(|question| Some(format!("{} {}", question.word("type")?, question.word("name")?)))
    }
}

#[cfg(test)]
mod tests;
