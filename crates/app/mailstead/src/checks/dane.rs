//! TLSA records, and servers checked by them (RFC 6698, RFC 7671).

mod dial;
mod mx;
mod record;
mod report;

use std::sync::Arc;

use mailstead_net::{AddressPolicy, DirectDialer};

use self::dial::Dialling;
use super::options::transport::DaneCommand;
use super::resolver;
use crate::failure::Failure;

/// `mailstead dane`.
pub(crate) async fn run(command: DaneCommand) -> Result<(), Failure> {
    match command {
        DaneCommand::Record { usage, selector, matching_type, file, host, port, json } => {
            let record = record::of_file(&file, usage, selector, matching_type)?;
            let place = host.map(|host| record::place(host, port)).transpose()?;
            record::shown(&record, place.as_ref()).show(json)
        }
        DaneCommand::Dial { server: (host, port), usages, starttls, trust, asking } => {
            let resolver = resolver(&asking.source).await?;
            // The operator names the server: no address is forbidden.
            let dialer = DirectDialer::new(AddressPolicy::Any);
            let roots = trust.roots()?;
            let dialling = Dialling { host, port, usages, starttls, roots };
            let seen = dialling.dial(&resolver, &dialer).await;
            let objection = seen.objection();
            report::shown(&dialling, &seen).show(asking.json)?;
            objection.map_or(Ok(()), |why| Err(Failure::new(why)))
        }
        DaneCommand::Dialmx { domain, host, trust, asking } => {
            let resolver = Arc::new(resolver(&asking.source).await?);
            let dialer = DirectDialer::new(AddressPolicy::Any);
            let seen = mx::Mail { domain, host, roots: trust.roots()? }.dial(resolver, &dialer).await;
            let objection = seen.objection();
            seen.shown().show(asking.json)?;
            objection.map_or(Ok(()), |why| Err(Failure::new(why)))
        }
    }
}

#[cfg(test)]
mod tests;
