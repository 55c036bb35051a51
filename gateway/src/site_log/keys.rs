//! Which keys and lists are in use: an entry for each change.

use super::{LogFailed, SiteLog};
use crate::ca::Anchors;
use crate::config::RecordingSettings;
use crate::tls::Material;
use recording::log::{KeyRole, Ledger, LogEntry, hash_of};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The keys that the log knows, by role.
#[derive(Debug, Default)]
pub struct Keys(Mutex<BTreeMap<KeyRole, [u8; 32]>>);

impl Keys {
    pub(super) fn of(ledger: &Ledger) -> Self {
        Self(Mutex::new(ledger.keys.clone()))
    }

    /// Whether this key is new; from now on it is not.
    fn is_new(&self, role: KeyRole, hash: [u8; 32]) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(role, hash) != Some(hash)
    }
}

impl SiteLog {
    /// Enters the keys of the configuration that the log does not know yet.
    ///
    /// # Errors
    /// [`LogFailed`].
    pub fn enter_recording_keys(&self, settings: &RecordingSettings) -> Result<(), LogFailed> {
        let signing = hash_of(settings.signing_key.public().to_string().as_bytes());
        self.enter_key(KeyRole::Signing, signing)?;
        let mut recipients: Vec<String> = settings.recipients.iter().map(ToString::to_string).collect();
        recipients.sort();
        let texts: String = recipients.iter().map(|text| format!("{text}\n")).collect();
        self.enter_key(KeyRole::Recipients, hash_of(texts.as_bytes()))
    }

    /// Enters the TLS files that the log does not know yet.
    ///
    /// # Errors
    /// [`LogFailed`].
    pub fn enter_tls_keys(&self, material: &Material) -> Result<(), LogFailed> {
        let prints = material.prints;
        self.enter_key(KeyRole::Authority, prints.authority)?;
        self.enter_key(KeyRole::RevocationList, prints.revocation_list)?;
        self.enter_key(KeyRole::Certificate, prints.certificate)
    }

    /// Enters the gateway's own authorities and their lists that the log does
    /// not know yet.
    ///
    /// # Errors
    /// [`LogFailed`].
    pub fn enter_anchors(&self, anchors: &Anchors) -> Result<(), LogFailed> {
        let authorities: Vec<u8> = anchors.authorities.iter().flat_map(|one| one.iter().copied()).collect();
        let lists: Vec<u8> = anchors.lists.iter().flat_map(|one| one.iter().copied()).collect();
        self.enter_key(KeyRole::IssuingAuthorities, hash_of(&authorities))?;
        self.enter_key(KeyRole::IssuedLists, hash_of(&lists))
    }

    fn enter_key(&self, role: KeyRole, hash: [u8; 32]) -> Result<(), LogFailed> {
        if self.keys.is_new(role, hash) {
            self.enter(LogEntry::KeyChanged { role, hash })?;
        }
        Ok(())
    }
}
