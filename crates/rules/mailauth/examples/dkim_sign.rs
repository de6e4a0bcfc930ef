//! Signs a message with two new keys, RSA and Ed25519, and writes their records to a file:
//! `cargo run -p mailstead-mailauth --features aws-lc-rs --example dkim_sign -- keys < message.eml > signed.eml`.
//!
//! `dkim_verify` reads that file and the message. The file has a name and the text of a TXT record on each line; a zone
//! file would have them as [`KeyRecord::to_txt`] gives them.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::time::{Duration, SystemTime};

use mailstead_mailauth::crypto::{AwsLcRs, KeyType, generate_pem, read_pem};
use mailstead_mailauth::dkim::{BodyHasher, KeyRecord, Selector, Signer, sign, split_message};
use mailstead_names::Domain;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("which file shall have the key records?")?;
    let domain = Domain::parse("example.org")?;

    // RSA first, for those who know nothing else. A server keeps what generate_pem makes.
    let mut signers = Vec::new();
    let mut records = String::new();
    for (selector, key_type) in [("2026a", KeyType::Rsa), ("2026b", KeyType::Ed25519)] {
        let key = read_pem(&AwsLcRs, generate_pem(&AwsLcRs, key_type)?.expose())?;
        writeln!(records, "{selector}._domainkey.{domain} {}", KeyRecord::new(key.public_key().clone()))?;
        let mut signer = Signer::new(domain.clone(), Selector::parse(selector)?, key);
        signer.lifetime = Some(Duration::from_secs(3 * 24 * 3600));
        signers.push(signer);
    }
    std::fs::write(file, records)?;

    let mut message = Vec::new();
    io::stdin().lock().read_to_end(&mut message)?;
    let (header, body) = split_message(&message);
    let mut hasher = BodyHasher::new(&AwsLcRs);
    signers.iter().for_each(|signer| signer.request(&mut hasher));
    // The body may come in pieces; here it is one.
    hasher.update(body);
    let fields = sign(&signers, &AwsLcRs, header, &hasher.finish(), SystemTime::now())?;

    let mut out = io::stdout().lock();
    out.write_all(fields.as_bytes())?;
    out.write_all(&message)?;
    Ok(())
}
