//! Prints the MIME tree of a message: `cargo run -p mailstead-message --example structure < message.eml`.
#![allow(clippy::print_stdout)]

use std::io::{self, Read as _};

use mailstead_message::{Limits, Part, Scanner};

fn main() -> io::Result<()> {
    let mut scanner = Scanner::new(Limits::default());
    let mut buffer = vec![0; 64 * 1024];
    let mut input = io::stdin().lock();
    loop {
        let read = input.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        scanner.feed(&buffer[..read]);
    }
    let structure = scanner.finish();
    println!("{} octets, {:?}", structure.size, structure.anomalies);
    if let Some(subject) = &structure.envelope().subject {
        println!("subject: {}", mailstead_message::word::decode(subject));
    }
    print(&structure.root, 0);
    Ok(())
}

fn print(part: &Part, depth: usize) {
    let (kind, subtype) = (&part.content_type.kind, &part.content_type.subtype);
    let name = part.file_name().map(|name| format!(" \"{name}\"")).unwrap_or_default();
    println!("{:indent$}{kind}/{subtype}{name}, octets {:?}, {} lines", "", part.body, part.lines, indent = depth * 2);
    part.children.iter().for_each(|child| print(child, depth + 1));
}
