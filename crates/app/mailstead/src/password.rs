//! Reading a password from a terminal, without showing it, or from a pipe or file.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal as _, Write as _};
use std::path::Path;

use mailstead_names::Secret;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use crate::failure::Failure;

/// Asks on the terminal, twice; or takes the first line of standard input when that is no terminal.
pub(crate) fn ask(what: &str) -> Result<Secret<String>, Failure> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return first_line(stdin.lock()).map_err(|error| cannot_read("standard input", &error));
    }
    let hidden = |prompt: &str| hidden_line(prompt).map_err(|error| cannot_read("the terminal", &error));
    let password = hidden(&format!("New password for {what}: "))?;
    if *hidden("The same again: ")?.expose() == *password.expose() {
        Ok(password)
    } else {
        Err(Failure::new("these are two different passwords; nothing was changed"))
    }
}

/// The first line of a file; `-` is standard input.
pub(crate) fn read_file(file: &Path) -> Result<Secret<String>, Failure> {
    if file.as_os_str() == "-" {
        return first_line(io::stdin().lock()).map_err(|error| cannot_read("standard input", &error));
    }
    let read = File::open(file).and_then(|file| first_line(BufReader::new(file)));
    read.map_err(|error| cannot_read(&file.display().to_string(), &error))
}

fn cannot_read(place: &str, error: &io::Error) -> Failure {
    Failure::new(format!("cannot read a password from {place}: {error}"))
}

fn first_line(mut reader: impl io::BufRead) -> io::Result<Secret<String>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    if line.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "there is none"));
    }
    Ok(Secret::new(line))
}

fn hidden_line(prompt: &str) -> io::Result<Secret<String>> {
    let stdin = io::stdin();
    let shown = tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    write!(io::stderr(), "{prompt}")?;
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &hidden)?;
    let line = first_line(stdin.lock());
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &shown)?;
    writeln!(io::stderr())?;
    line
}
