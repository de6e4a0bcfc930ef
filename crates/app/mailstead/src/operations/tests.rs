//! The commands on a store and a configuration file of the test's own.

use std::fs;

use mailstead_testkit::TempStore;

use super::*;

const CONFIG: &str = r#"# ours
hostname = "mail.example.org"
data-directory = "data"
postmaster = "jane"
[[listener]]
addresses = "127.0.0.1"
smtp = 25
[domains."example.org"]
[accounts.jane]
addresses = ["jane@example.org"]
quota = "2 GB"
"#;

struct Bench {
    store: TempStore,
    config: ConfigWatch,
}

impl Bench {
    async fn new() -> Self {
        Self::with("").await
    }

    /// With something more in the configuration.
    async fn with(more: &str) -> Self {
        let store = TempStore::open().await;
        let file = store.directory().join("mailstead.toml");
        fs::write(&file, format!("{CONFIG}{more}")).unwrap();
        Bench { config: ConfigWatch::load(&file).unwrap(), store }
    }

    async fn perform(&self, request: Request) -> Result<String, String> {
        let sending = Sending::idle(&self.config, &self.config.current(), &self.store).await.unwrap();
        let site = Site { store: &self.store, config: &self.config, sending: &sending };
        let (parts, mut given) = Parts::new();
        let read = async {
            let mut texts = Vec::new();
            while let Some(text) = given.recv().await {
                texts.push(text);
            }
            texts
        };
        let (outcome, mut texts) = tokio::join!(site.perform(request, parts), read);
        texts.push(outcome.map_err(|failure| failure.to_string())?);
        texts.retain(|text| !text.is_empty());
        Ok(texts.join("\n"))
    }

    async fn password_is(&self, account: &str, password: &str) -> bool {
        let account = self.store.account(account).await.unwrap().map(|account| account.id());
        self.store.verify_password(account, &Secret::new(password.to_owned())).await.unwrap()
    }
}

fn add(name: &str, address: &str, password: &str) -> Request {
    Request::AccountAdd { name: name.into(), addresses: vec![address.into()], password: Clear(password.into()) }
}

#[tokio::test]
async fn accounts_come_and_go() {
    let bench = Bench::new().await;
    bench.perform(add("joe", "joe@example.net", "a good password")).await.unwrap();
    assert!(bench.password_is("joe", "a good password").await);
    let listed = bench.perform(Request::AccountList).await.unwrap();
    assert_eq!(listed, "jane  jane@example.org  0 B of 2.0 GB\njoe  joe@example.net  0 B");

    // By an address too, and for an account that was only in the configuration.
    let account = "JANE@example.org".to_owned();
    bench.perform(Request::AccountPassword { account, password: Clear("another one".into()) }).await.unwrap();
    assert!(bench.password_is("jane", "another one").await);

    bench.perform(Request::AccountRemove { name: "joe".into() }).await.unwrap();
    assert!(bench.store.account("joe").await.unwrap().is_none());
    assert!(bench.config.current().directory.account("joe").is_none());
    assert!(fs::read_to_string(bench.config.file()).unwrap().starts_with("# ours"));
    for reading in [Reading::Rows, Reading::Messages] {
        let clean = Request::StoreCheck { reading, orphans: Orphaned::Keep };
        assert!(bench.perform(clean).await.unwrap().ends_with("no problems"));
    }
}

#[tokio::test]
async fn what_fails_leaves_everything_as_it_was() {
    let bench = Bench::new().await;
    for (request, reason) in [
        (add("joe", "joe@example.net", "short"), "shorter than 8 characters"),
        (add("joe", "jane@example.org", "a good password"), "belongs to account `jane` already"),
        (add("jane", "j@example.org", "a good password"), "is there already"),
        (add("../joe", "j@example.org", "a good password"), "cannot be the name"),
        (Request::AccountPassword { account: "joe".into(), password: Clear("a good password".into()) }, "no account"),
        (Request::AccountRemove { name: "joe".into() }, "no account"),
        // The postmaster's account is referred to.
        (Request::AccountRemove { name: "jane".into() }, "there is no account `jane`"),
        (Request::Stop, "no server"),
    ] {
        let answer = bench.perform(request).await.unwrap_err();
        assert!(answer.contains(reason), "{answer}");
        assert_eq!(fs::read_to_string(bench.config.file()).unwrap(), CONFIG);
        assert!(bench.store.accounts().await.unwrap().is_empty());
    }
}

