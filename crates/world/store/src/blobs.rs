//! Message bodies: small ones in the database beside their row, large ones in files.
//!
//! A file is complete and synced before the row that names it commits, and is removed only after the row
//! that named it is gone: a crash leaves a file too many at worst, never a row without data. Bodies do
//! not change, so copies of a message share one, counted in `blobs.refs`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, IoContext, Result};
use crate::ids::{AccountId, BlobId};
use crate::sql::{params, sync_directory};
use crate::stage::Staged;
use crate::transaction::{Read, Write};

/// Where large bodies lie. Files now; an object store is to be the second.
pub(crate) trait BlobStore: Send + Sync {
    /// Adds a synced spool file under a name. Adding the same name again is no error: it is the same body.
    fn add(&self, account: AccountId, name: &str, source: &Path) -> Result<()>;

    /// Makes what was added durable.
    fn sync(&self, account: AccountId, names: &[String]) -> Result<()>;

    /// Opens a body for reading.
    fn open(&self, account: AccountId, name: &str) -> Result<Body>;

    /// Where a body lies, as a source for [`BlobStore::add`] to another account.
    fn path(&self, account: AccountId, name: &str) -> PathBuf;

    /// Removes a body. One that is not there is no error.
    fn remove(&self, account: AccountId, name: &str) -> Result<()>;

    /// Names and sizes of all bodies of an account.
    fn list(&self, account: AccountId) -> Result<Vec<(String, u64)>>;

    /// Removes all bodies of an account.
    fn remove_all(&self, account: AccountId) -> Result<()>;
}

/// Bodies as files below `accounts/<id>/blobs`, spread over directories by the start of their random name.
pub(crate) struct BlobFiles {
    directory: PathBuf,
}

impl BlobFiles {
    pub(crate) fn new(data_directory: &Path) -> Self {
        BlobFiles { directory: data_directory.join("accounts") }
    }

    fn root(&self, account: AccountId) -> PathBuf {
        self.directory.join(account.to_string()).join("blobs")
    }

    fn shelf(&self, account: AccountId, name: &str) -> PathBuf {
        self.root(account).join(name.get(..2).unwrap_or("00"))
    }
}

impl BlobStore for BlobFiles {
    fn add(&self, account: AccountId, name: &str, source: &Path) -> Result<()> {
        let shelf = self.shelf(account, name);
        let target = shelf.join(name);
        let link = || fs::hard_link(source, &target);
        match link() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !shelf.exists() => {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(&shelf).at("create", &shelf)?;
                // Once per shelf: the entries above it, up to the data directory.
                let inside = |above: &&Path| above.starts_with(&self.directory);
                for above in shelf.ancestors().skip(1).take_while(inside) {
                    sync_directory(above)?;
                }
                if let Some(data_directory) = self.directory.parent() {
                    sync_directory(data_directory)?;
                }
                link().at("link to", &target)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other.at("link to", &target),
        }
    }

    fn sync(&self, account: AccountId, names: &[String]) -> Result<()> {
        let shelves: BTreeSet<PathBuf> = names.iter().map(|name| self.shelf(account, name)).collect();
        shelves.iter().try_for_each(|shelf| sync_directory(shelf))
    }

    fn open(&self, account: AccountId, name: &str) -> Result<Body> {
        let path = self.path(account, name);
        let file = File::open(&path).at("open", &path)?;
        let size = file.metadata().at("stat", &path)?.len();
        Ok(Body(Source::File { file: Arc::new(file), size }))
    }

    fn path(&self, account: AccountId, name: &str) -> PathBuf {
        self.shelf(account, name).join(name)
    }

    fn remove(&self, account: AccountId, name: &str) -> Result<()> {
        let path = self.path(account, name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.at("remove", &path),
        }
    }

    fn list(&self, account: AccountId) -> Result<Vec<(String, u64)>> {
        let root = self.root(account);
        let mut found = Vec::new();
        for shelf in entries(&root)? {
            for file in entries(&shelf)? {
                let size = fs::metadata(&file).at("stat", &file)?.len();
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                found.push((name, size));
            }
        }
        Ok(found)
    }

    fn remove_all(&self, account: AccountId) -> Result<()> {
        let root = self.root(account);
        match fs::remove_dir_all(&root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.at("remove", &root),
        }
    }
}

/// The entries of a directory, none when there is no such directory.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => {
            let paths = other.and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect());
            paths.at("list", directory)
        }
    }
}

/// The octets of a stored or staged body, for random access. Cheap to clone; stays readable after the
/// message is expunged.
#[derive(Debug, Clone)]
pub struct Body(Source);

#[derive(Debug, Clone)]
enum Source {
    Memory(Arc<[u8]>),
    File { file: Arc<File>, size: u64 },
}

impl Body {
    pub(crate) fn memory(octets: impl Into<Arc<[u8]>>) -> Self {
        Body(Source::Memory(octets.into()))
    }

    pub(crate) fn file(file: Arc<File>, size: u64) -> Self {
        Body(Source::File { file, size })
    }

