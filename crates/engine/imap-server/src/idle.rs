//! IDLE: RFC 9051 §6.3.13, RFC 2177. Changes are told as the store announces them.

use mailstead_imap::Response;
use mailstead_imap::server::Event;
use mailstead_runtime::Deadline;

use crate::reply::{self, Close, Interrupt, Outcome};
use crate::session::Session;
use crate::view::Expunges;

impl Session {
    pub(crate) async fn idle(&mut self) -> Outcome {
        let deadline = Deadline::after(self.server.settings.idle_timeout);
        let shutdown = self.server.shutdown.clone();
        self.wire.send(&Response::Continue("idling".to_owned()));
        self.wire.framing.expect_done();
        loop {
            self.catch_up(Expunges::Report).await?;
            self.wire.flush().await?;
            let Some(user) = &mut self.user else { return Err(reply::NOT_AUTHENTICATED.into()) };
            tokio::select! {
                event = self.wire.event(deadline) => return match event? {
                    Event::Done => Ok(reply::ok("IDLE completed")),
                    Event::Rejected(rejection) => Ok(reply::rejected(rejection.code, rejection.text)),
                    _ => Err(Interrupt::Close(Close::Bye(reply::BYE_INTERNAL))),
                },
                _ = user.notices.changed() => {}
                _ = shutdown.begun() => return Err(Interrupt::Close(Close::Bye(reply::BYE_SHUTDOWN))),
            }
        }
    }
}
