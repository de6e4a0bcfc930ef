//! HELO, MAIL and RCPT: who may say what about themselves, and who may send to whom.

use std::time::Duration;

use mailstead_config::Lookup;
use mailstead_message::structure::Structure;
use mailstead_names::{EhloName, ForwardPath, Host, ReversePath};
use mailstead_smtp::server::{Received, Role};
use mailstead_smtp::{Body, Mail, Rcpt, Reply, Strictness, Verb};

use crate::authentication::{SpfCheck, check_spf};
use crate::connection::{Connection, Recipient, Transaction};
use crate::refusal::{Cause, Refusal};
use crate::reply;
use crate::sandbox::{Moment, Provocation, Sandbox};
use crate::sender_domain::{MailDomain, has_address, mail_domain};
use crate::settings::PlaintextDelivery;

impl Connection {
    /// HELO and EHLO. What submitters call themselves is of no interest: they log in.
    pub(crate) async fn greeted(&mut self, verb: Verb, name: EhloName) -> Reply {
        let server = &self.server;
        self.authenticator.peer.client = name.to_string();
        if self.endpoint.role == Role::Submission && server.settings.strictness == Strictness::Lenient {
            return reply::hello(&server.settings.hostname);
        }
        // HELO only: software that speaks it and does not know its own name is almost always unwanted.
        if verb == Verb::Helo
            && let Some(domain) = name.domain()
            && server.settings.sandbox == Sandbox::Off
            && matches!(has_address(&*server.services.resolver, domain).await, Ok(false))
        {
            return reply::ehlo_does_not_resolve();
        }
        self.hello = name;
        reply::hello(&self.server.settings.hostname)
    }

    /// MAIL FROM.
    pub(crate) async fn sender(&self, mail: &Mail) -> Reply {
        if let ReversePath::Address(address) = &mail.from
            && let Some(provocation) = self.server.settings.sandbox.provocation(&address.localpart)
            && provocation.moment == Moment::MailFrom
        {
            return self.provoked(provocation).await;
        }
        match (&mail.from, self.endpoint.role) {
            (ReversePath::Null, _) => reply::sender_ok(),
            (ReversePath::Address(address), Role::Submission) => {
                let directory = self.server.directory();
                match &self.user {
                    Some(user) if directory.may_send_as(&user.name, address) => reply::sender_ok(),
                    _ => reply::sender_not_yours(),
                }
            }
            (ReversePath::Address(address), Role::Transfer) => match &address.host {
                Host::Ip(_) => reply::sender_domain_required(),
                // Our own domains need no look-up, nor does anybody in a sandbox.
                Host::Domain(domain) if self.server.directory().is_local(domain) => reply::sender_ok(),
                Host::Domain(domain) => match mail_domain(&*self.server.services.resolver, domain).await {
                    MailDomain::Receives => reply::sender_ok(),
                    MailDomain::DoesNotReceive => reply::sender_domain_without_mail(),
                    MailDomain::Undecided => reply::sender_domain_unknown_yet(),
                },
            },
        }
    }

