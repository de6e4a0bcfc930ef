//! Measures signing and verifying in microseconds, for people who compare:
//! `cargo run --release -p mailstead-mailauth --features aws-lc-rs --example dkim_speed`.
//!
//! The message has a header of a usual size; the body is hashed anew each time, so a long one shows how fast that is.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use mailstead_dns::{Answer, Authenticity, Lookup, Record, RecordType, Resolver, Txt};
use mailstead_mailauth::crypto::{AwsLcRs, KeyType, generate_pem, read_pem};
use mailstead_mailauth::dkim::{
    BodyHasher, Canonicalization, KeyRecord, Policy, Selector, Signer, Status, sign, split_message, verify,
};
use mailstead_names::Domain;

/// Has one key for all names.
#[derive(Debug)]
struct One(Txt);

impl Resolver for One {
    fn lookup<'a>(&'a self, _name: &'a Domain, _record_type: RecordType) -> Lookup<'a> {
        let record = Record::Txt(self.0.clone());
        Box::pin(std::future::ready(Ok(Answer::found(vec![record], Authenticity::Secure, Duration::ZERO))))
    }
}

fn message(body: usize) -> Vec<u8> {
    let mut message = String::new();
    for hop in 0..3 {
        let _ = write!(
            message,
            "Received: from mail{hop}.example.org (mail{hop}.example.org [192.0.2.1])\r\n\tby mx{hop}.example.net with \
             ESMTPS id 4Qk1x{hop};\r\n\tFri, 11 Jul 2025 21:00:37 -0700\r\n"
        );
    }
    message.push_str(
        "From: Joe SixPack <joe@example.org>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\n\
         Subject: Is dinner ready, and is it as good\r\n as it was the last time?\r\n\
         Date: Fri, 11 Jul 2025 21:00:37 -0700\r\nMessage-ID: <20250712040037.46341.5F8J@example.org>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
    );
    let line = "We lost the game. Are you hungry yet? There is something in the oven.\r\n";
    message.extend(std::iter::repeat_n(line, body / line.len()));
    message.into_bytes()
}

/// Microseconds for one run, as the best of several rounds: everything else on the machine only adds to it.
fn best(mut run: impl FnMut()) -> f64 {
    const ROUND: Duration = Duration::from_millis(60);
    let round = |run: &mut dyn FnMut()| {
        let (start, mut runs) = (Instant::now(), 0_u32);
        while start.elapsed() < ROUND || runs == 0 {
            run();
            runs += 1;
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(runs)
    };
    (0..8).map(|_| round(&mut run)).fold(f64::INFINITY, f64::min)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("{:<10} {:>10} {:>18} {:>10} {:>10}", "key", "body", "canonicalization", "sign", "verify");
    for key_type in [KeyType::Rsa, KeyType::Ed25519] {
        let key = read_pem(&AwsLcRs, generate_pem(&AwsLcRs, key_type)?.expose())?;
        let resolver = One(KeyRecord::new(key.public_key().clone()).to_txt());
        for size in [4_000, 100_000, 10_000_000] {
            for canonicalization in [Canonicalization::Relaxed, Canonicalization::Simple] {
                let mut signer = Signer::new(Domain::parse("example.org")?, Selector::parse("sel")?, key.clone());
                (signer.header_canonicalization, signer.body_canonicalization) = (canonicalization, canonicalization);
                let signers = [signer];
                let message = message(size);
                let fields = || {
                    let (header, body) = split_message(&message);
                    let mut hasher = BodyHasher::new(&AwsLcRs);
                    signers.iter().for_each(|signer| signer.request(&mut hasher));
                    hasher.update(body);
                    sign(&signers, &AwsLcRs, header, &hasher.finish(), SystemTime::now())
                };
                let signed = [fields()?.as_bytes(), &message].concat();
                let signing = best(|| drop(fields()));
                let policy = Policy::new(SystemTime::now(), &|_| false);
                let found = verify(&signed, &AwsLcRs, &resolver, &policy).await;
                assert_eq!(found.outcomes.first().map(|outcome| outcome.status), Some(Status::Pass));
                let verifying = best(|| {
                    let future = std::pin::pin!(verify(&signed, &AwsLcRs, &resolver, &policy));
                    // The resolver never waits.
                    let _ = future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
                });
                println!("{key_type:<10} {size:>10} {canonicalization:>18} {signing:>7.0} µs {verifying:>7.0} µs");
            }
        }
    }
    Ok(())
}
