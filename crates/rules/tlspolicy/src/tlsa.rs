//! stand-in
use mailstead_names::Domain;
/// base
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsaBaseDomain(pub Domain);
