//! stand-in
use mailstead_names::Domain;
/// mode
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// e
    Enforce,
    /// t
    Testing,
    /// n
    None,
}
/// policy
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// mode
    pub mode: Mode,
    /// mx
    pub mx: Vec<Domain>,
}
impl Policy {
    /// admits
    pub fn admits(&self, host: &Domain) -> bool {
        self.mx.contains(host)
    }
}
impl Policy {
    /// parse
    pub fn parse(text: &str) -> Result<Policy, ()> {
        let field = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)).unwrap().trim().to_owned();
        let mode = match field("mode:").as_str() {
            "enforce" => Mode::Enforce,
            "testing" => Mode::Testing,
            _ => Mode::None,
        };
        Ok(Policy { mode, mx: vec![Domain::parse(&field("mx:")).unwrap()] })
    }
}
