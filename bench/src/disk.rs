//! What the disk does without a mail server.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Outcome;

/// Appends of 10 KB to one file, each with fdatasync, in a second.
pub(crate) fn syncs_per_second(directory: &Path, time: Duration) -> Outcome<f64> {
    let path = directory.join("disk");
    let mut file = File::create(&path)?;
    let octets = vec![b'd'; 10_240];
    let start = Instant::now();
    let mut number = 0u32;
    while start.elapsed() < time {
        file.write_all(&octets)?;
        file.sync_data()?;
        number += 1;
    }
    let rate = f64::from(number) / start.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}
