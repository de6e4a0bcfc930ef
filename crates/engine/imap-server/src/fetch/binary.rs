//! Undoing a transfer encoding in pieces, for BINARY: RFC 3516 §4.2 to §4.4, RFC 9051 §7.5.2.

use mailstead_message::structure::TransferEncoding;
use mailstead_message::text::Transfer;

/// How the octets of a part become its content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coding {
    pub(super) encoding: TransferEncoding,
    /// Line ends become CRLF, as IMAP demands of textual parts.
    pub(super) is_text: bool,
    /// First octet and number of octets that are wanted of the content.
    pub(super) window: Option<(u64, u64)>,
}

/// A [`Coding`] at work.
#[derive(Debug)]
pub(super) struct Decoding {
    transfer: Transfer,
    is_text: bool,
    /// Octets still to be skipped, and then to be given.
    skip: u64,
    take: u64,
    last: u8,
    decoded: Vec<u8>,
    out: Vec<u8>,
}

impl Coding {
    pub(super) fn start(self) -> Decoding {
        let (skip, take) = self.window.unwrap_or((0, u64::MAX));
        let transfer = Transfer::new(self.encoding);
        Decoding { transfer, is_text: self.is_text, skip, take, last: 0, decoded: Vec::new(), out: Vec::new() }
    }
}

impl Decoding {
    /// Whether the window is full.
    pub(super) fn is_done(&self) -> bool {
        self.take == 0
    }

    /// What these octets decode to, as far as it lies in the window.
    pub(super) fn piece(&mut self, octets: &[u8]) -> &[u8] {
        self.decoded.clear();
        self.transfer.decode(octets, &mut self.decoded);
        self.windowed()
    }

    /// What was held back.
    pub(super) fn finish(&mut self) -> &[u8] {
        self.decoded.clear();
        self.transfer.finish(&mut self.decoded);
        self.windowed()
    }

    fn windowed(&mut self) -> &[u8] {
        self.out.clear();
        if self.is_text {
            for octet in self.decoded.drain(..) {
                if octet == b'\n' && self.last != b'\r' {
                    self.out.push(b'\r');
                }
                self.out.push(octet);
                self.last = octet;
            }
        } else {
            std::mem::swap(&mut self.out, &mut self.decoded);
        }
        let len = self.out.len() as u64;
        let start = self.skip.min(len);
        let end = start + self.take.min(len - start);
        self.skip -= start;
        self.take -= end - start;
        // Both are at most the length of a buffer.
        &self.out[start as usize..end as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(
        encoding: TransferEncoding,
        is_text: bool,
        window: Option<(u64, u64)>,
        input: &[u8],
        piece: usize,
    ) -> Vec<u8> {
        let mut decoding = Coding { encoding, is_text, window }.start();
        let mut out = Vec::new();
        for octets in input.chunks(piece) {
            out.extend_from_slice(decoding.piece(octets));
        }
        out.extend_from_slice(decoding.finish());
        out
    }

    #[test]
    fn windows_are_of_decoded_octets_however_the_input_is_cut() {
        for piece in 1..9 {
            let base64 = |window| decode(TransferEncoding::Base64, false, window, b"aGVsbG8g\r\nd29ybGQ=", piece);
            assert_eq!(base64(None), b"hello world");
            assert_eq!(base64(Some((4, 3))), b"o w");
            assert_eq!(base64(Some((11, 3))), b"");
            assert_eq!(base64(Some((9, 30))), b"ld");
        }
    }

    #[test]
    fn text_has_crlf_and_data_is_untouched() {
        for piece in 1..5 {
            assert_eq!(decode(TransferEncoding::Base64, true, None, b"YQpiDQpj", piece), b"a\r\nb\r\nc");
            assert_eq!(decode(TransferEncoding::Base64, false, None, b"YQpiDQpj", piece), b"a\nb\r\nc");
        }
    }
}
