//! TLS of incoming mail: what our own TLSA records are worth to a sender with DANE, from the first certificate through a
//! change of keys; and which versions, names and tickets servers and users get.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::process::Command;
use std::sync::Arc;

use mailstead_e2e::lab::{Dates, Keys, Lab, Name, Record, Signer, Type, Zone, inside};
use mailstead_e2e::receivers::{Identity, Mailstead, Postfix};
use mailstead_e2e::{Server, binary, bounded, run, run_with_input};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, NamedGroup, RootCertStore};

/// Where our server listens.
const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 25);
/// Domains that it serves; the server of each is `mx` within it.
const DOMAINS: [&str; 3] = ["right.test", "wrong.test", "roll.test"];

/// What our own command says is to be published for this key or certificate.
#[track_caller]
fn record(pem: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("some.pem");
    std::fs::write(&file, pem).expect("a file");
    let mut command = Command::new(binary());
    command.args(["dane", "record", "dane-ee", "spki", "sha2-256"]).arg(file).args(["--host", "mx.right.test"]);
    let line = run(&mut command).success().out;
    let data = line.trim().strip_prefix("_25._tcp.mx.right.test. IN TLSA ");
    data.unwrap_or_else(|| panic!("not a line for a zone: {line}")).to_owned()
}

/// The records of a domain whose server has these TLSA records.
fn records(tlsa: &[&str]) -> String {
    let tlsa: String = tlsa.iter().map(|data| format!("_25._tcp.mx TLSA {data}\n")).collect();
    format!("@ MX 10 mx\nmx A {SERVER}\n{tlsa}")
}

/// Publishes other TLSA records, and waits until everybody sees them.
fn publish(lab: &mut Lab, domain: &str, tlsa: &[&str]) {
    lab.change(&format!("{domain}."), |zone| zone.text = records(tlsa));
    let (name, rtype) = (Name::of(&format!("_25._tcp.mx.{domain}.")), Type::named("TLSA"));
    let mut wanted: Vec<String> = tlsa.iter().map(|data| data.to_lowercase()).collect();
    wanted.sort();
    bounded("the records to be seen", || {
        let answer = lab.oracle().query(&name, rtype, 0).ok()?;
        let found = answer.sections[0].iter().filter(|record| record.rtype == rtype).map(Record::text);
        let mut found: Vec<String> = found.map(|data| data.to_lowercase()).collect();
        found.sort();
        (found == wanted).then_some(())
    });
}

/// The lab with our domains and that of the sender.
fn lab(right: &str, wrong: &str, next: &str) -> Lab {
    let zone = |domain: &str, text: &str| {
        Zone::new(&format!("{domain}."), "alpha").ttl(1).signed(Signer::Ldns, Keys::Csk(13)).text(text)
    };
    let lab = Lab::start_with(|world| {
        world.keep(&["test."]);
        world.zones.retain(|zone| zone.name == "." || zone.name == "test.");
        world
            .zones
            .push(zone("sender.test", "@ MX 10 mx\nmx A 203.0.113.26\n@ TXT \"v=spf1 ip4:203.0.113.0/24 -all\"\n"));
        for (domain, tlsa) in DOMAINS.iter().zip([vec![right], vec![wrong], vec![right, next]]) {
            world.zones.push(zone(domain, &records(&tlsa)));
        }
    });
    lab.add_addresses([IpAddr::V4(SERVER)]);
    lab.resolv_conf(&[lab.oracle().address().ip()]);
    lab
}

fn jane() -> Vec<String> {
    DOMAINS.iter().map(|domain| format!("jane@{domain}")).collect()
}

/// Whether the sender's log says that DANE has verified our server under a name.
fn verified(sender: &Postfix, domain: &str) -> bool {
    sender.log().contains(&format!("Verified TLS connection established to mx.{domain}[{SERVER}]:25: TLSv1.3"))
}

#[test]
fn postfix_delivers_where_our_tlsa_record_is_right_and_only_there() {
    inside("postfix_delivers_where_our_tlsa_record_is_right_and_only_there", || {
        let identity = |name| Identity::self_signed(&[name], Dates::Current);
        let (first, next, another) = (identity("mx.right.test"), identity("mx.right.test"), identity("another.test"));
        // What comes next is known before there is a certificate for it, by its key.
        let pem = next.pem();
        let key = pem.split_inclusive("-----END PRIVATE KEY-----\n").next().expect("a key");
        let (right, coming, wrong) = (record(&first.pem()), record(key), record(&another.pem()));
        assert_eq!((&right, &coming), (&first.leaf().tlsa(3, 1, 1), &next.leaf().tlsa(3, 1, 1)));
        let mut lab = lab(&right, &wrong, &coming);
        let server = Mailstead::receive(&lab, SERVER.into(), &first, "mx.right.test", &DOMAINS);
        let authority = lab.folder().join("authority.pem");
        std::fs::write(&authority, another.leaf().pem()).expect("a certificate");
        let sender = Postfix::send_with_dane(&authority);

        let fates = sender.send(&jane());
        assert!(fates[0].contains("status=sent") && verified(&sender, "right.test"), "{fates:?}");
        assert!(fates[2].contains("status=sent") && verified(&sender, "roll.test"), "{fates:?}");
        assert!(fates[1].contains("status=deferred (Server certificate not verified)"), "{fates:?}");
        let received = server.received();
        assert_eq!(received.len(), 2, "{received:?}");
        let over_tls =
            |header: &String| header.contains("with ESMTPS") && header.contains("Subject: a message from Postfix");
        assert!(received.iter().all(over_tls), "{received:?}");

        publish(&mut lab, "wrong.test", &[&right]);
        sender.flush(&jane()[1..2]);
        assert!(verified(&sender, "wrong.test"));
        assert_eq!(server.received().len(), 3);

        // The keys change: whoever had published both is reached as before, the others when they follow.
        server.show(&next);
        let fates = sender.send(&jane());
        assert!(fates[2].contains("status=sent"), "{fates:?}");
        for fate in &fates[..2] {
            assert!(fate.contains("status=deferred (Server certificate not verified)"), "{fates:?}");
        }
        assert_eq!(server.received().len(), 4);
        publish(&mut lab, "right.test", &[&coming]);
        publish(&mut lab, "wrong.test", &[&coming]);
        sender.flush(&jane()[..2]);
        assert_eq!(server.received().len(), 6);
    });
}