#[test]
fn requests_do_not_show_passwords() {
    let request = Request::AccountPassword { account: "jane".into(), password: Clear("hunter2".into()) };
    assert!(!format!("{request:?}").contains("hunter2"));
    let sent = serde_json::to_string(&request).unwrap();
    assert_eq!(sent, r#"{"request":"account-password","account":"jane","password":"hunter2"}"#);
}

#[test]
fn sizes() {
    let shown = [0, 999, 1000, 1_250_000, 3_999_999_999].map(in_units);
    assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "1.2 MB", "3.9 GB"]);
}

/// A record of an arrival, as the SMTP server keeps it.
fn arrival(recipient: &str, decision: &str) -> Vec<u8> {
    format!(
        r#"{{"at":"2026-01-15T12:00:00Z","decision":"{decision}","hello":"client.example","id":"-mark","mail-from":"<a@client.example>","protocol":"ESMTP","rcpt-to":"{recipient}","reasons":[],"remote":"192.0.2.7"}}"#
    )
    .into_bytes()
}

#[tokio::test]
async fn messages_are_explained_by_their_id() {
    use mailstead_store::{Facts, Flags, NewMessage, Refused};
    let bench = Bench::new().await;
    let why = |id: &str, form| bench.perform(Request::MessageWhy { id: id.into(), form });
    let at = "2026-01-15T12:00:00Z".parse().unwrap();
    let refused = Refused { reference: "-mark".into(), at, version: 2, payload: arrival("joe@example.org", "reject") };
    bench.store.refused().put(refused).await.unwrap();
    bench.perform(add("joe", "joe@example.net", "a good password")).await.unwrap();
    let joe = bench.store.account("joe").await.unwrap().unwrap();
    let mut stage = bench.store.stage();
    stage.write(b"Subject: hi\r\n\r\nbody\r\n").await.unwrap();
    let staged = stage.finish().await.unwrap();
    let kept = joe.write(move |write| {
        let facts = |payload| Facts { kind: record::KIND.into(), version: 2, payload, reference: Some("-mark".into()) };
        let mailbox = write.mailbox_by_name("Inbox")?.expect("an inbox").id;
        for payload in [arrival("joe@example.net", "accept"), b"unreadable".to_vec()] {
            write.append(&NewMessage {
                mailbox,
                staged: staged.clone(),
                prefix: Vec::new(),
                flags: Flags::default(),
                received_at: at,
                facts: vec![facts(payload)],
            })?;
        }
        Ok(())
    });
    kept.await.unwrap();

    let words = why("(-mark)", Form::Words).await.unwrap();
    let parts: Vec<&str> = words.split("\n\n").collect();
    assert_eq!(parts.len(), 3, "{words}");
    assert!(parts[0].contains("to joe@example.org\n") && parts[0].ends_with("\nrefused"), "{words}");
    assert_eq!(parts[1], "kept in account joe: a record that this version cannot read; --json shows it");
    assert!(parts[2].contains("to joe@example.net\n") && parts[2].ends_with("\naccepted"), "{words}");
    let json = why("-mark", Form::Json).await.unwrap();
    assert_eq!(json.lines().count(), 3);
    assert_eq!(json.lines().next().unwrap().as_bytes(), arrival("joe@example.org", "reject"));
    let failure = why("mark", Form::Words).await.unwrap_err();
    assert!(failure.contains("nothing is known of a message with the id `mark`"), "{failure}");
}

/// A queue with three messages, one of which has been tried.
async fn with_queue() -> Bench {
    use mailstead_names::ReversePath;
    use mailstead_queue::{Envelope, MessageClass, Notification};
    let bench = Bench::new().await;
    let sending = Sending::idle(&bench.config, &bench.config.current(), &bench.store).await.unwrap();
    for (from, to) in [("jane", "a@one.example"), ("jane", "b@two.example"), ("joe", "c@one.example")] {
        let mut stage = bench.store.stage();
        stage.write(b"Subject: hi\r\n\r\nbody\r\n").await.unwrap();
        let envelope = Envelope {
            submitter: None,
            sender: ReversePath::parse(&format!("<{from}@example.org>")).unwrap(),
            recipients: vec![Address::parse(to).unwrap().into()],
            eight_bit: false,
            smtputf8: false,
            notification: Notification::default(),
        };
        let staged = stage.finish().await.unwrap();
        let class = MessageClass::Submission;
        sending.queue.enqueue(envelope, Vec::new(), staged, Demand::default(), class).await.unwrap();
    }
    bench
}

