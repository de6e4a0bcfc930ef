//! One session: its state (RFC 9051 §3), what it has enabled, and which commands are allowed when.
//!
//! Commands run one after the other, in the order received (§5.5). What a command does is in the file of its family;
//! this file chooses the handler, and after each command tells the client what changed meanwhile.

use std::sync::Arc;

use mailstead_imap::command::{Access, Command, Numbering, Request, SearchKey, Tag};
use mailstead_imap::{MessageSet, Response, UidSet};
use mailstead_login::{Authenticator, Peer};
use mailstead_net::tls::ServerTls;
use mailstead_store::{Account, MailboxId, Notices};

use crate::reply::{self, Close, Interrupt, Outcome, Reply};
use crate::server::Server;
use crate::settings::{Endpoint, Security};
use crate::view::{Expunges, OutOfRange, View};
use crate::wire::Wire;

/// What ENABLE and the CONDSTORE enabling commands have switched on (RFC 5161, RFC 7162 §3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Enabled {
    /// IMAP4rev2: no RECENT, ESEARCH instead of SEARCH, UTF-8 names.
    pub(crate) rev2: bool,
    /// UTF8=ACCEPT: message headers may hold UTF-8.
    pub(crate) utf8: bool,
    /// MODSEQ in every FETCH response.
    pub(crate) condstore: bool,
    /// VANISHED in place of EXPUNGE.
    pub(crate) qresync: bool,
}

/// The selected mailbox.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) mailbox: MailboxId,
    pub(crate) access: Access,
    pub(crate) view: View,
    /// The search result variable `$` (RFC 5182): UIDs, of which those that still exist count.
    pub(crate) saved: UidSet,
}

/// Who is logged in.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) account: Account,
    pub(crate) notices: Notices,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) server: Arc<Server>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) wire: Wire,
    pub(crate) enabled: Enabled,
    pub(crate) user: Option<User>,
    pub(crate) selected: Option<Selected>,
    /// Runs the attempts to log in, and knows who is at the other end.
    pub(crate) authenticator: Authenticator,
}

impl Session {
    pub(crate) fn new(server: Arc<Server>, endpoint: Arc<Endpoint>, wire: Wire) -> Session {
        let stream = wire.stream();
        let authenticator = server.login.authenticator(Peer {
            protocol: "imap",
            remote: stream.peer_addr().ip(),
            local: stream.local_addr().ip(),
            tls: None,
            plaintext: endpoint.plaintext_login,
            client: String::new(),
        });
        Session { server, endpoint, wire, enabled: Enabled::default(), user: None, selected: None, authenticator }
    }

    /// The account, after login.
    pub(crate) fn account(&self) -> Option<&Account> {
        self.user.as_ref().map(|user| &user.account)
    }

    /// The account, for commands that need one.
    pub(crate) fn logged_in(&self) -> Outcome<Account> {
        self.account().cloned().ok_or(reply::NOT_AUTHENTICATED.into())
    }

    /// The selected mailbox, for commands that need one.
    pub(crate) fn selected(&mut self) -> Outcome<&mut Selected> {
        self.selected.as_mut().ok_or(reply::NOTHING_SELECTED.into())
    }

    /// The selected mailbox, for commands that change it.
    pub(crate) fn writable(&mut self) -> Outcome<&mut Selected> {
        match self.selected()? {
            selected if selected.access == Access::ReadWrite => Ok(selected),
            _ => Err(reply::READ_ONLY.into()),
        }
    }

    /// TLS to start with STARTTLS, if the session has none yet.
    pub(crate) fn tls_to_start(&self) -> Option<&ServerTls> {
        match &self.endpoint.security {
            Security::StartTls(tls) if self.wire.stream().tls().is_none() => Some(tls),
            _ => None,
        }
    }

