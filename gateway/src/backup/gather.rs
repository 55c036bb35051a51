//! Reads what belongs into a backup at a running gateway.

use super::places::{files, place};
use super::{Archive, BackupError, Item, LONGEST, Role};
use crate::ca;
use crate::config::Named;
use crate::office::Office;
use crate::problem::Problem;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

/// Reads the files as they are now, the policy as it was applied, and the
/// database as one consistent copy. Blocks on the disk.
///
/// # Errors
/// [`BackupError`]: a backup without one of its parts is none.
pub fn gather(office: &Office) -> Result<Archive, BackupError> {
    let named = Named::read(&office.config.file).map_err(BackupError::Unreadable)?;
    let mut items = Vec::new();
    for (role, path) in files(&named) {
        let mut content = match role {
            Role::Database => office.state.copy()?,
            Role::Configuration
            | Role::Authority
            | Role::RevocationList
            | Role::Certificate
            | Role::CertificateKey
            | Role::ManifestKey
            | Role::Policy(_)
            | Role::SigningKey
            | Role::Recipients(_)
            | Role::RecoveryRecipient
            | Role::StateKey
            | Role::PageCertificate
            | Role::PageKey
            | Role::IssuingCertificate(_)
            | Role::IssuingKey(_) => read(&path)?,
        };
        items.push(Item { role, content: std::mem::take(&mut *content) });
    }
    for number in named.ca_dir.iter().map(|dir| ca::numbers(dir)).collect::<Result<Vec<_>, _>>()?.concat() {
        for role in [Role::IssuingCertificate(number), Role::IssuingKey(number)] {
            if let Some(path) = place(&named, &role) {
                let content = std::mem::take(&mut *read(&path)?);
                items.push(Item { role, content });
            }
        }
    }
    let policy = office.policy.current();
    items.extend(
        policy
            .files()
            .iter()
            .map(|(name, content)| Item { role: Role::Policy(name.to_owned()), content: content.to_vec() }),
    );
    Ok(Archive::new(office.clock.wall(), items))
}

pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, BackupError> {
    let unreadable = |error: std::io::Error| BackupError::Unreadable(Problem::new(path, error.to_string()));
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(BackupError::Unreadable(Problem::new(path, "is no ordinary file")));
    }
    // Room at once, so that no half-filled copy of a secret is left behind.
    let room = usize::try_from(metadata.len().min(LONGEST)).unwrap_or(0).saturating_add(1);
    let mut content = Zeroizing::new(Vec::with_capacity(room));
    file.take(LONGEST.saturating_add(1)).read_to_end(&mut content).map_err(unreadable)?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > LONGEST {
        return Err(BackupError::TooLong);
    }
    Ok(content)
}