fn listing(filter: Filter, form: Form) -> Request {
    Request::QueueList { filter, sort: queue::Sort::Queued, results: queue::Results::Last, form }
}

fn to(pattern: &str) -> Filter {
    Filter { to: Some(pattern.parse().unwrap()), ..Filter::default() }
}

fn rows(listed: &str) -> Vec<serde_json::Value> {
    listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_queue_is_listed_by_filters_that_all_count() {
    let bench = with_queue().await;
    let recipients = |filter: Filter| {
        let listed = bench.perform(listing(filter, Form::Json));
        async move { rows(&listed.await.unwrap()).iter().map(|row| row["to"].to_string()).collect::<Vec<_>>().join(" ") }
    };
    assert_eq!(recipients(Filter::default()).await, r#""a@one.example" "b@two.example" "c@one.example""#);
    let from = || Some("JANE".parse().unwrap());
    assert_eq!(recipients(Filter { from: from(), ..to("@one.example") }).await, r#""a@one.example""#);
    assert_eq!(recipients(Filter { max: Some(1), ..Filter::default() }).await, r#""a@one.example""#);
    assert_eq!(recipients(Filter { submitted: Some(">36500d".parse().unwrap()), ..Filter::default() }).await, "");
    let none = bench.perform(listing(to("@three.example"), Form::Words)).await.unwrap();
    assert_eq!(none, "nothing waits");
    let words = bench.perform(listing(to("@two.example"), Form::Words)).await.unwrap();
    assert!(words.contains("<jane@example.org> to b@two.example, message "), "{words}");
}

#[tokio::test]
async fn the_queue_is_changed_only_where_that_is_meant() {
    let bench = with_queue().await;
    let perform = |filter, scope, deed| bench.perform(Request::QueueDo { filter, scope, deed });
    let none = Filter::default;
    let hours = |hours| Deed::Schedule(jiff::SignedDuration::from_hours(hours));
    for deed in [Deed::Drop, Deed::Fail, hours(0)] {
        let refused = perform(none(), queue::Scope::Named, deed).await.unwrap_err();
        assert!(refused.contains("--all"), "{refused}");
    }
    let one = || to("@one.example");
    assert_eq!(perform(one(), queue::Scope::Named, hours(2)).await.unwrap(), "2 of 2 scheduled");
    let due = Filter { next: Some("<1h".parse().unwrap()), ..none() };
    let listed = rows(&bench.perform(listing(due, Form::Json)).await.unwrap());
    assert_eq!(listed.len(), 1);

    let id = listed[0]["id"].as_i64().unwrap();
    assert_eq!(bench.perform(Request::QueueDump { id }).await.unwrap(), "U3ViamVjdDogaGkNCg0KYm9keQ0K");
    let unknown = bench.perform(Request::QueueDump { id: 12345 }).await.unwrap_err();
    assert!(unknown.contains("no message 12345"), "{unknown}");

    assert_eq!(perform(one(), queue::Scope::Named, Deed::Drop).await.unwrap(), "2 of 2 dropped");
    let given_up = perform(none(), queue::Scope::All, Deed::Fail).await.unwrap();
    assert_eq!(given_up, "1 of 1 given up, and their senders told");
}

#[tokio::test]
async fn tls_results_and_policies_are_listed() {
    use mailstead_names::{Domain, Host};
    use mailstead_queue::{MessageClass, TlsResultSink as _, TlsResults, TlsSession};
    use mailstead_tlspolicy::plan::{AttributedPolicy, Scope, Terms, TlsResult};
    use mailstead_tlspolicy::report::{FailureReason, ResultType};
    let bench = Bench::new().await;
    let sending = Sending::idle(&bench.config, &bench.config.current(), &bench.store).await.unwrap();
    let domain = |name: &str| Domain::parse(name).unwrap();
    let result = |name, scope, failure| TlsResult {
        policy: AttributedPolicy { domain: domain(name), scope, terms: Terms::NoPolicyFound },
        failure,
    };
    let expired = FailureReason::with_code(ResultType::CertificateExpired, "yesterday");
    sending.ledger.record(TlsResults {
        recipient_domain: domain("other.example"),
        class: MessageClass::Submission,
        at: "2026-11-25T12:00:00Z".parse().unwrap(),
        results: vec![
            result("other.example", Scope::RecipientDomain, Some(expired)),
            result("mx.other.example", Scope::MxHost, None),
        ],
        host: Some(Host::Domain(domain("mx.other.example"))),
        session: Some(TlsSession {
            sending_mta_ip: Some([192, 0, 2, 1].into()),
            receiving_ip: [192, 0, 2, 25].into(),
            receiving_mx_helo: None,
        }),
    });
    sending.ledger.flush().await;
    let ask = |domain: Option<&str>, form| {
        bench.perform(Request::TlsResults { domain: domain.map(str::to_owned), day: None, form })
    };
    insta::assert_snapshot!(ask(None, Form::Words).await.unwrap());
    insta::assert_snapshot!(ask(Some("mx.other.example"), Form::Json).await.unwrap());
    assert_eq!(ask(Some("third.example"), Form::Words).await.unwrap(), "no results");
    for (day, found) in [("2026-11-25", 2), ("2026-11-26", 0)] {
        let request = Request::TlsResults { domain: None, day: day.parse().ok(), form: Form::Json };
        assert_eq!(bench.perform(request).await.unwrap().lines().count(), found, "{day}");
    }
    assert_eq!(bench.perform(Request::PolicyCache { form: Form::Words }).await.unwrap(), "no policies");
    let forgotten = bench.perform(Request::PolicyForget { domain: "other.example".into() }).await.unwrap_err();
    assert!(forgotten.contains("no policy of other.example"), "{forgotten}");
}

#[tokio::test]
async fn the_route_that_delivery_would_take_is_explained() {
    let routes = r#"
[transports.news]
kind = "relay"
next-hop = "192.0.2.25:465"
security = "tls"
[transports.no]
kind = "fail"
text = "Not to them"
[[route]]
transport = "news"
from = ".news.example.org"
[[route]]
transport = "no"
minimum-attempts = 2
[[route]]
transport = "news"
accounts = "jane"
"#;
    let bench = Bench::with(routes).await;
    create(&bench.store, &mailstead_config::AccountName::parse("jane").unwrap(), None).await.unwrap();
    let explained = async |sender: &str, attempts, form| {
        let (sender, recipient) = (sender.to_owned(), "a@[192.0.2.9]".to_owned());
        let request = Request::TransportExplain { sender, recipient, attempts, demand: Default::default(), form };
        bench.perform(request).await.unwrap()
    };
    insta::assert_snapshot!(explained("<x@news.example.org>", 2, Form::Words).await);
    insta::assert_snapshot!(explained("<>", 2, Form::Words).await);
    let object = |text: String| -> serde_json::Value { serde_json::from_str(&text).unwrap() };
    let relayed = object(explained("<x@news.example.org>", 0, Form::Json).await);
    assert_eq!((&relayed["transport"], &relayed["port"]), (&"news".into(), &465.into()));
    // Jane's own address is one that her account submits from.
    assert_eq!(object(explained("<jane@example.org>", 0, Form::Json).await)["transport"], "news");
    assert_eq!(object(explained("<john@example.org>", 0, Form::Json).await)["transport"], serde_json::Value::Null);
    let refused = object(explained("<>", 2, Form::Json).await);
    assert_eq!((&refused["way"], &refused["transport"]), (&"fail".into(), &"no".into()));
    assert_eq!((&refused["failure"]["permanent"], &refused["failure"]["status"]), (&true.into(), &"5.7.1".into()));
    let direct = object(explained("<>", 1, Form::Json).await);
    assert_eq!((&direct["transport"], &direct["port"]), (&serde_json::Value::Null, &25.into()));
}

/// A key in the words of a request, with its fingerprint.
fn new_key() -> (String, String) {
    use base64::Engine as _;
    let made = mailstead_net::ClientIdentity::generate("test").unwrap().key;
    (base64::engine::general_purpose::STANDARD.encode(made.der()), made.fingerprint().to_string())
}

fn add_key(address: &str, name: &str, preauth: tls_keys::Preauth, key: &str) -> Request {
    Request::TlsKeyAdd { address: address.into(), name: name.into(), preauth, key: key.into() }
}

#[tokio::test]
async fn keys_come_and_go() {
    use tls_keys::Preauth;
    let bench = Bench::new().await;
    bench.perform(add("joe", "joe@example.net", "a good password")).await.unwrap();
    let list =
        |account: Option<&str>, form| bench.perform(Request::TlsKeyList { account: account.map(Into::into), form });
    assert_eq!(list(None, Form::Words).await.unwrap(), "no keys");
    assert_eq!(list(None, Form::Json).await.unwrap_or_default(), "");
    let [(first, first_print), (second, second_print)] = [new_key(), new_key()];
    // The account is made where it was only in the configuration.
    let answer = bench.perform(add_key("Jane@Example.org", "laptop", Preauth::Allowed, &first)).await.unwrap();
    let lower = answer.to_lowercase();
    assert_eq!(lower, format!("key {first_print} (ecdsa-p256) lets in as jane@example.org, account `jane`"));
    bench.perform(add_key("joe@example.net", "", Preauth::Refused, &second)).await.unwrap();

    let listed = list(None, Form::Words).await.unwrap();
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with(&first_print) && lines[0].ends_with("Z  laptop"), "{listed}");
    assert!(lines[1].starts_with(&format!("{second_print}  joe@example.net  ecdsa-p256, added 2")), "{listed}");
    assert!(lines[1].ends_with("Z, no IMAP preauth"), "{listed}");
    for name in ["joe", "joe@example.net"] {
        let listed = list(Some(name), Form::Json).await.unwrap();
        let object: serde_json::Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(object["fingerprint"], second_print);
        assert_eq!((&object["account"], &object["login"]), (&"joe".into(), &"joe@example.net".into()));
        assert_eq!((&object["imap_preauth"], &object["usable"]), (&false.into(), &true.into()));
    }
    let removed = bench.perform(Request::TlsKeyRemove { fingerprint: second_print.to_uppercase() }).await.unwrap();
    assert!(removed.starts_with(&format!("key {second_print} of joe@example.net removed")), "{removed}");
    assert_eq!(list(Some("joe"), Form::Words).await.unwrap(), "no keys");

    // What has no address any more is said to be of no use.
    bench.perform(add_key("joe@example.net", "", Preauth::Allowed, &second)).await.unwrap();
    let moved = fs::read_to_string(bench.config.file()).unwrap().replace("joe@example.net", "joseph@example.net");
    fs::write(bench.config.file(), moved).unwrap();
    bench.config.reload().unwrap();
    let listed = list(Some("joe"), Form::Words).await.unwrap();
    assert!(listed.contains("lets nobody in: joe@example.net is no address of account `joe` any more"), "{listed}");
    bench.perform(Request::AccountRemove { name: "joe".into() }).await.unwrap();
    assert_eq!(list(None, Form::Words).await.unwrap().lines().count(), 1);
}

#[tokio::test]
async fn keys_that_cannot_be_added_say_why() {
    use tls_keys::Preauth;
    let bench = Bench::new().await;
    let (key, fingerprint) = new_key();
    let refused = async |address: &str, name: &str, key: &str| {
        bench.perform(add_key(address, name, Preauth::Allowed, key)).await.unwrap_err()
    };
    for (address, name, key, reason) in [
        ("nobody@example.org", "", key.as_str(), "no account has the address nobody@example.org"),
        ("jane@", "", &key, "jane@: "),
        ("jane@example.org", "a\u{1b}[2J", &key, "control characters"),
        ("jane@example.org", &"n".repeat(1025), &key, "the name of a key has 1025 octets; at most 1024"),
        ("jane@example.org", "", "%%", "not in base64"),
        ("jane@example.org", "", "AAAA", "not a public key"),
    ] {
        let answer = refused(address, name, key).await;
        assert!(answer.contains(reason), "{answer}");
    }
    bench.perform(add_key("jane@example.org", "", Preauth::Allowed, &key)).await.unwrap();
    let twice = refused("jane@example.org", "", &key).await;
    assert!(
        twice.contains(&format!(
            "lets in jane@example.org already; to change that, remove it first: `mailstead tlskey remove {fingerprint}`"
        )),
        "{twice}"
    );
    for (fingerprint, reason) in [("ab", "ab is no fingerprint: "), (&"0".repeat(64), "no key has the fingerprint 000")]
    {
        let answer = bench.perform(Request::TlsKeyRemove { fingerprint: fingerprint.into() }).await.unwrap_err();
        assert!(answer.contains(reason), "{answer}");
    }
    let answer = bench.perform(Request::TlsKeyList { account: Some("nobody".into()), form: Form::Words }).await;
    assert!(answer.unwrap_err().contains("there is no account `nobody`"));
}
