//! APPEND: RFC 9051 §6.3.12, RFC 4315 (APPENDUID), RFC 6855 §4 (UTF8), RFC 7889 (APPENDLIMIT).
//!
//! What can be refused is refused before the message is asked for. The message is streamed to the store while the store
//! scans it.

use mailstead_imap::Response;
use mailstead_imap::command::{Append, AppendForm};
use mailstead_imap::server::Event;
use mailstead_runtime::Deadline;
use mailstead_store::{Error, Flags, NewMessage, Staged};

use crate::reply::{self, Close, Interrupt, Outcome};
use crate::session::Session;
use crate::view::{Expunges, from_wire};

impl Session {
    /// The largest message that is taken; at most what fits in 32 bits, because clients read it so.
    pub(crate) fn append_limit(&self) -> u64 {
        self.server.settings.max_message.min(u64::from(u32::MAX))
    }

    /// Runs and answers an APPEND.
    pub(crate) async fn run_append(&mut self, append: Append) -> Result<(), Close> {
        let tag = append.tag.clone();
        let outcome = self.append(append).await;
        self.finish(tag, "APPEND", Expunges::Report, outcome).await
    }

    async fn append(&mut self, append: Append) -> Outcome {
        let flags = match self.check_append(&append).await {
            Ok(flags) => flags,
            Err(Interrupt::Reply(reply)) => return Err(self.refuse_append(reply)),
            Err(close) => return Err(close),
        };
        if self.wire.framing.accept_append() {
            self.wire.send(&Response::Continue("send the message".to_owned()));
            self.wire.flush().await?;
        }
        let staged = self.receive().await?;
        if staged.content().structure().needs_smtputf8() && !self.enabled.utf8 && !self.enabled.rev2 {
            // RFC 6855 §4: such a client could not read the message either.
            return Ok(reply::UTF8_NEEDED);
        }
        let received_at = append.date.unwrap_or_else(|| self.server.clock.now());
        let account = self.logged_in()?;
        let appended = account.write(move |write| {
            let mailbox = write.mailbox_by_name(append.mailbox.as_str())?.ok_or(Error::NoMailbox)?.id;
            let (staged, flags) = (staged.clone(), flags.clone());
            write.append(&NewMessage { mailbox, staged, prefix: Vec::new(), flags, received_at, facts: Vec::new() })
        });
        let appended = appended.await.map_err(reply::to_destination)?;
        Ok(reply::append_uid(appended.uid_validity, appended.uid.number()))
    }

    /// Everything that can be known before the message is.
    async fn check_append(&mut self, append: &Append) -> Outcome<Flags> {
        let account = self.logged_in()?;
        let flags = from_wire(&append.flags).ok_or(reply::BAD_FLAG)?;
        if append.form == AppendForm::Utf8 && !self.enabled.utf8 && !self.enabled.rev2 {
            return Err(reply::UTF8_NOT_ENABLED.into());
        }
        if append.size == 0 {
            // RFC 3502 §4: how a client cancels.
            return Err(reply::EMPTY_MESSAGE.into());
        }
        if append.size > self.append_limit() {
            return Err(reply::TOO_BIG.into());
        }
        let name = append.mailbox.as_str().to_owned();
        let (mailbox, usage) = account.read(move |read| Ok((read.mailbox_by_name(&name)?, read.usage()?))).await?;
        if mailbox.is_none() {
            return Err(reply::TRY_CREATE.into());
        }
        if usage.quota.is_some_and(|quota| usage.used.saturating_add(append.size) > quota) {
            return Err(reply::OVER_QUOTA.into());
        }
        Ok(flags)
    }

    /// The message itself. After a failure the rest is still read: the client is in the midst of sending it.
    async fn receive(&mut self) -> Outcome<Staged> {
        let mut stage = Ok(self.server.store.stage());
        loop {
            let deadline = Deadline::after(self.server.settings.login_timeout);
            match self.wire.event(deadline).await? {
                Event::AppendData(octets) => {
                    if let Ok(open) = &mut stage
                        && let Err(error) = open.write(&octets).await
                    {
                        stage = Err(error);
                    }
                }
                Event::AppendEnd => return Ok(stage?.finish().await?),
                Event::AppendFailed(rejection) => return Err(reply::rejected(rejection.code, rejection.text).into()),
                // Something follows the message that cannot be told from commands, such as another message.
                Event::Fatal(rejection) => return Err(Interrupt::Close(self.fatal(rejection).await)),
                _ => return Err(Interrupt::Close(Close::Bye(reply::BYE_INTERNAL))),
            }
        }
    }
}