/// What OpenSSL says of a connection on which it sends this.
fn openssl(server: &Server, service: &str, options: &[&str], input: &str) -> String {
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-ign_eof", "-verify_return_error", "-CAfile", &server.ca_file()]);
    openssl.args(["-connect", &format!("127.0.0.1:{}", server.port(service))]).args(options);
    run_with_input(&mut openssl, input).text()
}

#[test]
fn both_versions_of_tls_and_tickets_for_users_only() {
    let server = Server::start();
    for (option, established) in [("-tls1_2", "New, TLSv1.2, Cipher is"), ("-tls1_3", "New, TLSv1.3, Cipher is")] {
        // OpenSSL calls them so in either version.
        let ticket = "TLS session ticket:";
        let smtp = ["-starttls", "smtp", "-servername", "localhost", option];
        let told = openssl(&server, "smtp", &smtp, "NOOP\r\nQUIT\r\n");
        assert!(told.contains(established) && told.contains("\n221 "), "{told}");
        assert!(!told.contains(ticket), "a ticket for another server: {told}");
        let told = openssl(&server, "imaps", &["-servername", "localhost", option], "a NOOP\r\nb LOGOUT\r\n");
        assert!(told.contains(established) && told.contains(ticket), "no ticket for a user: {told}");
    }
    for old in ["-tls1", "-tls1_1"] {
        let told = openssl(&server, "smtp", &["-starttls", "smtp", old, "-cipher", "ALL:@SECLEVEL=0"], "QUIT\r\n");
        // It is the server that does not want it.
        assert!(told.contains("SSL alert number"), "{old}: {told}");
    }
}

#[test]
fn an_unknown_name_is_answered_on_port_25_and_refused_where_users_connect() {
    let server = Server::start();
    let established = |service, options: &[&str], input| {
        let told = openssl(&server, service, options, input);
        assert!(told.contains("Cipher is "), "{told}");
        !told.contains("Cipher is (NONE)")
    };
    let names = [("localhost", true), ("LOCALHOST", true), ("unknown.example", false)];
    for (name, known) in names {
        assert!(established("smtp", &["-starttls", "smtp", "-servername", name], "QUIT\r\n"), "{name}");
        assert_eq!(established("submissions", &["-servername", name], "QUIT\r\n"), known, "{name}");
        assert_eq!(established("imaps", &["-servername", name], "a LOGOUT\r\n"), known, "{name}");
    }
    // Clients that name nobody are answered everywhere.
    assert!(established("submissions", &["-noservername"], "QUIT\r\n"));
}

/// The key exchange that our server chooses on port 25 of what a client offers.
fn key_exchange(server: &Server, offered: &[&'static dyn SupportedKxGroup]) -> Option<NamedGroup> {
    let provider = CryptoProvider { kx_groups: offered.to_vec(), ..aws_lc_rs::default_provider() };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(server.ca_file()).expect("a certificate")).expect("an authority");
    let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions();
    let config = builder.expect("TLS 1.2 and 1.3").with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let mut tls = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = TcpStream::connect(("127.0.0.1", server.port("smtp"))).expect("connect");
    for (command, last) in [("", "220 "), ("EHLO client.example.org\r\n", "\r\n250 "), ("STARTTLS\r\n", "220 ")] {
        stream.write_all(command.as_bytes()).expect("write");
        let mut reply = String::new();
        while !(reply.contains(last) && reply.ends_with("\r\n")) {
            let mut octets = [0; 1024];
            let length = stream.read(&mut octets).expect("read");
            assert!(length > 0, "the end after {reply}");
            reply.push_str(&String::from_utf8_lossy(&octets[..length]));
        }
    }
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).expect("a handshake");
    }
    tls.negotiated_key_exchange_group().map(SupportedKxGroup::name)
}

/// By a client of our own: the OpenSSL of stable distributions does not know it yet.
#[test]
fn a_key_exchange_for_the_time_after_quantum_computers_is_chosen_where_it_is_offered() {
    use aws_lc_rs::kx_group::{SECP256R1, X25519, X25519MLKEM768};
    let server = Server::start();
    assert_eq!(key_exchange(&server, &[X25519MLKEM768]), Some(NamedGroup::X25519MLKEM768));
    assert_eq!(key_exchange(&server, &[X25519MLKEM768, X25519]), Some(NamedGroup::X25519MLKEM768));
    assert_eq!(key_exchange(&server, &[X25519, SECP256R1]), Some(NamedGroup::X25519));
}
