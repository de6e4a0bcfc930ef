//! Who sent a message, from the DNS to what recipients, senders and reports are told.

use std::path::Path;

use mailstead_mailauth::crypto::{AwsLcRs, KeyType, PrivateKey, generate_pem, read_pem};
use mailstead_mailauth::dkim::{self, BodyHasher, KeyRecord, Selector, Signer, split_message};
use mailstead_mailauth::psl;
use mailstead_store::{Facts, Refused, SpecialUse, Write};

use super::*;
use crate::authentication::system_time;
use crate::record::KIND;
use crate::{Sandbox, why};

const MESSAGE: &str = "From: a@client.example\r\nSubject: hi\r\n\r\nbody";
/// Somebody says to be of a domain that wants such mail refused.
const SPOOF: &str = "From: Boss <boss@victim.example>\r\nSubject: hi\r\n\r\nbody";
/// The same, of one that is not so sure.
const SUSPECT: &str = "From: boss@wary.example\r\nSubject: hi\r\n\r\nbody";
const DONE: &str = "250 2.2.0 it is done";

fn txt(text: &str) -> Record {
    Record::Txt(Txt::from(text))
}

/// Senders with policies; the client has a name.
fn zones() -> Zones {
    let mx = || Record::Mx(Mx { preference: 10, exchange: Target::parse("mx.client.example") });
    Setting::new()
        .zones
        .with("7.2.0.192.in-addr.arpa", Record::Ptr(Target::parse("mx.client.example")))
        .with("mx.client.example", Record::A([192, 0, 2, 7].into()))
        .with("_dmarc.client.example", txt("v=DMARC1; p=reject"))
        .with("victim.example", txt("v=spf1 -all"))
        .with("_dmarc.victim.example", txt("v=DMARC1; p=reject"))
        .with("_dmarc.wary.example", txt("v=DMARC1; p=quarantine"))
        .with("list.example", mx())
        .with("list.example", txt("v=spf1 ip4:192.0.2.7 -all"))
        .with("slow.victim.example", mx())
        .failing("slow.victim.example", RecordType::Txt, LookupErrorKind::Timeout)
}

fn setting(zones: Zones) -> Setting {
    Setting { zones, ..Setting::new() }
}

async fn scene() -> Scene {
    setting(zones()).build().await
}

fn new_key(key_type: KeyType) -> (String, Arc<dyn PrivateKey>) {
    let pem = generate_pem(&AwsLcRs, key_type).unwrap().expose().clone();
    let key = read_pem(&AwsLcRs, &pem).unwrap();
    (pem, key)
}

/// A signer of a domain, and the record of its key.
fn signer(domain: &str) -> (Signer, Record) {
    let (_, key) = new_key(KeyType::Ed25519);
    let record = KeyRecord::new(key.public_key().clone()).to_txt();
    (Signer::new(Domain::parse(domain).unwrap(), Selector::parse("s1").unwrap(), key), Record::Txt(record))
}

/// A message with its signature. Its last line ends when it is sent.
fn signed(scene: &Scene, signer: &Signer, message: &str) -> String {
    let whole = format!("{message}\r\n");
    let (header, body) = split_message(whole.as_bytes());
    let mut hasher = BodyHasher::new(&AwsLcRs);
    signer.request(&mut hasher);
    hasher.update(body);
    let now = system_time(scene.server.services.clock.now());
    signer.sign(&AwsLcRs, header, &hasher.finish(), now).unwrap() + message
}

/// What stands in parentheses in replies.
fn mark() -> String {
    Marks::new(&[7; 24]).mark(ConnectionId(42))
}

impl Scene {
    /// Sends a message to port 25; gives the reply.
    async fn arrive(&self, from: &str, to: &str, message: &str) -> String {
        let mut client = self.inbound().await;
        client.ehlo().await;
        client.send(from, &[to], message).await
    }

    /// What is kept of what was refused.
    async fn refused(&self) -> Vec<Refused> {
        self.store.refused().find(&mark(), 10).await.unwrap()
    }

