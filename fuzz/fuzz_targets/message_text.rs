//! Transfer encodings and charsets: the text does not depend on how the octets arrive.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_fuzz::cut;
use mailstead_message::structure::Structure;
use mailstead_message::text::Decoder;

fn decode<'a>(header: &str, pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let part = Structure::scan(header.as_bytes()).root;
    let mut decoder = Decoder::new(&part);
    let mut text = String::new();
    pieces.for_each(|piece| text.push_str(decoder.decode(piece)));
    text.push_str(decoder.finish());
    text
}

const CHARSETS: [&str; 9] =
    ["utf-8", "us-ascii", "iso-8859-15", "windows-1252", "iso-2022-jp", "gb18030", "utf-7", "utf-16", "nonsense"];
const ENCODINGS: [&str; 4] = ["8bit", "base64", "quoted-printable", "nonsense"];
const TYPES: [&str; 2] = ["plain", "html"];

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let first = usize::from(*first);
    let header = format!(
        "Content-Type: text/{}; charset={}\r\nContent-Transfer-Encoding: {}\r\n\r\n",
        TYPES[first % TYPES.len()],
        CHARSETS[first / 8 % CHARSETS.len()],
        ENCODINGS[first / 2 % ENCODINGS.len()],
    );
    let (payload, pieces) = cut(data);
    assert_eq!(decode(&header, pieces), decode(&header, std::iter::once(payload)), "{header}");
});
