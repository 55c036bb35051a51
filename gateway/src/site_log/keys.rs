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

    fn has(&self, role: KeyRole) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&role)
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
        match &material.papers().external {
            Some(external) => {
                self.enter_key(KeyRole::Authority, external.authority_print)?;
                self.enter_key(KeyRole::RevocationList, external.list_print)?;
            }
            None => {
                self.enter_gone(KeyRole::Authority)?;
                self.enter_gone(KeyRole::RevocationList)?;
            }
        }
        self.enter_key(KeyRole::Certificate, material.certificate_print())
    }

    /// A file that was there once and is no longer stands in the log as an
    /// empty one.
    fn enter_gone(&self, role: KeyRole) -> Result<(), LogFailed> {
        if self.keys.has(role) { self.enter_key(role, hash_of(&[])) } else { Ok(()) }
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