    /// Runs a command and answers it.
    pub(crate) async fn run(&mut self, request: Request) -> Result<(), Close> {
        let Request { tag, command } = request;
        let (name, expunges) = (name(&command), expunges_during(&command));
        tracing::trace!(target: "imap::protocol", %tag, ?command, "C");
        let outcome = self.execute(&tag, command).await;
        self.finish(tag, name, expunges, outcome).await
    }

    /// Tells what changed during a command, then completes it.
    pub(crate) async fn finish(
        &mut self,
        tag: Tag,
        command: &'static str,
        expunges: Expunges,
        outcome: Outcome,
    ) -> Result<(), Close> {
        let reply = match outcome {
            Ok(reply) | Err(Interrupt::Reply(reply)) => reply,
            Err(Interrupt::Answered) => return Ok(()),
            Err(Interrupt::Close(Close::Logout)) => {
                self.wire.complete(tag, reply::ok("LOGOUT completed"));
                return Err(Close::Logout);
            }
            Err(Interrupt::Close(close)) => return Err(close),
        };
        self.server.metrics.command(command, reply.condition.name());
        tracing::debug!(command, result = reply.condition.name(), text = %reply.text, "command");
        self.catch_up(expunges).await?;
        self.wire.complete(tag, reply);
        self.wire.flush().await
    }

    async fn execute(&mut self, tag: &Tag, command: Command) -> Outcome {
        self.check_state(&command)?;
        match command {
            Command::Capability => {
                let capabilities = self.capabilities();
                self.wire.send(&Response::Capability(capabilities));
                Ok(reply::ok("CAPABILITY completed"))
            }
            Command::Noop => Ok(reply::ok("NOOP completed")),
            Command::Check => Ok(reply::ok("CHECK completed")),
            Command::Logout => {
                self.wire.untagged(reply::BYE_LOGOUT);
                Err(Interrupt::Close(Close::Logout))
            }
            Command::Id(parameters) => Ok(self.id(parameters)),
            Command::StartTls => self.start_tls(tag).await,
            Command::Authenticate { mechanism, initial_response } => {
                self.authenticate(&mechanism, initial_response).await
            }
            Command::Login { user, password } => self.login(user, password).await,
            Command::Enable(names) => Ok(self.enable(&names)),
            Command::Select(select) => self.select(select).await,
            Command::Create { mailbox, special_use } => self.create(mailbox, special_use).await,
            Command::Delete(mailbox) => self.delete(mailbox).await,
            Command::Rename { from, to } => self.rename(from, to).await,
            Command::Subscribe(mailbox) => self.subscribe(mailbox).await,
            Command::Unsubscribe(mailbox) => self.unsubscribe(mailbox).await,
            Command::List(list) => self.list(list).await,
            Command::Lsub { reference, pattern } => self.lsub(reference, pattern).await,
            Command::Namespace => {
                self.wire.send(&Response::Namespace);
                Ok(reply::ok("NAMESPACE completed"))
            }
            Command::Status { mailbox, items } => self.status(mailbox, items).await,
            Command::Idle => self.idle().await,
            Command::Close => self.close().await,
            Command::Unselect => Ok(self.unselect()),
            Command::Expunge => self.expunge(None).await,
            Command::UidExpunge(set) => self.expunge(Some(set)).await,
            Command::Search(search) => self.search(tag, search).await,
            Command::Fetch(fetch) => self.fetch(fetch).await,
            Command::Store(store) => self.store(store).await,
            Command::Copy(transfer) => self.copy(transfer).await,
            Command::Move(transfer) => self.move_messages(transfer).await,
            _ => Ok(reply::UNSUPPORTED),
        }
    }

