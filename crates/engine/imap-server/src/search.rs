//! SEARCH and UID SEARCH: RFC 9051 §6.4.4, RFC 4731 (result options), RFC 5182 (SAVE and `$`), RFC 7162 §3.1.5
//! (MODSEQ).
//!
//! Two steps: `plan` resolves everything that the view knows into sets of UIDs, without the store; `evaluate` narrows
//! these down by what only the store knows, within one snapshot, the cheapest keys first. Matching of text is the
//! store's, so that the index, SEARCH and JMAP agree.

mod evaluate;
mod plan;

use mailstead_imap::command::{Charset, Numbering, Search, SearchReturn, Tag};
use mailstead_imap::response::{Condition, ESearch};
use mailstead_imap::{Response, UidSet};
use mailstead_store::Uid;

use crate::reply::{self, Interrupt, Outcome};
use crate::session::Session;
use crate::view::{Expunges, OutOfRange, View};
use evaluate::Extent;
use plan::{Node, Scope};

impl Session {
    pub(crate) async fn search(&mut self, tag: &Tag, search: Search) -> Outcome {
        let saves = search.returns.is_some_and(|returns| returns.save);
        let outcome = self.find(tag, search).await;
        let failed = matches!(&outcome, Ok(reply) | Err(Interrupt::Reply(reply)) if reply.condition == Condition::No);
        // RFC 5182 §2.1: NO empties the variable, BAD leaves it alone.
        if let (true, true, Some(selected)) = (saves, failed, &mut self.selected) {
            selected.saved = UidSet::new();
        }
        outcome
    }

    async fn find(&mut self, tag: &Tag, search: Search) -> Outcome {
        // RFC 6855 §3: with UTF8=ACCEPT everything is UTF-8.
        if self.enabled.utf8 && search.charset != Charset::Unspecified {
            return Ok(reply::CHARSET_WITH_UTF8);
        }
        if matches!(search.charset, Charset::Unsupported(_)) {
            return Ok(reply::BAD_CHARSET);
        }
        let uses_modseq = search.key.uses_modseq();
        if uses_modseq {
            self.enable_condstore();
        }
        let account = self.logged_in()?;
        self.sync().await?;
        self.report(Expunges::Hold).await?;

        // RFC 9051 §6.4.4: an IMAP4rev2 client gets ESEARCH in any case.
        let by_default = self.enabled.rev2.then_some(SearchReturn { all: true, ..SearchReturn::default() });
        let returns = search.returns.or(by_default);
        let selected = self.selected()?;
        let mailbox = selected.mailbox;
        let scope = Scope::new(&selected.view, &selected.saved);
        let node = plan::plan(&search.key, &scope).map_err(|OutOfRange| reply::NUMBER_OUT_OF_RANGE)?;
        let extent = extent(returns);
        let found = match node {
            Node::Known(found) => evaluate::ends(found, extent),
            node => {
                let among = scope.into_universe();
                account.read(move |read| evaluate::evaluate(read, mailbox, &node, among, extent)).await?
            }
        };
        let selected = self.selected()?;
        if returns.is_some_and(|returns| returns.save) {
            selected.saved = found.clone();
        }
        let results = Results { view: &selected.view, numbering: search.numbering, found, uses_modseq };
        if let Some(response) = results.response(tag, returns) {
            self.wire.send(&response);
        }
        Ok(reply::ok("SEARCH completed"))
    }
}

/// How much of the result the client asks for. MIN and MAX alone need not look at every message, and SAVE beside them
/// saves no more (RFC 5182 §2.4).
fn extent(returns: Option<SearchReturn>) -> Extent {
    match returns {
        Some(SearchReturn { all: false, count: false, min, max, .. }) if min || max => Extent::Ends { min, max },
        _ => Extent::All,
    }
}

/// What was found, to be told.
struct Results<'v> {
    view: &'v View,
    numbering: Numbering,
    /// UIDs.
    found: UidSet,
    uses_modseq: bool,
}

impl Results<'_> {
    /// SEARCH without result options, else ESEARCH; with SAVE alone there is nothing to tell (RFC 5182 §2.2, example
    /// 1).
    fn response(&self, tag: &Tag, returns: Option<SearchReturn>) -> Option<Response> {
        let numbers = match self.numbering {
            Numbering::Uid => self.found.clone(),
            Numbering::Sequence => self.view.by_known_uids(&self.found),
        };
        let Some(returns) = returns else {
            return Some(Response::Search { numbers: numbers.iter().collect(), modseq: self.modseq() });
        };
        if returns == (SearchReturn { save: true, ..SearchReturn::default() }) {
            return None;
        }
        Some(Response::ESearch(ESearch {
            tag: Some(tag.clone()),
            uid: self.numbering == Numbering::Uid,
            min: numbers.first().filter(|_| returns.min),
            max: numbers.last().filter(|_| returns.max),
            count: returns.count.then(|| u32::try_from(numbers.len()).unwrap_or(u32::MAX)),
            all: returns.all.then_some(numbers),
            modseq: self.modseq(),
        }))
    }

    /// The highest mod-sequence of the messages found, if the search was about mod-sequences (RFC 7162 §3.1.5, RFC 4731
    /// §3.2).
    fn modseq(&self) -> Option<u64> {
        if !self.uses_modseq {
            return None;
        }
        let uids = self.found.iter().filter_map(Uid::new);
        let messages = uids.filter_map(|uid| self.view.message(self.view.find(uid)?));
        messages.map(|message| reply::number(message.modseq)).max()
    }
}
