//! Shows what an address is made of: `cargo run -p mailstead-names --example address -- 'jürgen@Bücher.example'`.
#![expect(clippy::print_stdout, reason = "a program for people")]

use mailstead_names::Address;

fn main() {
    for argument in std::env::args().skip(1) {
        match Address::parse(&argument) {
            Ok(address) => {
                println!("{argument}");
                println!("  on the wire     {address}");
                println!("  for people      {}", address.unicode());
                println!("  needs SMTPUTF8  {}", address.needs_smtputf8());
                if let Some(domain) = address.domain() {
                    println!("  for look-ups    {}", domain.as_ascii());
                }
            }
            Err(error) => println!("{argument}: {error}"),
        }
    }
}