    /// RFC 9051 §3: which commands are allowed in which state.
    fn check_state(&self, command: &Command) -> Outcome<()> {
        use Command as C;
        match command {
            C::Capability | C::Noop | C::Logout | C::Id(_) => Ok(()),
            C::StartTls | C::Authenticate { .. } | C::Login { .. } if self.user.is_some() => {
                Err(reply::ALREADY_AUTHENTICATED.into())
            }
            C::StartTls | C::Authenticate { .. } | C::Login { .. } => Ok(()),
            _ if self.user.is_none() => Err(reply::NOT_AUTHENTICATED.into()),
            C::Check
            | C::Close
            | C::Unselect
            | C::Expunge
            | C::UidExpunge(_)
            | C::Search(_)
            | C::Fetch(_)
            | C::Store(_)
            | C::Copy(_)
            | C::Move(_)
                if self.selected.is_none() =>
            {
                Err(reply::NOTHING_SELECTED.into())
            }
            _ => Ok(()),
        }
    }

    /// The messages that a command's set means, as numbers in the view.
    pub(crate) fn numbers(&mut self, set: &MessageSet, numbering: Numbering) -> Outcome<UidSet> {
        let selected = self.selected()?;
        match (set, numbering) {
            (MessageSet::SearchResult, _) => Ok(selected.view.by_known_uids(&selected.saved)),
            (MessageSet::Numbers(set), Numbering::Uid) => Ok(selected.view.by_uid(set)),
            (MessageSet::Numbers(set), Numbering::Sequence) => {
                selected.view.by_number(set).map_err(|OutOfRange| reply::NUMBER_OUT_OF_RANGE.into())
            }
        }
    }
}

/// RFC 9051 §7.5.1 and RFC 7162 §3.2.10.2: no EXPUNGE or VANISHED while FETCH, STORE or SEARCH is answered, nor during
/// a UID SEARCH whose keys hold message numbers. Before login there is nothing to report anyway.
fn expunges_during(command: &Command) -> Expunges {
    let numbering = match command {
        Command::Fetch(fetch) => fetch.numbering,
        Command::Store(store) => store.numbering,
        Command::Search(search) if search.key.any(&|key| matches!(key, SearchKey::Sequence(_))) => Numbering::Sequence,
        Command::Search(search) => search.numbering,
        _ => Numbering::Uid,
    };
    match numbering {
        Numbering::Sequence => Expunges::Hold,
        Numbering::Uid => Expunges::Report,
    }
}

/// A command's name, for metrics.
fn name(command: &Command) -> &'static str {
    match command {
        Command::Capability => "CAPABILITY",
        Command::Noop => "NOOP",
        Command::Logout => "LOGOUT",
        Command::Id(_) => "ID",
        Command::StartTls => "STARTTLS",
        Command::Authenticate { .. } => "AUTHENTICATE",
        Command::Login { .. } => "LOGIN",
        Command::Enable(_) => "ENABLE",
        Command::Select(select) if select.access == Access::ReadOnly => "EXAMINE",
        Command::Select(_) => "SELECT",
        Command::Create { .. } => "CREATE",
        Command::Delete(_) => "DELETE",
        Command::Rename { .. } => "RENAME",
        Command::Subscribe(_) => "SUBSCRIBE",
        Command::Unsubscribe(_) => "UNSUBSCRIBE",
        Command::List(_) => "LIST",
        Command::Lsub { .. } => "LSUB",
        Command::Namespace => "NAMESPACE",
        Command::Status { .. } => "STATUS",
        Command::Idle => "IDLE",
        Command::Check => "CHECK",
        Command::Close => "CLOSE",
        Command::Unselect => "UNSELECT",
        Command::Expunge | Command::UidExpunge(_) => "EXPUNGE",
        Command::Search(_) => "SEARCH",
        Command::Fetch(_) => "FETCH",
        Command::Store(_) => "STORE",
        Command::Copy(_) => "COPY",
        Command::Move(_) => "MOVE",
        _ => "(other)",
    }
}

/// What a client may do with the mailbox it selects.
pub(crate) fn selected_reply(access: Access) -> Reply {
    match access {
        Access::ReadWrite => reply::SELECTED,
        Access::ReadOnly => reply::EXAMINED,
    }
}
