//! The types that a name has (RFC 4034 §4.1.2).

use mailstead_dns::Rtype;

/// A type bit map.
#[derive(Debug, Clone, Copy)]
pub(super) struct Types<'a>(&'a [u8]);

impl<'a> Types<'a> {
    /// `None` when it is malformed: windows out of order, of no octets or of more than 32, or cut short.
    pub(super) fn read(octets: &'a [u8]) -> Option<Types<'a>> {
        let (mut rest, mut least) = (octets, 0);
        while let Some((&[window, length], blocks)) = rest.split_first_chunk() {
            if u16::from(window) < least || !(1..=32).contains(&length) {
                return None;
            }
            least = u16::from(window) + 1;
            rest = blocks.get(usize::from(length)..)?;
        }
        rest.is_empty().then_some(Types(octets))
    }

    pub(super) fn has(&self, rtype: Rtype) -> bool {
        let [wanted, low] = rtype.0.to_be_bytes();
        let mut rest = self.0;
        while let Some((&[window, length], blocks)) = rest.split_first_chunk() {
            let Some((bits, next)) = blocks.split_at_checked(usize::from(length)) else { return false };
            if window == wanted {
                return bits.get(usize::from(low / 8)).is_some_and(|octet| octet & (0x80 >> (low % 8)) != 0);
            }
            rest = next;
        }
        false
    }

    /// Whether another zone begins here, seen from above.
    pub(super) fn is_delegation(&self) -> bool {
        self.has(Rtype::NS) && !self.has(Rtype::SOA)
    }

    /// Whether names below this one are the business of another record or zone, so that a record here says nothing about
    /// them (RFC 6840 §4.1, RFC 5155 §8.3).
    pub(super) fn ends_authority(&self) -> bool {
        self.is_delegation() || self.has(Rtype::DNAME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows() {
        // RFC 4034 §4.3: A MX RRSIG NSEC TYPE1234.
        let mut octets = vec![0, 6, 0x40, 0x01, 0, 0, 0, 0x03, 4, 27];
        octets.extend([0; 26]);
        octets.push(0x20);
        let types = Types::read(&octets).unwrap();
        for rtype in [Rtype::A, Rtype::MX, Rtype::RRSIG, Rtype::NSEC, Rtype(1234)] {
            assert!(types.has(rtype), "{rtype}");
        }
        for rtype in [Rtype::NS, Rtype::AAAA, Rtype(1235), Rtype(256), Rtype::CAA] {
            assert!(!types.has(rtype), "{rtype}");
        }
    }

    #[test]
    fn malformed_maps_are_refused() {
        for octets in
            [[0].as_slice(), &[0, 0], &[0, 33], &[0, 2, 1], &[1, 1, 1, 0, 1, 1], &[0, 1, 1, 0, 1, 1], &[0, 1, 1, 9]]
        {
            assert!(Types::read(octets).is_none(), "{octets:?}");
        }
        assert!(Types::read(&[]).is_some());
    }
}
