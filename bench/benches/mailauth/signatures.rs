//! Signing and verifying in microseconds: the body is hashed anew each time, so a long one shows how fast that is.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mailstead_dns::{Answer, Authenticity, Lookup, Record, RecordType, Resolver, Txt};
use mailstead_mailauth::crypto::{AwsLcRs, KeyType, PrivateKey, generate_pem, read_pem};
use mailstead_mailauth::dkim::{BodyHasher, KeyRecord, Policy, Selector, Signer, Status, sign, split_message, verify};
use mailstead_names::Domain;

use crate::figures::{Figures, progress};
use crate::{Outcome, rounded};

/// Has one key for all names.
#[derive(Debug)]
struct One(Txt);

impl Resolver for One {
    fn lookup<'a>(&'a self, _name: &'a Domain, _record_type: RecordType) -> Lookup<'a> {
        let record = Record::Txt(self.0.clone());
        Box::pin(std::future::ready(Ok(Answer::found(vec![record], Authenticity::Secure, Duration::ZERO))))
    }
}

/// A message with a header of a usual size, and a body of this one.
pub(crate) fn message(from: &str, body: usize) -> Vec<u8> {
    let mut message = String::new();
    for hop in 0..3 {
        let _ = write!(
            message,
            "Received: from mail{hop}.example.org (mail{hop}.example.org [192.0.2.1])\r\n\tby mx{hop}.example.net with \
             ESMTPS id 4Qk1x{hop};\r\n\tFri, 11 Jul 2025 21:00:37 -0700\r\n"
        );
    }
    let _ = write!(
        message,
        "From: Joe SixPack <{from}>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\n\
         Subject: Is dinner ready, and is it as good\r\n as it was the last time?\r\n\
         Date: Fri, 11 Jul 2025 21:00:37 -0700\r\nMessage-ID: <20250712040037.46341.5F8J@example.org>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
    );
    let line = "We lost the game. Are you hungry yet? There is something in the oven.\r\n";
    message.extend(std::iter::repeat_n(line, body / line.len()));
    message.into_bytes()
}

pub(crate) fn key(key_type: KeyType) -> Outcome<Arc<dyn PrivateKey>> {
    Ok(read_pem(&AwsLcRs, generate_pem(&AwsLcRs, key_type)?.expose())?)
}

/// The signature for a message.
pub(crate) fn fields(signer: &Signer, message: &[u8]) -> Outcome<String> {
    let (header, body) = split_message(message);
    let mut hasher = BodyHasher::new(&AwsLcRs);
    signer.request(&mut hasher);
    hasher.update(body);
    Ok(sign(std::slice::from_ref(signer), &AwsLcRs, header, &hasher.finish(), SystemTime::now())?)
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

pub(crate) fn measure(figures: &mut Figures) -> Outcome<()> {
    progress("DKIM signatures");
    for key_type in [KeyType::Rsa, KeyType::Ed25519] {
        let key = key(key_type)?;
        let resolver = One(KeyRecord::new(key.public_key().clone()).to_txt());
        for size in [4_000, 100_000] {
            let signer = Signer::new(Domain::parse("example.org")?, Selector::parse("sel")?, Arc::clone(&key));
            let message = message("joe@example.org", size);
            let signed = [fields(&signer, &message)?.as_bytes(), &message].concat();
            let policy = Policy::new(SystemTime::now(), &|_| false);
            // The resolver never waits.
            let verify = || ready(verify(&signed, &AwsLcRs, &resolver, &policy));
            let status = verify().and_then(|found| found.outcomes.first().map(|outcome| outcome.status));
            if status != Some(Status::Pass) {
                return Err(format!("our own {key_type} signature gives {status:?}").into());
            }
            let name = format!("DKIM {key_type}, {} kB", size / 1000);
            figures.add(format!("{name}: sign, µs"), rounded(best(|| drop(fields(&signer, &message)))));
            figures.add(format!("{name}: verify, µs"), rounded(best(|| drop(verify()))));
        }
    }
    Ok(())
}

fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}
