//! The settings that change while the server runs: what the dashboard stores holds from the moment it is committed.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};

use parking_lot::RwLock;

use crate::config::{Config, PublicUrl};
use crate::model::dialect::DialectName;

pub struct Live {
    /// The place of the dialect in [`DialectName::ALL`].
    dialect: AtomicU8,
    public_url: RwLock<Option<PublicUrl>>,
    /// Administrators need a second factor.
    second_factor: AtomicBool,
    /// Held by whoever changes one, from the write to the switch: two changes then end with what the database has.
    pub changing: tokio::sync::Mutex<()>,
}

impl Live {
    pub fn new(config: &Config) -> Self {
        Self {
            dialect: AtomicU8::new(config.api.dialect as u8),
            public_url: RwLock::new(config.server.public_url.clone()),
            second_factor: AtomicBool::new(false),
            changing: tokio::sync::Mutex::default(),
        }
    }

    pub fn dialect(&self) -> DialectName {
        DialectName::ALL[usize::from(self.dialect.load(SeqCst))]
    }

    pub fn set_dialect(&self, name: DialectName) {
        self.dialect.store(name as u8, SeqCst);
    }

    pub fn requires_second_factor(&self) -> bool {
        self.second_factor.load(SeqCst)
    }

    pub fn require_second_factor(&self, required: bool) {
        self.second_factor.store(required, SeqCst);
    }

    pub fn public_url(&self) -> Option<PublicUrl> {
        self.public_url.read().clone()
    }

    pub fn set_public_url(&self, url: PublicUrl) {
        *self.public_url.write() = Some(url);
    }
}
