//! Persons: import, listings, standing, locks.

use super::messages::{
    Disabled, FactorReset, ImportReply, ImportRequest, ImportedKey, PasskeyReport, PersonReport, Replacement,
    ResetRequest, Unlocked,
};
use super::refusal::Refusal;
use super::{Administrator, blocking};
use crate::audit::{Audit, Event, Kind};
use crate::factor::Seed;
use crate::names::Handle;
use crate::office::Office;
use crate::sessions::{EndOrder, SignIn};
use crate::state::{Change, Import, Imported, KeyHash, PasskeyRecord, PersonRecord, Standing, StateError};
use axum::Json;
use axum::extract::{Extension, Path, State};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// Who issues the codes, as authenticator apps show it.
const ISSUER: &str = "Gatehouse";

pub(super) async fn list(State(office): State<Arc<Office>>) -> Result<Json<Vec<PersonReport>>, Refusal> {
    blocking(&office, |office| {
        Ok(Json(office.state.persons()?.into_iter().map(|person| report(office, person)).collect()))
    })
    .await
}

pub(super) async fn show(
    State(office): State<Arc<Office>>,
    Path(handle): Path<String>,
) -> Result<Json<PersonReport>, Refusal> {
    let handle = parse(&handle)?;
    blocking(&office, move |office| {
        let person = office.state.person(&handle)?.ok_or(StateError::NoSuchPerson(handle))?;
        Ok(Json(report(office, person)))
    })
    .await
}

pub(super) async fn import(
    State(office): State<Arc<Office>>,
    Extension(administrator): Extension<Administrator>,
    Json(request): Json<ImportRequest>,
) -> Result<Json<ImportReply>, Refusal> {
    let handle = parse(&request.handle)?;
    blocking(&office, move |office| {
        let key = key_of(office, &request.key)?;
        let import = Import { handle: handle.clone(), key, seed: Seed::generate() };
        let otpauth = import.seed.address(handle.as_str(), ISSUER).map_err(Refusal::failure)?;
        let event = office.audit.event(Kind::PersonImported).person(&handle).by(&administrator.name);
        let possible = importable(office, &handle, &key);
        let imported = accounted(&office.audit, &event.what(&format!("key {key}")), possible, || {
            office.state.import_person(&import, office.clock.wall())
        })?;
        let otpauth = match imported {
            Imported::NewPerson => Some(otpauth),
            Imported::KeyAdded => None,
        };
        Ok(Json(ImportReply { handle: handle.to_string(), key: key.to_string(), otpauth }))
    })
    .await
}

pub(super) async fn disable(
    State(office): State<Arc<Office>>,
    Extension(administrator): Extension<Administrator>,
    Path(handle): Path<String>,
) -> Result<Json<Disabled>, Refusal> {
    let handle = parse(&handle)?;
    // At once, whatever the disk does; and again below, for a session that
    // slipped in.
    let at_once = office.registry.end_person(&handle, EndOrder::PersonDisabled);
    blocking(&office, move |office| {
        let standing = Standing::Disabled;
        let change = office.state.set_standing(&handle, standing)?;
        let sessions_ended = office.registry.end_person(&handle, EndOrder::PersonDisabled).max(at_once);
        let event = office.audit.event(Kind::PersonDisabled).person(&handle).by(&administrator.name);
        let event = event.what(&format!("{sessions_ended} sessions ended"));
        office.audit.write(&event).map_err(Refusal::failure)?;
        Ok(Json(Disabled { handle: handle.to_string(), standing, change, sessions_ended }))
    })
    .await
}

pub(super) async fn enable(
    State(office): State<Arc<Office>>,
    Extension(administrator): Extension<Administrator>,
    Path(handle): Path<String>,
) -> Result<Json<Disabled>, Refusal> {
    let handle = parse(&handle)?;
    blocking(&office, move |office| {
        let standing = Standing::Enabled;
        let event = office.audit.event(Kind::PersonEnabled).person(&handle).by(&administrator.name);
        let known = known(office, &handle);
        let change =
            accounted(&office.audit, &event, known, || office.state.set_standing(&handle, standing))?;
        Ok(Json(Disabled { handle: handle.to_string(), standing, change, sessions_ended: 0 }))
    })
    .await
}

pub(super) async fn unlock(
    State(office): State<Arc<Office>>,
    Extension(administrator): Extension<Administrator>,
    Path(handle): Path<String>,
) -> Result<Json<Unlocked>, Refusal> {
    let handle = parse(&handle)?;
    blocking(&office, move |office| {
        let event = office.audit.event(Kind::PersonUnlocked).person(&handle).by(&administrator.name);
        let known = known(office, &handle);
        let change: Change = accounted(&office.audit, &event, known, || office.state.unlock_person(&handle))?;
        Ok(Json(Unlocked { handle: handle.to_string(), change }))
    })
    .await
}

