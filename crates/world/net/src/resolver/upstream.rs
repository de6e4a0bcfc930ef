//! Where responses come from: other resolvers, or the authorities themselves.

use std::sync::Arc;

use mailstead_dns::{ExtendedError, LookupErrorKind, Message, Name, Question};
use mailstead_runtime::{BoxFuture, Deadline};

/// Gets responses from elsewhere, as they come: nothing is validated and nothing is followed.
pub(crate) trait Upstream: std::fmt::Debug + Send + Sync {
    /// The response to a question. `attempt` counts from 0: each further attempt for the same question should ask
    /// somebody else, or another way.
    fn fetch<'a>(
        &'a self,
        question: &'a Question,
        attempt: u32,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Arc<Message>, FetchError>>;
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FetchError {
    /// Why.
    pub kind: LookupErrorKind,
    /// The same in words: who was asked and what came of it.
    pub detail: String,
    /// What servers had to remark, and what there is to remark about them.
    pub extended_errors: Vec<ExtendedError>,
    /// Who could not be reached, where that was the trouble.
    pub reach: Option<Reach>,
}

/// Whose servers were all out of reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The resolvers that we forward to.
    Resolver,
    /// The root: it is the way to the internet, rather than the zone asked for, that is broken.
    Root,
    /// A zone, while those above it answered.
    Zone(Name),
}

impl FetchError {
    /// An error of which no more is known.
    pub(crate) fn new(kind: LookupErrorKind, detail: impl Into<String>) -> FetchError {
        FetchError { kind, detail: detail.into(), extended_errors: Vec::new(), reach: None }
    }
}
