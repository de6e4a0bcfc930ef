//! The trust anchors in use, and the file that keeps what has been learned about their keys (RFC 5011).
//!
//! What may change and when is decided in `mailstead_dnssec::rfc5011`; here it is remembered. Asking for the keys and
//! checking their signatures is the resolver's.
//!
//! A file that is damaged is put aside, and the configured anchors count again as on the day of the installation.
//! Refusing to start would gain nothing: whoever can damage the file can remove it as well. What is lost is the knowledge
//! of keys that were revoked and are still configured, until the zone shows the next time that they are; and of keys that
//! no version of the software has brought, without which names become bogus and not insecure.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use mailstead_dns::Name;
use mailstead_dns::zonefile::MAX_TEXT;
use mailstead_dnssec::rfc5011::{Event, NotAuthenticated, Observation, StateError, TrustPoint, Update};
use mailstead_dnssec::{Anchors, Crypto};

use super::TrustAnchors;
use crate::Error;

/// What the file begins with.
const HEADER: &str = "\
; Trust anchors of Mailstead: what it has learned about the keys of zones (RFC 5011), and rewrites when that changes.
; Without this file the built-in or configured anchors count again, even those that have been revoked since.
";

/// The file of trust anchors cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnchorStoreError {
    /// It is there, but cannot be read.
    #[error("reading trust anchors from {}: {cause}; the file must be readable and writable for Mailstead", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It is damaged and cannot be put aside.
    #[error("putting the damaged trust anchors in {} aside: {cause}; remove the file by hand", file.display())]
    PutAside {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It cannot be written. What was learned counts, but only until Mailstead ends.
    #[error("writing trust anchors to {}: {cause}; its directory must be writable for Mailstead", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

impl From<AnchorStoreError> for Error {
    fn from(error: AnchorStoreError) -> Error {
        Error::TrustAnchors(error.to_string())
    }
}

/// What came of looking at a zone's keys.
#[derive(Debug)]
pub(super) struct Observed {
    /// What has changed. It counts already.
    pub(super) events: Vec<Event>,
    /// Whether it is on disk. If not, the next look tries it again.
    pub(super) saved: Result<(), AnchorStoreError>,
}

/// The trust anchors in use.
#[derive(Debug)]
pub(super) struct AnchorStore {
    /// None where the anchors stay as they are configured.
    file: Option<PathBuf>,
    configured: Anchors,
    crypto: Arc<dyn Crypto>,
    state: Mutex<State>,
    /// Apart from the state, so that nobody who looks up a name waits for the disk.
    current: RwLock<Arc<Anchors>>,
}

#[derive(Debug, Default)]
struct State {
    points: BTreeMap<Name, TrustPoint>,
    /// Something is not on disk yet.
    unsaved: bool,
}

impl AnchorStore {
    /// The anchors that are asked for, with zones that are not to be validated until these times. The file, where there
    /// is one, need not exist, but its directory must. `now` in seconds since 1970. Blocks on the disk.
    ///
    /// # Errors
    /// When the file is there and cannot be read. What is wrong with its contents is logged, not an error.
    pub(super) fn open(
        anchors: TrustAnchors,
        negative: Vec<(Name, u64)>,
        crypto: Arc<dyn Crypto>,
        now: u64,
    ) -> Result<AnchorStore, AnchorStoreError> {
        let (mut configured, file) = match anchors {
            TrustAnchors::BuiltIn => (Anchors::root(), None),
            TrustAnchors::Updated(file) => (Anchors::root(), Some(file)),
            TrustAnchors::Fixed(anchors) => (anchors, None),
        };
        for (zone, until) in negative {
            configured.distrust(zone, until);
        }
        match file {
            Some(file) => AnchorStore::following(file, configured, crypto, now),
            None => Ok(AnchorStore::new(None, configured, crypto, State::default())),
        }
    }

    /// Anchors that follow their zones, from what is configured and what this file has about it.
    pub(super) fn following(
        file: PathBuf,
        configured: Anchors,
        crypto: Arc<dyn Crypto>,
        now: u64,
    ) -> Result<AnchorStore, AnchorStoreError> {
        let points = read(&file)?.into_iter().map(|point| (point.zone().clone(), point)).collect();
        let mut state = State { points, unsaved: false };
        for anchor in configured.iter() {
            let Some(point) = state.points.get(&anchor.zone) else { continue };
            let Update { point, events } = point.reconcile(anchor, &*crypto, now);
            for event in &events {
                tracing::warn!(zone = %anchor.zone, "trust anchors: {event}");
            }
            state.unsaved |= !events.is_empty();
            state.points.insert(anchor.zone.clone(), point);
        }
        Ok(AnchorStore::new(Some(file), configured, crypto, state))
    }

    fn new(file: Option<PathBuf>, configured: Anchors, crypto: Arc<dyn Crypto>, state: State) -> AnchorStore {
        let current = RwLock::new(Arc::new(combine(&configured, &state, &*crypto)));
        AnchorStore { file, configured, crypto, state: Mutex::new(state), current }
    }

    /// The anchors as they are now.
    pub(super) fn current(&self) -> Arc<Anchors> {
        // A value is replaced in one go, so a poisoned lock holds a whole one.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The zones whose keys are to be looked at again and again.
    pub(super) fn followed(&self) -> impl Iterator<Item = &Name> {
        let followed = if self.file.is_some() { Some(self.configured.iter()) } else { None };
        followed.into_iter().flatten().map(|anchor| &anchor.zone)
    }

    /// Takes notice of a zone's keys: what changes counts at once, and is then written to the file. `now` in seconds
    /// since 1970. Blocks on the disk when something has changed.
    ///
    /// # Errors
    /// When the zone has no trust anchor that has signed the keys.
    pub(super) fn observe(&self, zone: &Name, seen: &Observation<'_>, now: u64) -> Result<Observed, NotAuthenticated> {
        let configured = self.configured.iter().find(|anchor| anchor.zone == *zone).ok_or(NotAuthenticated)?;
        let mut state = self.state();
        let known = state.points.get(zone).cloned().unwrap_or_else(|| TrustPoint::new(zone.clone()));
        let Update { point, events } = known.observe(configured, seen, &*self.crypto, now)?;
        if point != known {
            state.unsaved = true;
            state.points.insert(zone.clone(), point);
            let current = Arc::new(combine(&self.configured, &state, &*self.crypto));
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        }
        Ok(Observed { events, saved: self.save(&mut state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, state: &mut State) -> Result<(), AnchorStoreError> {
        let Some(file) = self.file.as_ref().filter(|_| state.unsaved) else { return Ok(()) };
        let text = state.points.values().fold(HEADER.to_owned(), |text, point| text + &point.to_string());
        replace(file, &text).map_err(|cause| AnchorStoreError::Write { file: file.clone(), cause })?;
        state.unsaved = false;
        Ok(())
    }
}

/// What is configured, changed by what has been learned.
fn combine(configured: &Anchors, state: &State, crypto: &dyn Crypto) -> Anchors {
    let mut anchors = configured.clone();
    for anchor in configured.iter() {
        if let Some(point) = state.points.get(&anchor.zone) {
            match point.anchor(anchor, crypto) {
                Some(anchor) => anchors.set(anchor),
                None => anchors.withdraw(anchor.zone.clone()),
            }
        }
    }
    anchors
}

/// What the file has; nothing where there is none, or none that is whole.
fn read(file: &Path) -> Result<Vec<TrustPoint>, AnchorStoreError> {
    /// What is wrong with the contents.
    #[derive(Debug, thiserror::Error)]
    enum Damage {
        #[error("it is longer than {MAX_TEXT} octets")]
        TooLong,
        #[error("it is not text")]
        NotText,
        #[error(transparent)]
        State(#[from] StateError),
    }
    let mut octets = Vec::new();
    let result = File::open(file).and_then(|open| open.take(MAX_TEXT as u64 + 1).read_to_end(&mut octets));
    match result {
        Ok(_) => {}
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(AnchorStoreError::Read { file: file.to_owned(), cause }),
    }
    let points = match String::from_utf8(octets) {
        Ok(text) if text.len() > MAX_TEXT => Err(Damage::TooLong),
        Ok(text) => TrustPoint::parse_all(&text).map_err(Damage::from),
        Err(_) => Err(Damage::NotText),
    };
    points.or_else(|damage| {
        let aside = beside(file, ".damaged");
        fs::rename(file, &aside).map_err(|cause| AnchorStoreError::PutAside { file: file.to_owned(), cause })?;
        tracing::error!(
            file = %file.display(),
            aside = %aside.display(),
            "trust anchors: the file is damaged and was put aside ({damage}); the configured anchors count again. If it \
             can be restored, stop Mailstead and put it back"
        );
        Ok(Vec::new())
    })
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}

/// After a crash either the old or the new file is there, whole.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let new_path = beside(file, ".new");
    // One that a crash has left.
    match fs::remove_file(&new_path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new_path)?;
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    fs::rename(&new_path, file)?;
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests;
