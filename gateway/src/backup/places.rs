//! Where a configuration has the files of a backup.

use super::Role;
use crate::ca;
use crate::config::Named;
use authz::Files;
use std::path::{Path, PathBuf};

/// Every file that belongs into a backup, but for the policy's.
pub(super) fn files(named: &Named) -> Vec<(Role, PathBuf)> {
    let mut files = vec![
        (Role::Configuration, named.file.clone()),
        (Role::Certificate, named.tls.cert.clone()),
        (Role::CertificateKey, named.tls.key.clone()),
        (Role::SigningKey, named.signing_key.clone()),
        (Role::Database, named.state.database.clone()),
        (Role::StateKey, named.state.key.clone()),
    ];
    if let Some(external) = &named.tls.external {
        let (ca, crl) = (external.ca.clone(), external.crl.clone());
        files.extend([(Role::Authority, ca), (Role::RevocationList, crl)]);
    }
    if let Some((certificate, key)) = named.page.clone() {
        files.extend([(Role::PageCertificate, certificate), (Role::PageKey, key)]);
    }
    files.extend(named.manifest_key.clone().map(|path| (Role::ManifestKey, path)));
    files.extend(named.recovery_recipient.clone().map(|path| (Role::RecoveryRecipient, path)));
    let numbered = (0_u16..).zip(&named.recipients);
    files.extend(
        numbered.filter_map(|(number, path)| Some((Role::Recipients(number), path.as_ref()?.clone()))),
    );
    files
}

/// Where a file of a backup belongs. `None` where this configuration has no
/// place for it.
pub(super) fn place(named: &Named, role: &Role) -> Option<PathBuf> {
    match role {
        // The name comes out of the backup: only a known one becomes a path.
        Role::Policy(name) => Files::KNOWN.contains(&name.as_str()).then(|| named.policy_dir.join(name)),
        Role::IssuingCertificate(number) => Some(ca::file(named.ca_dir.as_ref()?, *number, "pem")),
        Role::IssuingKey(number) => Some(ca::file(named.ca_dir.as_ref()?, *number, "key")),
        Role::Configuration
        | Role::Authority
        | Role::RevocationList
        | Role::Certificate
        | Role::CertificateKey
        | Role::ManifestKey
        | Role::SigningKey
        | Role::Recipients(_)
        | Role::RecoveryRecipient
        | Role::Database
        | Role::StateKey
        | Role::PageCertificate
        | Role::PageKey => files(named).into_iter().find(|(own, _)| own == role).map(|(_, path)| path),
    }
}

/// The folder of a file.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// The folders that a gateway of this configuration needs.
pub(super) fn folders(named: &Named) -> Vec<PathBuf> {
    let mut folders = vec![named.policy_dir.clone(), named.recordings.clone()];
    folders.extend(named.log.iter().chain(&named.ca_dir).cloned());
    let own = [named.audit.clone(), named.socket.clone()];
    let all = files(named).into_iter().map(|(_, path)| path).chain(own);
    folders.extend(all.map(|path| parent(&path).to_owned()));
    folders.sort();
    folders.dedup();
    folders
}
