//! Where the master key is kept: a file beside the database, or one that is handed over from outside, as systemd does with
//! a credential. Ours is made when it is first needed, but never in the place of one that something was sealed under.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::App;
use crate::crypto::seal::{MasterKey, MasterKeyId};
use crate::model::{AppError, Result};
use crate::store;

pub const FILE_NAME: &str = "master.key";
/// The setting that remembers which master key belongs to this database.
const ID: &str = "master_key.id";

#[derive(Debug)]
pub struct MasterKeyFile {
    path: PathBuf,
    /// Handed over: never made by us.
    is_given: bool,
    key: OnceLock<MasterKey>,
}

#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error(
        "{} is missing, and the database holds secrets sealed under it (master key {id}).\n\
         Put the file back from where you keep it; it is not in a copy of the database.", .path.display()
    )]
    Missing { path: PathBuf, id: MasterKeyId },
    #[error(
        "{} holds another master key ({found}) than the one that belongs to this database ({expected}).\n\
         Put the right one back; a master key and its database move together.", .path.display()
    )]
    Other { path: PathBuf, found: MasterKeyId, expected: MasterKeyId },
    #[error("{} holds no master key: 64 hexadecimal digits are expected.", .0.display())]
    Unreadable(PathBuf),
    #[error("{} may be read by others (mode {:o}).\nRun: chmod 600 {}", .path.display(), .mode, .path.display())]
    ReadableByOthers { path: PathBuf, mode: u32 },
    #[error("{}: {source}.", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Store(#[from] AppError),
}

impl MasterKeyFile {
    /// In the data directory; made there when it is first needed.
    pub fn beside(database: &Path) -> Self {
        Self { path: database.with_file_name(FILE_NAME), is_given: false, key: OnceLock::new() }
    }

    pub fn given(path: PathBuf) -> Self {
        Self { path, is_given: true, key: OnceLock::new() }
    }

    /// Whether it is there and belongs to the database with these settings; nothing is made. `false`: none is needed yet.
    pub fn look(&self, settings: &[(String, String)]) -> Result<bool, MasterKeyError> {
        let known = settings.iter().find(|(name, _)| name == ID).and_then(|(_, id)| MasterKeyId::parse(id));
        match (self.read()?.map(|key| key.id()), known) {
            (None, Some(id)) => Err(MasterKeyError::Missing { path: self.path.clone(), id }),
            (Some(found), Some(expected)) if found != expected => {
                Err(MasterKeyError::Other { path: self.path.clone(), found, expected })
            }
            (found, _) => Ok(found.is_some()),
        }
    }

    fn read(&self) -> Result<Option<MasterKey>, MasterKeyError> {
        let path = || self.path.clone();
        let io = |source| MasterKeyError::Io { path: path(), source };
        let meta = match self.path.symlink_metadata() {
            Err(err) if err.kind() == ErrorKind::NotFound && !self.is_given => return Ok(None),
            found => found.map_err(io)?,
        };
        // A credential lies in a directory that is its unit's alone, so its own mode says nothing.
        if !self.is_given && meta.mode() & 0o077 != 0 {
            return Err(MasterKeyError::ReadableByOthers { path: path(), mode: meta.mode() & 0o777 });
        }
        let text = zeroize::Zeroizing::new(fs::read_to_string(&self.path).map_err(io)?);
        MasterKey::parse(&text).map(Some).ok_or_else(|| MasterKeyError::Unreadable(path()))
    }

    /// Writes a new one, durable and whole before it has its name; another process that was faster wins.
    fn make(&self) -> Result<MasterKey, MasterKeyError> {
        let io = |source| MasterKeyError::Io { path: self.path.clone(), source };
        let key = MasterKey::generate();
        let draft = self.path.with_extension(format!("key.{}", std::process::id()));
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
            store::owner::hand_over(self.path.parent().unwrap_or(Path::new(".")), &file)?;
            file.write_all(key.to_text().as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            match fs::hard_link(&draft, &self.path) {
                Err(err) if err.kind() != ErrorKind::AlreadyExists => return Err(err),
                _ => {}
            }
            self.path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
        };
        let written = write();
        let _ = fs::remove_file(&draft);
        written.map_err(io)?;
        self.read()?.ok_or_else(|| MasterKeyError::Unreadable(self.path.clone()))
    }
}

impl App {
    /// The key under which secrets are sealed that have to be read again.
    pub async fn master_key(&self) -> Result<&MasterKey> {
        self.load_master_key().await.map_err(AppError::internal)
    }

    /// The same, with the words for whoever starts the server.
    pub async fn load_master_key(&self) -> Result<&MasterKey, MasterKeyError> {
        let place = &self.master_key;
        if let Some(key) = place.key.get() {
            return Ok(key);
        }
        let known = self.store.read(|conn| store::settings::find(conn, ID)).await?;
        let known = known.as_deref().and_then(MasterKeyId::parse);
        let key = match (place.read()?, known) {
            (Some(key), _) => key,
            (None, None) => place.make()?,
            (None, Some(id)) => return Err(MasterKeyError::Missing { path: place.path.clone(), id }),
        };
        let found = key.id();
        let now = self.clock.now();
        let expected = match known {
            Some(id) => id,
            // Whoever comes first decides, should two processes begin with two keys.
            None => {
                let write = move |tx: &store::Tx| match store::settings::find(tx, ID)?.as_deref().and_then(MasterKeyId::parse) {
                    Some(id) => Ok(id),
                    None => store::settings::set(tx, ID, &found.to_string(), now).map(|()| found),
                };
                self.store.write(write).await?
            }
        };
        if expected != found {
            return Err(MasterKeyError::Other { path: place.path.clone(), found, expected });
        }
        Ok(place.key.get_or_init(|| key))
    }
}
