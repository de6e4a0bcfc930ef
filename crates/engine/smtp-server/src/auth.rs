//! AUTH: the session frames the exchange, `mailstead_login` decides, here are the replies.

use mailstead_login::{Refusal, Step};
use mailstead_names::Secret;
use mailstead_smtp::InitialResponse;

use crate::connection::Connection;
use crate::reply;
use crate::wire::Pace;

impl Connection {
    pub(crate) async fn auth(&mut self, mechanism: &str, initial: InitialResponse) {
        let initial = initial.as_ref().map(|initial| initial.expose().as_slice());
        let step = self.authenticator.start(mechanism, initial).await;
        self.authentication_step(step);
    }

    pub(crate) async fn auth_response(&mut self, response: &Secret<Vec<u8>>) {
        let step = self.authenticator.respond(response.expose()).await;
        self.authentication_step(step);
    }

    fn authentication_step(&mut self, step: Step) {
        match step {
            Step::Challenge(challenge) => self.session.challenge(&challenge),
            Step::Done(Ok(user)) => {
                self.wire.pace = Pace::Normal;
                tracing::Span::current().record("user", user.username.as_str());
                self.user = Some(user);
                self.answer(reply::authenticated());
            }
            Step::Done(Err(Refusal::TooManyFailures)) => self.session.close(reply::too_many_auth_failures()),
            Step::Done(Err(refusal)) => {
                if self.authenticator.is_slow() {
                    self.wire.pace = Pace::Slow;
                }
                self.answer(reply::login_refused(&refusal));
            }
        }
    }
}
