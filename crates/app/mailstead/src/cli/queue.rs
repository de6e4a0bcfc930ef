//! The options of `mailstead queue`.

use clap::{Args, Subcommand};
use jiff::SignedDuration;
use mailstead_queue::{AddressPattern, Filter, Span, duration};

use super::Place;
use crate::operations::queue::{Scope, Sort};

/// Which messages are meant. What is left out does not matter, and everything that is given must be so.
#[derive(Debug, Clone, Args)]
pub(crate) struct FilterOptions {
    /// Only these numbers, with commas between them.
    #[arg(long = "id", value_name = "NUMBER", value_delimiter = ',')]
    ids: Vec<i64>,
    /// Only messages of such senders: a part of the address, `@` and the whole domain, or `<>` for notices.
    #[arg(long, value_name = "ADDRESS")]
    from: Option<AddressPattern>,
    /// Only messages for such recipients: a part of the address, or `@` and the whole domain.
    #[arg(long, value_name = "ADDRESS")]
    to: Option<AddressPattern>,
    /// Only messages that were queued less (`<1h`) or more (`>2d`) than this time ago; shells want the quotes.
    #[arg(long, value_name = "TIME")]
    submitted: Option<Span>,
    /// Only messages whose next attempt is due within (`<1h`) or after (`>2d`) this time, or `now`.
    #[arg(long, value_name = "TIME")]
    next: Option<Span>,
    /// No more than this many, the first ones.
    #[arg(long, value_name = "NUMBER")]
    max: Option<usize>,
}

impl From<FilterOptions> for Filter {
    fn from(FilterOptions { ids, from, to, submitted, next, max }: FilterOptions) -> Filter {
        Filter { ids, from, to, submitted, next, max }
    }
}

/// Which messages something is to be done to.
#[derive(Debug, Clone, Args)]
pub(crate) struct Meant {
    #[command(flatten)]
    filter: FilterOptions,
    /// Every message that waits is meant.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    place: Place,
}

impl Meant {
    /// What is meant, whether everything may be, and where.
    pub(crate) fn into_parts(self) -> (Filter, Scope, Place) {
        (self.filter.into(), if self.all { Scope::All } else { Scope::Named }, self.place)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// List what waits, a recipient each, with what the last attempt came to.
    List {
        #[command(flatten)]
        filter: FilterOptions,
        /// Which come first.
        #[arg(long, value_enum, default_value_t = Sort::Next)]
        sort: Sort,
        /// Show all attempts that are remembered.
        #[arg(long)]
        results: bool,
        /// Print a line of JSON for each, with all attempts that are remembered.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Make the next attempt at another time.
    Schedule {
        #[command(flatten)]
        meant: Meant,
        /// As soon as possible. This is what happens without --in too.
        #[arg(long, conflicts_with = "wait")]
        now: bool,
        /// So much later than now, such as 90m, 4h or 2d.
        #[arg(long = "in", id = "wait", value_name = "TIME", value_parser = duration)]
        wait: Option<SignedDuration>,
    },
    /// Give up delivery, and tell the senders so. An attempt that is under way is left to end.
    Fail {
        #[command(flatten)]
        meant: Meant,
    },
    /// Remove messages without telling anybody. An attempt that is under way is left to end.
    Drop {
        #[command(flatten)]
        meant: Meant,
    },
    /// Print a message as it is sent.
    Dump {
        /// Its number, as `queue list` shows it.
        id: i64,
        #[command(flatten)]
        place: Place,
    },
}
