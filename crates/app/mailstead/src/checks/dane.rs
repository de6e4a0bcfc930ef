//! TLSA records, and servers checked by them (RFC 6698, RFC 7671).

mod record;

use super::options::transport::DaneCommand;
use crate::failure::Failure;

/// `mailstead dane`.
pub(crate) async fn run(command: DaneCommand) -> Result<(), Failure> {
    match command {
        DaneCommand::Record { usage, selector, matching_type, file, host, port, json } => {
            let record = record::of_file(&file, usage, selector, matching_type)?;
            let place = host.map(|host| record::place(host, port)).transpose()?;
            record::shown(&record, place.as_ref()).show(json)
        }
    }
}