    /// Length in octets.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.0 {
            Source::Memory(octets) => octets.len() as u64,
            Source::File { size, .. } => *size,
        }
    }

    /// All octets, if they are in memory anyway.
    #[must_use]
    pub fn in_memory(&self) -> Option<&[u8]> {
        match &self.0 {
            Source::Memory(octets) => Some(octets),
            Source::File { .. } => None,
        }
    }

    /// The octets of a range; what lies beyond the end is left out. Blocks on the disk.
    pub fn read_at(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let end = range.end.min(self.size());
        let start = range.start.min(end);
        match &self.0 {
            Source::Memory(octets) => {
                let part = usize::try_from(start).ok().zip(usize::try_from(end).ok());
                Ok(part.and_then(|(start, end)| octets.get(start..end)).unwrap_or_default().to_vec())
            }
            Source::File { file, .. } => {
                let length = usize::try_from(end - start).map_err(|_| Error::corrupt("a range too large to read"))?;
                let mut octets = vec![0; length];
                file.read_exact_at(&mut octets, start).at("read", Path::new("a message body"))?;
                Ok(octets)
            }
        }
    }
}

impl Read<'_> {
    /// Opens a stored body.
    pub(crate) fn open_blob(&self, blob: BlobId) -> Result<Body> {
        let file = self
            .sql()
            .row("select file from blobs where account_id = $1 and id = $2", params![self.account_id(), blob], |row| {
                row.get::<Option<String>>(0)
            })?
            .ok_or_else(|| Error::corrupt(format!("no body {blob}")))?;
        match file {
            Some(name) => self.files().open(self.account_id(), &name),
            None => self
                .sql()
                .scalar::<Vec<u8>>(
                    "select data from blob_data where account_id = $1 and id = $2",
                    params![self.account_id(), blob],
                )?
                .map(Body::memory)
                .ok_or_else(|| Error::corrupt(format!("body {blob} has no data"))),
        }
    }

    /// A stored body as a staged one, to be stored again in another account without copying a file.
    pub(crate) fn stage_blob(&self, blob: BlobId) -> Result<(Body, Option<(String, PathBuf)>)> {
        let body = self.open_blob(blob)?;
        let name = self
            .sql()
            .scalar::<Option<String>>(
                "select file from blobs where account_id = $1 and id = $2",
                params![self.account_id(), blob],
            )?
            .flatten();
        Ok((body, name.map(|name| (name.clone(), self.files().path(self.account_id(), &name)))))
    }
}

impl Write<'_> {
    /// Stores a staged body, with one reference.
    pub(crate) fn put_blob(&mut self, staged: &Staged) -> Result<BlobId> {
        let account = self.account_id();
        let Some((name, source)) = staged.file() else {
            let octets = staged.body().in_memory().ok_or_else(|| Error::corrupt("a staged body without octets"))?;
            let blob = self.insert_blob(octets.len() as u64, None)?;
            self.sql().execute(
                "insert into blob_data (account_id, id, data) values ($1, $2, $3)",
                params![account, blob, octets],
            )?;
            return Ok(blob);
        };
        // Two recipients of one account, or a delivery done again: the same file, so the same blob.
        let known = self.sql().scalar::<BlobId>(
            "update blobs set refs = refs + 1 where account_id = $1 and file = $2 returning id",
            params![account, name],
        )?;
        if let Some(blob) = known {
            return Ok(blob);
        }
        self.files().add(account, name, source)?;
        self.added_file(name);
        self.insert_blob(staged.body().size(), Some(name))
    }

    fn insert_blob(&mut self, size: u64, file: Option<&str>) -> Result<BlobId> {
        let blob = BlobId(self.next_id());
        let size = i64::try_from(size).map_err(|_| Error::OverQuota)?;
        self.sql().execute(
            "insert into blobs (account_id, id, size, refs, file) values ($1, $2, $3, 1, $4)",
            params![self.account_id(), blob, size, file],
        )?;
        Ok(blob)
    }

    /// Counts one more reference.
    pub(crate) fn share_blob(&mut self, blob: BlobId) -> Result<()> {
        self.sql().execute(
            "update blobs set refs = refs + 1 where account_id = $1 and id = $2",
            params![self.account_id(), blob],
        )?;
        Ok(())
    }

    /// Counts one reference less and removes the body with the last.
    pub(crate) fn release_blob(&mut self, blob: BlobId) -> Result<()> {
        let account = self.account_id();
        let left = self.sql().row(
            "update blobs set refs = refs - 1 where account_id = $1 and id = $2 returning refs, file",
            params![account, blob],
            |row| Ok((row.get::<i64>(0)?, row.get::<Option<String>>(1)?)),
        )?;
        let Some((0, file)) = left else { return Ok(()) };
        self.sql().execute("delete from blobs where account_id = $1 and id = $2", params![account, blob])?;
        match file {
            Some(name) => self.removed_file(name),
            None => {
                self.sql()
                    .execute("delete from blob_data where account_id = $1 and id = $2", params![account, blob])?;
            }
        }
        Ok(())
    }
}
