//! Receiving a body before it is known where it goes: memory while small, a spool file when large.
//!
//! A staged body can be stored for several recipients. The spool directory is emptied at start.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mailstead_runtime::BlockingPool;
use nix::sys::statvfs::statvfs;

use crate::blobs::Body;
use crate::content::Content;
use crate::error::{Error, IoContext, Result};

/// How much is collected before it is written to a spool file.
const CHUNK: usize = 256 * 1024;

/// The directory of spool files and the rule when to use it.
#[derive(Debug, Clone)]
pub(crate) struct Spool {
    pub(crate) directory: PathBuf,
    /// Bodies up to this many octets stay in memory and go into the database.
    pub(crate) inline_max: usize,
    /// Free octets below which nothing is staged.
    pub(crate) free_floor: u64,
    pub(crate) pool: BlockingPool,
}

impl Spool {
    /// Creates the directory, or empties it of what a crash left.
    pub(crate) fn prepare(directory: &Path) -> Result<()> {
        if directory.exists() {
            for entry in fs::read_dir(directory).at("list", directory)? {
                let path = entry.at("list", directory)?.path();
                fs::remove_file(&path).at("remove", &path)?;
            }
        }
        crate::store::create_directory(directory)
    }

    /// Refuses what would take the last of the disk, which the rest of the machine needs too.
    fn check_space(&self) -> Result<()> {
        let status = statvfs(&self.directory).map_err(io::Error::from).at("statvfs", &self.directory)?;
        let free = status.blocks_available() * status.fragment_size();
        if free < self.free_floor { Err(Error::DiskFull) } else { Ok(()) }
    }

    pub(crate) async fn run<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        self.pool.run(job).await.map_err(Error::from)?
    }
}

/// A body on its way in. Dropping it forgets it.
#[derive(Debug)]
pub struct Stage {
    spool: Spool,
    buffer: Vec<u8>,
    file: Option<(Arc<File>, SpoolFile)>,
    size: u64,
}

/// A file in the spool directory that is removed with its last user.
#[derive(Debug)]
struct SpoolFile {
    name: String,
    path: PathBuf,
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        // A file left behind is removed at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

impl Stage {
    pub(crate) fn new(spool: Spool) -> Self {
        Stage { spool, buffer: Vec::new(), file: None, size: 0 }
    }

    /// How many octets were written.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds octets.
    ///
    /// # Errors
    /// [`Error::DiskFull`] when the disk is full or below its floor; the stage is of no use then.
    pub async fn write(&mut self, octets: &[u8]) -> Result<()> {
        self.size += octets.len() as u64;
        self.buffer.extend_from_slice(octets);
        let full = if self.file.is_some() { CHUNK } else { self.spool.inline_max + 1 };
        if self.buffer.len() >= full { self.flush().await } else { Ok(()) }
    }

    /// Writes the buffer to the spool file, which is created when there is none yet.
    async fn flush(&mut self) -> Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let file = match &self.file {
            Some((file, spooled)) => Some((Arc::clone(file), spooled.path.clone())),
            None => None,
        };
        if let Some((file, path)) = file {
            return self.spool.run(move || (&*file).write_all(&buffer).at("write", &path)).await;
        }
        let spool = self.spool.clone();
        let created = self.spool.run(move || {
            spool.check_space()?;
            let name = random_name()?;
            let path = spool.directory.join(&name);
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .at("create", &path)?;
            let spooled = SpoolFile { name, path };
            (&file).write_all(&buffer).at("write", &spooled.path)?;
            Ok((Arc::new(file), spooled))
        });
        self.file = Some(created.await?);
        Ok(())
    }

    /// Ends the body: a file is synced, the message is analysed. Nothing refers to it yet.
    pub async fn finish(mut self) -> Result<Staged> {
        if self.file.is_some() && !self.buffer.is_empty() {
            self.flush().await?;
        }
        let Stage { spool, buffer, file, size } = self;
        let here = spool.clone();
        spool
            .run(move || {
                let (body, file) = match file {
                    None => {
                        here.check_space()?;
                        (Body::memory(buffer), None)
                    }
                    Some((file, spooled)) => {
                        file.sync_all().at("sync", &spooled.path)?;
                        (Body::file(file, size), Some(spooled))
                    }
                };
                let content = Content::of(&body)?;
                Ok(Staged::new(body, file.map(Origin::Spool), content))
            })
            .await
    }
}

/// A complete body, ready to be stored for any number of recipients. Cheap to clone.
#[derive(Clone)]
pub struct Staged(Arc<Inner>);

struct Inner {
    body: Body,
    origin: Option<Origin>,
    content: Content,
}

/// The file of a large body.
enum Origin {
    /// Ours, removed with the last clone.
    Spool(SpoolFile),
    /// That of a stored body, which its owner removes.
    Stored { name: String, path: PathBuf },
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staged").field("size", &self.size()).finish_non_exhaustive()
    }
}

impl Staged {
    fn new(body: Body, origin: Option<Origin>, content: Content) -> Self {
        Staged(Arc::new(Inner { body, origin, content }))
    }

    /// A stored body, to be stored again elsewhere. Blocks on the disk.
    pub(crate) fn stored(body: Body, file: Option<(String, PathBuf)>) -> Result<Self> {
        let content = Content::of(&body)?;
        Ok(Staged::new(body, file.map(|(name, path)| Origin::Stored { name, path }), content))
    }

    /// Length of the body in octets, without any prefix.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.body.size()
    }

    /// The octets.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.0.body
    }

    /// What was found in the message: structure, preview, identifiers.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.0.content
    }

    /// Name and path of the file of a large body.
    pub(crate) fn file(&self) -> Option<(&str, &Path)> {
        self.0.origin.as_ref().map(|origin| match origin {
            Origin::Spool(SpoolFile { name, path }) | Origin::Stored { name, path } => (name.as_str(), path.as_path()),
        })
    }
}

/// A name that no other file has: 128 random bits.
fn random_name() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::Database(format!("no randomness: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