    /// What is kept beside what was accepted.
    async fn facts(&self, account: &str) -> Vec<Facts> {
        let mark = mark();
        let read = self.account(account).await.read(move |read| read.facts_by_reference(KIND, &mark, 10)).await;
        read.unwrap().into_iter().map(|(_, facts)| facts).collect()
    }
}

/// The first field of this name, on one line.
fn field(message: &str, name: &str) -> String {
    let unfolded = message.replace("\r\n ", " ");
    let line = unfolded.lines().find(|line| line.starts_with(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("no {name} in {message}")).to_owned()
}

fn decision(payload: &[u8]) -> String {
    let record: serde_json::Value = serde_json::from_slice(payload).unwrap();
    format!("{} {}", record["decision"], record["reasons"])
}

#[tokio::test(start_paused = true)]
async fn results_say_whether_dnssec_proved_them() {
    let (signer, record) = signer("client.example");
    for (secure, words) in [(true, "with dnssec"), (false, "without dnssec")] {
        let zones = zones().with("s1._domainkey.client.example", record.clone());
        let zones = if secure { zones.secure("example").secure("in-addr.arpa") } else { zones };
        let scene = setting(zones).build().await;
        let message = signed(&scene, &signer, MESSAGE);
        let begin: String = message.split(" b=").nth(1).unwrap().chars().take(8).collect();
        let begin = if begin.contains(['/', '=']) { format!("\"{begin}\"") } else { begin };
        assert_eq!(scene.arrive("a@client.example", "jane@example.org", &message).await, DONE);
        let stored = scene.only_message("jane").await;
        assert_eq!(
            field(&stored, "Authentication-Results"),
            format!(
                "Authentication-Results: mx.example.org; iprev=pass ({words}) policy.iprev=192.0.2.7; \
                 dkim=pass (256 bit ed25519, {words}) header.d=client.example header.s=s1 header.a=ed25519-sha256 \
                 header.b={begin} header.i=@client.example; spf=pass ({words}) smtp.mailfrom=client.example; \
                 dmarc=pass ({words}) header.from=client.example policy.dmarc=reject"
            )
        );
        assert!(field(&stored, "Received-SPF").starts_with("Received-SPF: pass "), "{stored}");
        assert!(
            field(&stored, "Received").starts_with("Received: from client.example (mx.client.example [192.0.2.7])")
        );
        assert!(stored.ends_with(&format!("\r\n{message}\r\n")));
        let facts = scene.facts("jane").await;
        assert_eq!(decision(&facts[0].payload), r#""accept" ["no-bad-signals"]"#);
        assert_eq!(scene.evaluations.take(), ["192.0.2.7 client.example example.org: client.example pass none []"]);
        assert_eq!(scene.refused().await, []);
    }
}

#[tokio::test(start_paused = true)]
async fn results_in_our_name_are_ours() {
    let scene = scene().await;
    let forged = "Authentication-Results: MX.example.org; dmarc=pass header.from=victim.example\r\n\
                  Authentication-Results: mx.list.example; spf=pass\r\n";
    let answer = scene.arrive("a@client.example", "jane@example.org", &format!("{forged}{MESSAGE}")).await;
    assert_eq!(answer, DONE);
    let stored = scene.only_message("jane").await;
    assert!(!stored.contains("MX.example.org") && !stored.contains("victim.example"), "{stored}");
    assert!(stored.contains("\r\nAuthentication-Results: mx.list.example; spf=pass\r\nFrom: "), "{stored}");
}

#[tokio::test(start_paused = true)]
async fn a_forged_author_is_refused_where_the_policy_says_so() {
    let scene = scene().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    client.say("MAIL FROM:<a@client.example>\r\nRCPT TO:<jane@example.org>\r\nDATA\r\n").await;
    client.play("S: 250 2.1.0 sender ok\nS: 250 2.1.5 recipient ok").await;
    client.hear("354 send the message, end with a dot on a line").await;
    client.say(&format!("{SPOOF}\r\n.\r\n")).await;
    let reply = client.line().await.unwrap();
    assert_eq!(
        without_mark(&reply),
        "550 5.7.1 refused by the DMARC policy of victim.example (p=reject): for victim.example, SPF passed for \
         client.example, which is not aligned, and there is no DKIM signature"
    );
    assert!(scene.inbox("jane").await.is_empty() && scene.mailbox("jane", "Junk").await.unwrap().is_empty());
    assert_eq!(scene.evaluations.take(), ["192.0.2.7 client.example example.org: victim.example fail reject []"]);
    // The sender has the word by which it is found.
    let mark = reply.rsplit_once('(').unwrap().1.trim_end_matches(')');
    let refused = scene.store.refused().find(mark, 10).await.unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!(decision(&refused[0].payload), r#""reject" ["dmarc-policy"]"#);
    let words = why::explain(&refused[0].payload).unwrap();
    assert!(words.contains(
        "a MAIL FROM address in victim.example, with an SPF record of victim.example that lists 192.0.2.7, or"
    ));
}

#[tokio::test(start_paused = true)]
async fn nobody_hides_behind_other_authors() {
    let scene = scene().await;
    let others = |count: usize| (0..count).map(|n| format!("a@a{n}.example, ")).collect::<String>();
    let message = |count| SPOOF.replace("From: ", &format!("From: {}", others(count)));
    let reply = scene.arrive("a@client.example", "jane@example.org", &message(2)).await;
    assert!(reply.starts_with("550 5.7.1 refused by the DMARC policy of victim.example"), "{reply}");
    assert_eq!(
        scene.arrive("a@client.example", "jane@example.org", &message(20)).await,
        "550 5.7.1 addresses of too many domains in the From header"
    );
    assert_eq!(decision(&scene.refused().await[0].payload), r#""reject" ["too-many-authors"]"#);
}

#[tokio::test(start_paused = true)]
async fn a_suspect_author_goes_to_junk() {
    let scene = scene().await;
    let remove = |write: &mut Write<'_>| {
        let junk = write.mailbox_by_name("Junk")?.expect("accounts begin with one");
        write.delete_mailbox(junk.id)
    };
    scene.account("jane").await.write(remove).await.unwrap();
    for count in 1..=2 {
        assert_eq!(scene.arrive("a@client.example", "jane@example.org", SUSPECT).await, DONE);
        assert_eq!(scene.mailbox("jane", "Junk").await.unwrap().len(), count);
    }
    assert!(scene.inbox("jane").await.is_empty());
    assert_eq!(scene.evaluations.take(), ["192.0.2.7 client.example example.org: wary.example fail quarantine []"; 2]);
    assert_eq!(decision(&scene.facts("jane").await[0].payload), r#""junk" ["dmarc-policy"]"#);
    // Where somebody has a mailbox for junk, it goes there, whatever it is called.
    let joe = scene.account("joe").await;
    joe.write(|write| write.create_mailbox("Spam", Some(SpecialUse::Junk)).map(drop)).await.unwrap();
    assert_eq!(scene.arrive("a@client.example", "joe@example.org", SUSPECT).await, DONE);
    assert_eq!(scene.mailbox("joe", "Spam").await.unwrap().len(), 1);
    assert!(scene.mailbox("joe", "Junk").await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_decided_now_comes_again() {
    let (signer, record) = signer("victim.example");
    let scene = setting(zones().with("s1._domainkey.victim.example", record)).build().await;
    let broken = signed(&scene, &signer, SPOOF).replace("body", "another body");
    let from = "a@slow.victim.example";
    assert_eq!(
        scene.arrive(from, "jane@example.org", &broken).await,
        "451 4.7.1 whether this message is from victim.example cannot be checked now, try again later"
    );
    assert_eq!(scene.evaluations.take(), [""; 0], "it will be judged when it comes again");
    assert_eq!(decision(&scene.refused().await[0].payload), r#""defer" ["authentication-undecided"]"#);
    // With a good signature nobody needs SPF.
    assert_eq!(scene.arrive(from, "jane@example.org", &signed(&scene, &signer, SPOOF)).await, DONE);
    let results = field(&scene.only_message("jane").await, "Authentication-Results");
    assert!(results.contains("; spf=temperror ") && results.contains("; dmarc=pass "), "{results}");
}

#[tokio::test(start_paused = true)]
async fn a_signature_is_enough() {
    let (signer, record) = signer("victim.example");
    let scene = setting(zones().with("s1._domainkey.victim.example", record)).build().await;
    let message = signed(&scene, &signer, SPOOF);
    assert_eq!(scene.arrive("a@client.example", "jane@example.org", &message).await, DONE);
    let broken = message.replace("Subject: hi", "Subject: ho");
    let reply = scene.arrive("a@client.example", "jane@example.org", &broken).await;
    assert!(
        reply.starts_with("550 5.7.1 ") && reply.ends_with("DKIM victim.example: signature did not verify"),
        "{reply}"
    );
    assert_eq!(scene.inbox("jane").await.len(), 1);
}

/// A server where jane trusts a list and joe a forwarder.
async fn trusting(zones: Zones) -> Scene {
    let rules = "\n[[accounts.jane.rules]]\nmailing-list = \"list.example\"\nmailbox = \"Lists\"\n\
                 [[accounts.joe.rules]]\nforwarder = \"list.example\"\n";
    Setting { config: format!("{CONFIG}{rules}"), ..setting(zones) }.build().await
}

#[tokio::test(start_paused = true)]
async fn trusted_servers_may_break_what_dmarc_looks_at() {
    let scene = trusting(zones()).await;
    for (recipient, account, mailbox, word, reason) in [
        ("jane@example.org", "jane", "Lists", "mailing_list", "list-allow"),
        ("joe@example.org", "joe", "Inbox", "trusted_forwarder", "forwarded"),
    ] {
        assert_eq!(scene.arrive("list-bounces@list.example", recipient, SPOOF).await, DONE);
        let stored = scene.mailbox(account, mailbox).await.unwrap().remove(0);
        let results = field(&stored, "Authentication-Results");
        assert!(results.contains(&format!("; dmarc=fail (override {word}, without dnssec) ")), "{results}");
        assert_eq!(
            scene.evaluations.take(),
            [format!("192.0.2.7 list.example example.org: victim.example fail none [{word}]")]
        );
        let facts = scene.facts(account).await;
        assert_eq!(decision(&facts[0].payload), format!(r#""accept" ["{reason}"]"#));
        let words = why::explain(&facts[0].payload).unwrap();
        assert!(
            words.contains("without the rule of the recipient that trusts list.example it would have been refused")
        );
        // Where nothing is asked for, nothing is overridden.
        let own = MESSAGE.replace("client.example", "list.example");
        assert_eq!(scene.arrive("list-bounces@list.example", recipient, &own).await, DONE);
        assert_eq!(scene.evaluations.take(), ["192.0.2.7 list.example example.org: list.example none none []"]);
        let stored = scene.mailbox(account, mailbox).await.unwrap().remove(1);
        assert!(!stored.contains("override"), "{stored}");
    }
    // Whoever only says to be the list is nobody.
    assert!(scene.arrive("a@client.example", "jane@example.org", SPOOF).await.starts_with("550 5.7.1 "));
    // Others do not trust it.
    assert!(scene.arrive("list-bounces@list.example", "poor@example.org", SPOOF).await.starts_with("550 5.7.1 "));
}

#[tokio::test(start_paused = true)]
async fn each_recipient_has_a_verdict() {
    let scene = trusting(zones()).await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    let recipients = ["jane@example.org", "off@example.org"];
    assert_eq!(client.send("list-bounces@list.example", &recipients, SPOOF).await, DONE);
    assert_eq!(scene.mailbox("jane", "Lists").await.unwrap().len(), 1);
    assert!(scene.inbox("off").await.is_empty());
    let queued = scene.queued().await;
    assert!(queued[0].message.contains("  <off@example.org>\r\n    550 5.7.1 refused by the DMARC policy"));
    assert_eq!((scene.facts("jane").await.len(), scene.refused().await.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_stored_is_not_reported() {
    let scene = scene().await;
    let answer = scene.arrive("a@client.example", "poor@example.org", MESSAGE).await;
    assert_eq!(answer, "452 4.2.2 account storage full");
    assert_eq!(scene.evaluations.take(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn records_have_an_end_whatever_the_dns_says() {
    let key = "x._domainkey.victim.example";
    let records = (0..30).map(|n| txt(&format!("{n}{}", "\"x".repeat(400))));
    let scene = setting(records.fold(zones(), |zones, record| zones.with(key, record))).build().await;
    let hash = "A".repeat(43);
    let signature = format!("DKIM-Signature: v=1; a=rsa-sha256; d=victim.example; s=x; h=from; bh={hash}=; b=aGk=\r\n");
    let signature = signature.repeat(8);
    let reply = scene.arrive("a@client.example", "jane@example.org", &format!("{signature}{SPOOF}")).await;
    assert!(reply.starts_with("550 5.7.1 ") && reply.len() < 1000, "{reply}");
    let refused = scene.refused().await;
    let words = why::explain(&refused[0].payload).unwrap();
    assert!(words.contains("more questions, whose answers were not kept"), "{words}");
    assert!(words.contains("TXT _dmarc.victim.example: \"v=DMARC1; p=reject\" (not proved)"), "{words}");
}

#[tokio::test(start_paused = true)]
async fn a_message_to_many_keeps_a_few_refusals() {
    let scene = scene().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    let recipients: Vec<String> = (0..30).map(|n| format!("nobody{n}@example.org")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    assert_eq!(client.send("a@client.example", &recipients, MESSAGE).await, "550 5.1.1 no such user");
    assert_eq!(scene.store.refused().find(&mark(), 100).await.unwrap().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_in_a_sandbox() {
    let mut setting = setting(zones());
    setting.settings.sandbox = Sandbox::On;
    setting.config = CONFIG.replacen("postmaster =", "sandbox = { account = \"jane\" }\npostmaster =", 1);
    let scene = setting.build().await;
    assert_eq!(scene.arrive("a@client.example", "whoever@elsewhere.example", SPOOF).await, DONE);
    let stored = scene.only_message("jane").await;
    assert!(!stored.contains("Authentication-Results") && !stored.contains("Received-SPF"), "{stored}");
    assert_eq!(scene.zones.asked(), []);
    assert_eq!(scene.evaluations.take(), [""; 0]);
    let facts = scene.facts("jane").await;
    assert_eq!(decision(&facts[0].payload), r#""accept" ["unchecked"]"#);
    assert!(why::explain(&facts[0].payload).unwrap().contains("nothing about its sender was checked"));
}

/// A key file in a directory, as the configuration names it, and the record of the key.
fn key_file(directory: &Path, selector: &str, key_type: KeyType) -> (String, Record) {
    let (pem, key) = new_key(key_type);
    let file = directory.join(format!("{selector}.pem"));
    std::fs::write(&file, pem).unwrap();
    let config =
        format!("\n[[domains.\"example.org\".dkim]]\nselector = \"{selector}\"\nkey = {:?}\n", file.to_str().unwrap());
    (config, Record::Txt(KeyRecord::new(key.public_key().clone()).to_txt()))
}

#[tokio::test(start_paused = true)]
async fn submitted_mail_is_signed() {
    let keys = TempDir::new().unwrap();
    let (small, small_record) = key_file(keys.path(), "small", KeyType::Ed25519);
    let (large, large_record) = key_file(keys.path(), "large", KeyType::Rsa);
    let config = format!("{CONFIG}{small}{large}");
    let scene = Setting { config, passwords: &["jane"], ..Setting::new() }.build().await;
    let mut client = scene.submissions().await;
    client.ehlo().await;
    client.login("jane").await;
    // Message-ID and Date are added, and covered.
    let message = "From: jane@example.org\r\nSubject: hi\r\n\r\nbody\r\n\r\n";
    let answer = client.send("jane@example.org", &["you@elsewhere.example"], message).await;
    assert_eq!(answer, "250 2.0.0 it is queued");
    let queued = scene.queued().await.remove(0).message;
    let zones = Zones::new()
        .with("small._domainkey.example.org", small_record)
        .with("large._domainkey.example.org", large_record);
    let now = system_time(scene.server.services.clock.now());
    let policy = dkim::Policy::new(now, &psl::is_public_suffix);
    let verify = async |message: &str| {
        let verification = dkim::verify(message.as_bytes(), &AwsLcRs, &zones, &policy).await;
        let outcomes = verification.outcomes.iter();
        outcomes.map(|it| format!("{} {}", it.algorithm().unwrap().name(), it.status)).collect::<Vec<_>>()
    };
    assert_eq!(verify(&queued).await, ["rsa-sha256 pass", "ed25519-sha256 pass"], "{queued}");
    let changed = queued.replacen("\r\nDate: ", "\r\nDate: x", 1);
    assert_ne!(changed, queued);
    assert_eq!(verify(&changed).await, ["rsa-sha256 fail", "ed25519-sha256 fail"]);
    let signature = field(&queued, "DKIM-Signature");
    let second =
        |tag: &str| -> u64 { signature.split("; ").find_map(|part| part.strip_prefix(tag)).unwrap().parse().unwrap() };
    assert_eq!(second("x=") - second("t="), 3 * 86_400, "{signature}");
}

/// Selectors of the signatures of a message, as it is queued.
async fn selectors(scene: &Scene, message: &str) -> Vec<String> {
    let mut client = scene.submissions().await;
    client.ehlo().await;
    client.login("jane").await;
    assert_eq!(client.send("jane@example.org", &["you@elsewhere.example"], message).await, "250 2.0.0 it is queued");
    let queued = scene.queued().await.pop().unwrap().message.replace("\r\n ", " ");
    let fields = queued.lines().filter(|line| line.starts_with("DKIM-Signature:"));
    fields.map(|field| field.split("; ").find_map(|part| part.strip_prefix("s=")).unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn keys_are_swapped_while_the_server_runs() {
    const MESSAGE: &str = "From: jane@example.org\r\nSubject: hi\r\n\r\nbody\r\n";
    let keys = TempDir::new().unwrap();
    let (old, _) = key_file(keys.path(), "old", KeyType::Ed25519);
    let (new, record) = key_file(keys.path(), "new", KeyType::Ed25519);
    let directory = |keys: &str| Config::parse(&format!("{CONFIG}{keys}"), "test.toml".as_ref()).unwrap().directory;
    let scene = Setting { config: format!("{CONFIG}{old}"), passwords: &["jane"], ..Setting::new() }.build().await;
    let configured = watch::Sender::new(directory(&old));
    let shutdown = Shutdown::new(Duration::ZERO);
    let task = tokio::spawn(scene.server.services.signing.clone().follow(configured.subscribe(), shutdown.clone()));
    assert_eq!(selectors(&scene, MESSAGE).await, ["old"]);

    let swap = async |keys: &str| {
        configured.send_replace(directory(keys));
        // The task is all that has anything to do.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    };
    swap(&format!("{old}{new}")).await;
    assert_eq!(selectors(&scene, MESSAGE).await, ["old", "new"]);
    // The same file with another key counts too; with no key at all everything stays.
    let (_, other) = key_file(keys.path(), "new", KeyType::Ed25519);
    assert_ne!(other, record);
    swap(&new).await;
    assert_eq!(selectors(&scene, MESSAGE).await, ["new"]);
    let queued = scene.queued().await.pop().unwrap().message;
    let zones = Zones::new().with("new._domainkey.example.org", other);
    let policy = dkim::Policy::new(system_time(scene.server.services.clock.now()), &psl::is_public_suffix);
    let verification = dkim::verify(queued.as_bytes(), &AwsLcRs, &zones, &policy).await;
    assert_eq!(verification.outcomes[0].status, dkim::Status::Pass, "{:?}", verification.outcomes[0].reasons);
    std::fs::write(keys.path().join("old.pem"), "no key").unwrap();
    swap(&old).await;
    assert_eq!(selectors(&scene, MESSAGE).await, ["new"]);
    swap("").await;
    assert_eq!(selectors(&scene, MESSAGE).await, [""; 0]);
    shutdown.begin();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_made_shorter_is_signed_as_it_is_sent() {
    let keys = TempDir::new().unwrap();
    let (key, record) = key_file(keys.path(), "key", KeyType::Ed25519);
    let scene = Setting { config: format!("{CONFIG}{key}"), passwords: &["jane"], ..Setting::new() }.build().await;
    let message =
        format!("From: jane@example.org\r\nSubject: {}\r\n\r\n{}", "many words ".repeat(100), "x".repeat(2000));
    assert_eq!(selectors(&scene, &message).await, ["key"]);
    let queued = scene.queued().await.remove(0).message;
    assert!(queued.lines().all(|line| line.len() <= 998), "{queued}");
    let zones = Zones::new().with("key._domainkey.example.org", record);
    let policy = dkim::Policy::new(system_time(scene.server.services.clock.now()), &psl::is_public_suffix);
    let verification = dkim::verify(queued.as_bytes(), &AwsLcRs, &zones, &policy).await;
    assert_eq!(verification.outcomes[0].status, dkim::Status::Pass, "{:?}", verification.outcomes[0].reasons);
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_used_are_named() {
    let keys = TempDir::new().unwrap();
    let (config, _) = key_file(keys.path(), "small", KeyType::Ed25519);
    let directory = Config::parse(&format!("{CONFIG}{config}"), "test.toml".as_ref()).unwrap().directory;
    assert!(Signing::load(&directory).is_ok());
    for octets in [Some("no key"), None] {
        match octets {
            Some(octets) => std::fs::write(keys.path().join("small.pem"), octets).unwrap(),
            None => std::fs::remove_file(keys.path().join("small.pem")).unwrap(),
        }
        let error = Signing::load(&directory).unwrap_err();
        assert_eq!((error.domain.as_ascii(), error.selector.as_str()), ("example.org", "small"));
        assert!(error.to_string().starts_with("the DKIM key "), "{error}");
    }
}

/// Reasons and reply of a record.
fn told(payload: &[u8]) -> (String, String) {
    let record: serde_json::Value = serde_json::from_slice(payload).unwrap();
    (record["reasons"].to_string(), record["reply"].as_str().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn refusals_before_the_checks_can_be_explained() {
    let mut setting = setting(zones());
    setting.settings.message_max = 600 * 1024;
    let scene = setting.build().await;
    let large = |header: usize, body: usize| format!("A: {}\r\n\r\n{}", "x ".repeat(header), "y\r\n".repeat(body));
    for (message, reason, advice) in [
        (format!("{}{MESSAGE}", "Received: x\r\n".repeat(101)), "loop", "no rule or forwarding"),
        (format!("{MESSAGE}\n.\nmore"), "line-endings", "CR LF"),
        (format!("{MESSAGE}a\rb"), "line-endings", "CR LF"),
        (large(1, 250_000), "too-large", "smaller attachments"),
        // So large that the session ends without waiting for its end.
        (large(1, 500_000), "too-large", "smaller attachments"),
        (large(270_000, 1), "too-large", "smaller attachments"),
    ] {
        let mut client = scene.inbound().await;
        client.ehlo().await;
        client
            .say("MAIL FROM:<a@client.example>\r\nRCPT TO:<jane@example.org>\r\nRCPT TO:<joe@example.org>\r\nDATA\r\n")
            .await;
        for _ in 0..4 {
            client.reply().await;
        }
        client.say(&format!("{message}\r\n.\r\n")).await;
        let answer = client.line().await.unwrap();
        assert!(answer.ends_with(&format!(" ({})", mark())), "the reply has the id: {answer}");
        let refused = &scene.refused().await[0];
        let answer = without_mark(&answer).to_owned();
        assert_eq!(told(&refused.payload), (format!("[\"{reason}\"]"), answer.clone()));
        let words = why::explain(&refused.payload).unwrap();
        assert!(words.contains("from <a@client.example> to jane@example.org and 1 more"), "{words}");
        assert!(words.contains("refused, because it ") && words.contains(advice) && words.contains(&answer), "{words}");
    }
    assert_eq!(scene.refused().await.len(), 6, "one for each message");
}

#[tokio::test(start_paused = true)]
async fn failures_to_store_can_be_explained() {
    let scene = scene().await;
    let answer = scene.arrive("a@client.example", "poor@example.org", MESSAGE).await;
    let refused = &scene.refused().await[0];
    assert_eq!(told(&refused.payload), (r#"["storage"]"#.to_owned(), answer));
    let words = why::explain(&refused.payload).unwrap();
    assert!(words.contains("refused for then, because it could not be stored"), "{words}");
    assert!(words.contains("SPF: pass for client.example") && words.contains("a quota"), "{words}");
}
