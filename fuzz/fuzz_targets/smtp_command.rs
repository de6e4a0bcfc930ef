//! One line, read as a command with its parameters, as a parameter, as an extension, as xtext. What is understood of
//! parameters is understood again when it is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_smtp::{Command, Extension, Extensions, Mail, Parameter, Rcpt, Strictness, xtext};

fn again(parameters: &[Parameter]) -> Vec<Parameter> {
    parameters.iter().map(|written| Parameter::parse(&written.to_string()).expect("as it was written")).collect()
}

fuzz_target!(|data: &[u8]| {
    let announced = ["SIZE", "8BITMIME", "SMTPUTF8", "DSN", "REQUIRETLS"];
    let announced: Extensions = announced.into_iter().map(Extension::parse).collect();
    for strictness in [Strictness::Lenient, Strictness::Pedantic] {
        match Command::parse(data, strictness) {
            Ok(Command::Mail(from, parameters)) => {
                if let Ok(mail) = Mail::interpret(from.clone(), &parameters, &announced) {
                    assert_eq!(Mail::interpret(from, &again(&mail.parameters()), &announced).as_ref(), Ok(&mail));
                }
            }
            Ok(Command::Rcpt(to, parameters)) => {
                if let Ok(rcpt) = Rcpt::interpret(to.clone(), &parameters, &announced) {
                    assert_eq!(Rcpt::interpret(to, &again(&rcpt.parameters()), &announced).as_ref(), Ok(&rcpt));
                }
            }
            _ => {}
        }
    }
    assert_eq!(xtext::decode(&xtext::encode(data)).as_deref(), Some(data));
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Parameter::parse(text);
        Extension::parse(text);
        if let Some(octets) = xtext::decode(text) {
            assert!(xtext::encode(&octets).len() <= text.len());
        }
    }
});