    /// RCPT TO. An accepted recipient becomes part of the transaction.
    pub(crate) async fn recipient(&mut self, rcpt: Rcpt) -> Reply {
        let Rcpt { to, notify, orcpt } = rcpt;
        if let ForwardPath::Address(address) = &to
            && let Some(provocation) = self.server.settings.sandbox.provocation(&address.localpart)
            && provocation.moment == Moment::RcptTo
        {
            return self.provoked(provocation).await;
        }
        let inbound = self.endpoint.role == Role::Transfer;
        let in_the_clear = self.wire.stream.tls().is_none();
        if inbound && in_the_clear && self.endpoint.plaintext_delivery == PlaintextDelivery::Refused {
            return reply::starttls_required();
        }
        let found = self.server.directory().lookup(&to);
        let destination = match (found, self.endpoint.role) {
            (Lookup::Found(destination), _) => Some(destination),
            // Nobody shall learn who exists by asking: the answer comes after the message (see `inbound.rs`). Our own
            // users are told at once.
            (Lookup::UnknownUser, Role::Transfer) if self.server.settings.sandbox == Sandbox::Off => None,
            (Lookup::UnknownUser, _) => return reply::no_such_user(),
            (Lookup::NotLocal, Role::Transfer) => return reply::not_local(),
            (Lookup::NotLocal, Role::Submission) => None,
        };
        // Said again, a recipient is still one recipient.
        let Some(transaction) = &mut self.transaction else { return reply::processing() };
        let address = match to {
            ForwardPath::Address(address) => address,
            ForwardPath::Postmaster => self.server.postmaster.clone(),
        };
        if transaction.recipients.iter().any(|known| known.address == address) {
            return reply::recipient_ok();
        }
        // A notice concerns one message to one recipient; more of them are an abuse of the null reverse-path.
        if inbound && transaction.mail.from == ReversePath::Null && !transaction.recipients.is_empty() {
            return reply::one_recipient_for_null_sender();
        }
        let is_further = inbound && !transaction.recipients.is_empty();
        if is_further && self.server.settings.sandbox == Sandbox::Off && !self.sender_is_authorized().await {
            return reply::one_recipient_without_spf();
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.recipients.push(Recipient { address, destination, notify, orcpt });
        }
        reply::recipient_ok()
    }

    /// Whether SPF lets the client use the reverse-path. Failures of some recipients are told to the sender by a notice,
    /// which must not go to somebody who has nothing to do with it: without this there is one recipient a message, who
    /// can be refused at once.
    async fn sender_is_authorized(&mut self) -> bool {
        let remote = self.remote();
        let Some(transaction) = &mut self.transaction else { return false };
        if transaction.spf.is_none() {
            let services = &self.server.services;
            let (hostname, sender) = (&self.server.settings.hostname, &transaction.mail.from);
            let check = check_spf(&*services.resolver, hostname, remote, sender, &self.hello, services.clock.now());
            transaction.spf = Some(check.await);
        }
        transaction.spf.as_ref().is_some_and(SpfCheck::authorizes_sender)
    }

    /// What recipients' local parts provoke at the end of the message. For inbound mail that is part of each
    /// recipient's verdict; here is only the silence before.
    pub(crate) async fn provoked_by_recipients(&self, transaction: &Transaction) -> Result<(), Refusal> {
        let (sandbox, role) = (self.server.settings.sandbox, self.endpoint.role);
        let provocation = transaction
            .recipients
            .iter()
            .filter_map(|recipient| sandbox.provocation(&recipient.address.localpart))
            .filter(|provocation| role == Role::Transfer || provocation.moment == Moment::EndOfData)
            .max_by_key(|provocation| provocation.silence);
        let Some(provocation) = provocation else { return Ok(()) };
        let reply = self.provoked(provocation).await;
        if role == Role::Transfer { Ok(()) } else { Err(Refusal::new(Cause::Provoked, reply)) }
    }

    async fn provoked(&self, provocation: Provocation) -> Reply {
        if provocation.silence > Duration::ZERO {
            // A stop of the server need not wait for the end of it.
            self.server.services.shutdown.or_begun(tokio::time::sleep(provocation.silence)).await;
        }
        reply::provoked(provocation.code)
    }

    /// Pedantic: a message must be what MAIL declared.
    pub(crate) fn check_declared(&self, mail: &Mail, received: Received, structure: &Structure) -> Result<(), Refusal> {
        if self.server.settings.strictness == Strictness::Lenient {
            return Ok(());
        }
        if structure.needs_smtputf8() && !mail.smtputf8 {
            return Err(Refusal::new(Cause::Undeclared, reply::smtputf8_undeclared()));
        }
        if received.eight_bit && mail.body != Some(Body::EightBitMime) {
            return Err(Refusal::new(Cause::Undeclared, reply::eight_bit_undeclared()));
        }
        Ok(())
    }
}
