use mailstead_runtime::SystemClock;
use mailstead_store::*;
use std::sync::Arc;
use std::time::Instant;
#[tokio::main]
async fn main() {
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let dir = std::env::args().nth(2).unwrap();
    let mut o = Options::new(&dir, Arc::new(SystemClock));
    if let Some(u) = std::env::args().nth(3) {
        o.backend = Backend::Postgres { url: mailstead_names::Secret::new(u) };
    }
    let s = Store::open(o).await.unwrap();
    let acc = match s.account("you").await.unwrap() {
        Some(a) => a,
        None => s.create_account(NewAccount::named("you")).await.unwrap(),
    };
    let inbox = acc.read(|r| r.mailbox_by_name("INBOX")).await.unwrap().unwrap().id;
    let have = acc.read(move |r| r.uids(inbox)).await.unwrap().len();
    let mut seed = 12345u64;
    let mut rnd = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let word = |k: u64| {
        let mut x = k.wrapping_mul(0x9E3779B97F4A7C15);
        let l = 3 + (x % 8);
        let mut w = String::new();
        for _ in 0..l {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            w.push((b'a' + ((x >> 33) % 26) as u8) as char);
        }
        w
    };
    let t = Instant::now();
    let mut stage_t = std::time::Duration::ZERO;
    let mut i = have;
    while i < n {
        let mut batch = vec![];
        for _ in 0..500 {
            if i >= n {
                break;
            };
            i += 1;
            let mut m = format!(
                "From: a{}@x.example\r\nSubject: {} {}\r\nMessage-ID: <{:x}@x.example>\r\nDate: Thu, 15 Jan 2026 12:00:00 +0000\r\n\r\n",
                rnd() % 1000,
                word(rnd() % 5000),
                word(rnd() % 5000),
                rnd()
            );
            for w in 0..150 {
                let r = (rnd() % 1_000_000) as f64 / 1e6;
                let k = (200_000f64.powf(r)) as u64;
                m.push_str(&word(k));
                m.push(if w % 12 == 11 { '\n' } else { ' ' });
            }
            m.push_str(&format!("tok{:016x}\n", rnd()));
            if i % 50_000 == 777 {
                m.push_str("xylophonist\n");
            }
            let a = Instant::now();
            let mut st = s.stage();
            st.write(m.replace("\r\n", "\n").replace('\n', "\r\n").as_bytes()).await.unwrap();
            let st = st.finish().await.unwrap();
            stage_t += a.elapsed();
            batch.push(NewMessage {
                mailbox: inbox,
                staged: st,
                prefix: b"Received: x\r\n".to_vec(),
                flags: Flags::default(),
                received_at: jiff::Timestamp::now(),
                facts: vec![],
            });
        }
        acc.write(move |w| {
            for m in &batch {
                w.append(m)?;
            }
            Ok(())
        })
        .await
        .unwrap();
    }
    if n > have {
        println!(
            "append {} in {:?} stage {:?} = {:.0}/s",
            n - have,
            t.elapsed(),
            stage_t,
            (n - have) as f64 / t.elapsed().as_secs_f64()
        );
    }
    for needle in ["xylophonist", "ylophon", "xyloph onist", "zq", "tok0123", "ing", "x y", "tokabcde"] {
        for f in [TextField::Text, TextField::Body] {
            let t = Instant::now();
            let nn = needle.to_owned();
            let r = acc.read(move |r| r.search_text(inbox, &nn, f, None)).await.unwrap();
            println!("{needle:14} {f:?} {} hits {:?}", r.len(), t.elapsed());
        }
    }
    if std::env::args().nth(4).is_some() {
        let t = Instant::now();
        let nn = UidSet::from_ranges([1..=1000]);
        let r = acc.write(move |w| w.remove_messages(inbox, &nn)).await.unwrap();
        println!("expunge {} {:?}", r.len(), t.elapsed());
    }
    s.close().await;
}
