//! A SCRAM-SHA-256 login, both ends in one program: `cargo run -p mailstead-sasl --example scram`.
#![expect(clippy::print_stdout, reason = "a program for people")]

use mailstead_names::Secret;
use mailstead_sasl::server::{Answer, Query, Step};
use mailstead_sasl::{Error, Mechanism, Nonce, PlusOffered, SALT_LEN, ScramHash, ScramVerifier, client, server};

fn main() -> Result<(), Error> {
    // What the server kept when the password was set. A real salt and real nonces are random.
    let password = Secret::new("pencil".to_owned());
    let verifier = ScramVerifier::derive(ScramHash::Sha256, &password, &[7; SALT_LEN], 4096);
    println!("kept: {}", verifier.to_text());

    let mut client = client::Exchange::new(
        Mechanism::ScramSha256,
        client::Credentials { authzid: None, authcid: "user@example.org".to_owned(), password },
        client::Options { channel_binding: None, plus: PlusOffered::NotOffered, nonce: Nonce::from_random([1; 18]) },
    );
    let mut server = server::Exchange::new(
        Mechanism::ScramSha256,
        server::Options {
            channel_binding: None,
            plus: PlusOffered::NotOffered,
            nonce: Nonce::from_random([2; 18]),
            hostname: "mail.example.org".to_owned(),
        },
    );

    let initial = client.start()?;
    println!("C: {}", String::from_utf8_lossy(initial.as_deref().unwrap_or_default()));
    let mut step = server.start(initial.as_deref());
    loop {
        step = match step {
            Step::Challenge(challenge) => {
                println!("S: {}", String::from_utf8_lossy(&challenge));
                let response = client.step(&challenge)?;
                println!("C: {}", String::from_utf8_lossy(&response));
                server.step(&response)
            }
            // Here a server looks into its accounts; for an unknown user it goes on with `ScramVerifier::fake`.
            Step::Verify(Query::Scram { username, .. }) if username == "user@example.org" => {
                server.supply(Answer::Scram(verifier.clone()))
            }
            Step::Verify(_) => server.supply(Answer::Reject),
            Step::Done(outcome) => {
                // Each side now knows that the other knows the password, and nobody has seen it.
                client.finish(None)?;
                println!("logged in: {:?}", outcome?);
                return Ok(());
            }
        };
    }
}
