//! The administrator's side: HTTP over a Unix socket, for people on this
//! machine whose user number the configuration names.
//!
//! It runs on a thread and runtime of its own, so that no listing can slow the
//! data path and no flood of connections can keep an administrator out. Who
//! speaks is known from the kernel (the peer's uid), not from anything sent.
//! What takes rights away is done first and accounted for after; what gives
//! rights is accounted for first. Nothing here decides about operations.
//!
//! Order: `Socket::bind` -> `serve` until told to stop -> the socket is removed.

mod backup;
mod ca;
mod client;
mod clock;
mod invitations;
mod messages;
mod people;
mod policy;
mod refusal;
mod sessions;
#[cfg(test)]
mod tests;

use crate::audit::Kind;
use crate::office::Office;
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

pub use client::{Client, ClientError};
pub use messages::{
    Applied, ApplyRequest, AuthorityReport, BackupRequest, CaReport, CertificateReport, ClockReport, Crl,
    Disabled, EndReport, FactorReset, ImportReply, ImportRequest, ImportedKey, InvitationReport,
    InviteRequest, Invited, Killed, ListReport, PasskeyReport, PersonReport, PolicyReport, Problems,
    Replacement, ResetRequest, Revoked, SessionList, SessionReport, Unlocked, Withdrawn,
};
use refusal::Refusal;

/// The longest request body, in bytes: a certificate in PEM and a handle.
const LONGEST_BODY: usize = 64 * 1024;

/// The socket's mode: its owner and group; the uid is checked as well.
const SOCKET_MODE: u32 = 0o660;

/// A bound admin socket; dropping it removes the file.
#[derive(Debug)]
pub struct Socket {
    listener: std::os::unix::net::UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Binds the socket. One that a dead gateway left behind is removed.
    ///
    /// # Errors
    /// Also when another gateway answers on it.
    pub fn bind(path: &Path) -> io::Result<Self> {
        if BlockingStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another gateway answers on this socket"));
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = std::os::unix::net::UnixListener::bind(path)?;
        let socket = Self { listener, path: path.to_owned() };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
        socket.listener.set_nonblocking(true)?;
        Ok(socket)
    }

    /// Answers requests until told to stop.
    ///
    /// # Errors
    /// When the socket can't be served on.
    pub async fn serve(self, office: Arc<Office>, stop: CancellationToken) -> io::Result<()> {
        let listener = UnixListener::from_std(self.listener.try_clone()?)?;
        let service = router(office).into_make_service_with_connect_info::<Peer>();
        axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A file that is gone already is as good.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Who speaks, as the kernel says.
#[derive(Debug, Clone, Copy)]
struct Peer {
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self { uid: stream.io().peer_cred().ok().map(|credentials| credentials.uid()) }
    }
}

/// An administrator whose uid was checked; taken from the request by handlers.
#[derive(Debug, Clone)]
struct Administrator {
    name: String,
}

fn router(office: Arc<Office>) -> Router {
    Router::new()
        .route("/v1/users", get(people::list).post(people::import))
        .route("/v1/users/{handle}", get(people::show))
        .route("/v1/users/{handle}/disable", post(people::disable))
        .route("/v1/users/{handle}/enable", post(people::enable))
        .route("/v1/users/{handle}/unlock", post(people::unlock))
        .route("/v1/users/{handle}/reset-factor", post(people::reset_factor))
        .route("/v1/users/{handle}/invite", post(invitations::invite))
        .route("/v1/users/{handle}/withdraw-invitation", post(invitations::withdraw))
        .route("/v1/invitations", get(invitations::list))
        .route("/v1/ca", get(ca::status))
        .route("/v1/ca/rotate", post(ca::rotate))
        .route("/v1/ca/crl", get(ca::export_crl))
        .route("/v1/ca/certificates", get(ca::certificates))
        .route("/v1/ca/certificates/{serial}/revoke", post(ca::revoke))
        .route("/v1/sessions", get(sessions::list))
        .route("/v1/sessions/{id}/kill", post(sessions::kill))
        .route("/v1/policy", get(policy::status))
        .route("/v1/policy/preview", get(policy::preview))
        .route("/v1/policy/apply", post(policy::apply))
        .route("/v1/backup", post(backup::backup))
        .route("/v1/clock", get(clock::status))
        .route("/v1/clock/accept", post(clock::accept))
        .fallback(async || Refusal::no_such("page"))
        .layer(middleware::from_fn_with_state(Arc::clone(&office), admit))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .with_state(office)
}

/// Lets only the configured users through.
async fn admit(
    State(office): State<Arc<Office>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    match peer.uid {
        Some(uid) if office.config.admin.uids.contains(&uid) => {
            request.extensions_mut().insert(Administrator { name: format!("uid {uid}") });
            Ok(next.run(request).await)
        }
        Some(_) | None => {
            let who = peer.uid.map_or_else(|| "an unknown user".to_owned(), |uid| format!("uid {uid}"));
            let event = office.audit.event(Kind::AdminRefused).by(&who).what(request.uri().path());
            office.audit.commit(&event).await.map_err(Refusal::failure)?;
            Err(Refusal::forbidden(&who))
        }
    }
}

/// Runs a handler's blocking work beside the runtime's thread.
async fn blocking<T, F>(office: &Arc<Office>, work: F) -> Result<T, Refusal>
where
    T: Send + 'static,
    F: FnOnce(&Office) -> Result<T, Refusal> + Send + 'static,
{
    let office = Arc::clone(office);
    let done = tokio::task::spawn_blocking(move || work(&office)).await;
    done.unwrap_or_else(|panic| Err(Refusal::failure(panic)))
}
