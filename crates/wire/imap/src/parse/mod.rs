//! Parsing of commands.

/// Whether an octet may be in a tag: ASTRING-CHAR but `+`.
pub(crate) fn is_tag_char(octet: u8) -> bool {
    octet != b'+' && octet.is_ascii_graphic() && !b"(){%*\"\\".contains(&octet)
}
