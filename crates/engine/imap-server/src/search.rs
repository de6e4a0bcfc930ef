//! SEARCH and UID SEARCH.

use mailstead_imap::command::{Search, Tag};

use crate::reply::{self, Outcome};
use crate::session::Session;

impl Session {
    pub(crate) async fn search(&mut self, _tag: &Tag, _search: Search) -> Outcome {
        Ok(reply::UNSUPPORTED)
    }
}