pub(super) async fn reset_factor(
    State(office): State<Arc<Office>>,
    Extension(administrator): Extension<Administrator>,
    Path(handle): Path<String>,
    Json(request): Json<ResetRequest>,
) -> Result<Json<FactorReset>, Refusal> {
    let handle = parse(&handle)?;
    let at_once = office.registry.end_person(&handle, EndOrder::FactorRemoved);
    blocking(&office, move |office| {
        let change = office.state.remove_factors(&handle)?;
        let sessions_ended = office.registry.end_person(&handle, EndOrder::FactorRemoved).max(at_once);
        let event = office.audit.event(Kind::FactorRemoved).person(&handle).by(&administrator.name);
        let what = match change {
            Change::Made => format!("{sessions_ended} sessions ended"),
            Change::None => format!("there was none; {sessions_ended} sessions ended"),
        };
        office.audit.write(&event.what(&what)).map_err(Refusal::failure)?;
        let otpauth = match request.replacement {
            Replacement::None => None,
            Replacement::Totp => Some(give_seed(office, &handle, &administrator)?),
        };
        Ok(Json(FactorReset { handle: handle.to_string(), change, sessions_ended, otpauth }))
    })
    .await
}

/// Gives a new seed to a person who has no factor.
fn give_seed(office: &Office, handle: &Handle, administrator: &Administrator) -> Result<String, Refusal> {
    let seed = Seed::generate();
    let otpauth = seed.address(handle.as_str(), ISSUER).map_err(Refusal::failure)?;
    let event = office.audit.event(Kind::FactorGiven).person(handle).by(&administrator.name);
    accounted(&office.audit, &event.what("time-based codes"), enabled(office, handle), || {
        office.state.give_seed(handle, &seed, office.clock.wall())
    })?;
    Ok(otpauth)
}

/// What gives rights: whether it can be done, then the event, then the work. A
/// failure is an event too.
pub(super) fn accounted<T>(
    audit: &Audit,
    event: &Event,
    possible: Result<(), StateError>,
    work: impl FnOnce() -> Result<T, StateError>,
) -> Result<T, Refusal> {
    possible.map_err(|error| failed(audit, event, error))?;
    audit.write(event).map_err(Refusal::failure)?;
    work().map_err(|error| failed(audit, event, error))
}

fn failed(audit: &Audit, event: &Event, error: StateError) -> Refusal {
    let told = Event { event: Kind::AdminFailed, ..event.clone() }.why(&error.to_string());
    match audit.write(&told) {
        Ok(()) => error.into(),
        Err(unwritten) => Refusal::failure(unwritten),
    }
}

/// Whether there is such a person.
fn known(office: &Office, handle: &Handle) -> Result<(), StateError> {
    let person = office.state.person(handle)?;
    person.map(|_| ()).ok_or_else(|| StateError::NoSuchPerson(handle.clone()))
}

/// Whether that person may sign in.
fn enabled(office: &Office, handle: &Handle) -> Result<(), StateError> {
    let person = office.state.person(handle)?.ok_or_else(|| StateError::NoSuchPerson(handle.clone()))?;
    match person.person.standing {
        Standing::Enabled => Ok(()),
        Standing::Disabled => Err(StateError::Disabled(handle.clone())),
    }
}

/// Whether the key is free and the person may have it. The transaction itself
/// checks it again.
fn importable(office: &Office, handle: &Handle, key: &KeyHash) -> Result<(), StateError> {
    if let Some(owner) = office.state.person_by_key(key)? {
        return Err(StateError::KeyTaken { owner: owner.handle });
    }
    match office.state.person(handle)?.map(|record| record.person.standing) {
        Some(Standing::Disabled) => Err(StateError::Disabled(handle.clone())),
        Some(Standing::Enabled) | None => Ok(()),
    }
}

fn key_of(office: &Office, key: &ImportedKey) -> Result<KeyHash, Refusal> {
    match key {
        ImportedKey::Certificate(pem) => key_of_certificate(office, pem),
        ImportedKey::Fingerprint(text) => {
            text.parse().map_err(|error| Refusal::invalid(format!("fingerprint: {error}")))
        }
    }
}

/// The key of a certificate that would get through the door now.
fn key_of_certificate(office: &Office, pem: &str) -> Result<KeyHash, Refusal> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(invalid)?;
    office.tls.verify(&chain).map_err(invalid)?;
    let first = chain.first().ok_or_else(|| invalid("no certificate was sent"))?;
    let (_, certificate) = X509Certificate::from_der(first).map_err(invalid)?;
    Ok(KeyHash::of(certificate.public_key().raw))
}

fn invalid(problem: impl std::fmt::Display) -> Refusal {
    Refusal::invalid(format!("certificate: {problem}"))
}

pub(super) fn parse(handle: &str) -> Result<Handle, Refusal> {
    Handle::parse(handle).map_err(|error| Refusal::invalid(format!("handle: {error}")))
}

fn passkey(record: PasskeyRecord) -> PasskeyReport {
    let PasskeyRecord { name, relying_party, added, last_used, .. } = record;
    PasskeyReport { name, rp_id: relying_party, added, last_used }
}

fn report(office: &Office, record: PersonRecord) -> PersonReport {
    let own = |sign_in: &SignIn| sign_in.person == record.person.handle;
    let signed_in = office.registry.sign_ins().iter().filter(|(_, sign_in)| own(sign_in)).count();
    PersonReport {
        handle: record.person.handle.to_string(),
        standing: record.person.standing,
        factor: record.factor,
        passkeys: record.passkeys.into_iter().map(passkey).collect(),
        failures: record.failures,
        lock: record.lock.at(office.clock.wall()),
        keys: record.keys.iter().map(ToString::to_string).collect(),
        created: record.created,
        last_sign_in: record.last_sign_in,
        signed_in,
    }
}
