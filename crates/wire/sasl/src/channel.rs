//! Channel binding (RFC 5056): what both ends of one TLS connection know and nobody else.

use std::fmt;

/// Binding data of type `tls-exporter` (RFC 9266).
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelBinding(Vec<u8>);

impl ChannelBinding {
    /// The registered name of the type, as in the gs2 header `p=tls-exporter`.
    pub(crate) const TYPE: &'static str = "tls-exporter";

    /// The 32 octets exported from TLS 1.3 with the label `EXPORTER-Channel-Binding` and an empty context
    /// (RFC 9266 §2).
    pub fn tls_exporter(exported: impl Into<Vec<u8>>) -> ChannelBinding {
        ChannelBinding(exported.into())
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelBinding(tls-exporter)")
    }
}

/// Whether the server's list of mechanisms had the -PLUS variant of the one in use; downgrades are told by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlusOffered {
    /// It was in the list.
    Offered,
    /// It was not.
    NotOffered,
}
