//! The dialect that is on, in a place where it can change while the server runs.

use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

use crate::model::dialect::DialectName;

pub struct CurrentDialect {
    /// Its place in [`DialectName::ALL`].
    place: AtomicU8,
    /// Held by whoever changes it, from the write to the switch: two changes then end with what the database has.
    pub changing: tokio::sync::Mutex<()>,
}

impl CurrentDialect {
    pub fn new(name: DialectName) -> Self {
        Self { place: AtomicU8::new(name as u8), changing: tokio::sync::Mutex::default() }
    }

    pub fn get(&self) -> DialectName {
        DialectName::ALL[usize::from(self.place.load(SeqCst))]
    }

    pub fn set(&self, name: DialectName) {
        self.place.store(name as u8, SeqCst);
    }
}
