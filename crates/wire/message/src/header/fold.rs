//! Writing header fields within the line lengths of RFC 5322 §2.1.1.

/// Line length aimed at, without CRLF.
const LINE: usize = 78;

/// A field from pieces that may be separated by folding: `Name: piece piece CRLF SP piece CRLF`. A piece is never cut,
/// so one that is longer than a line stands on its own.
///
/// Line ends and NUL inside a piece are removed: no value can add a field.
#[must_use]
pub fn fold<'a>(name: &str, pieces: impl IntoIterator<Item = &'a str>) -> String {
    let mut field = format!("{name}:");
    let mut line = field.len();
    let mut first = true;
    for piece in pieces {
        let piece: std::borrow::Cow<'_, str> = if piece.contains(['\r', '\n', '\0']) {
            piece.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')).collect::<String>().into()
        } else {
            piece.into()
        };
        if piece.trim().is_empty() {
            continue;
        }
        let length = piece.chars().count();
        if !first && line + 1 + length > LINE {
            field.push_str("\r\n");
            line = 0;
        }
        first = false;
        field.push(' ');
        field.push_str(&piece);
        line += 1 + length;
    }
    field.push_str("\r\n");
    field
}

/// [`fold`] at the spaces of a value that needs no other care.
#[must_use]
pub fn fold_text(name: &str, value: &str) -> String {
    fold(name, value.split(' '))
}
