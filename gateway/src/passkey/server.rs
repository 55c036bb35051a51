//! The listener of the one page: HTTPS on its own address, with its own
//! certificate, on a thread of its own.
//!
//! It can show a page that the data path has entered, and nothing else: it
//! takes no answer, knows no person and holds no key but its certificate's.
//! Strangers reach it, so connections are counted, bounded in time and in what
//! they may send, and answered only under the page's own name.

use super::Shown;
use crate::audit::Kind;
use crate::config::WebauthnSettings;
use crate::ends::End;
use crate::office::Office;
use crate::problem::Problem;
use crate::tls::identity_for;
use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{Extension, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Connections at once, of everybody.
const CONNECTIONS: u32 = 128;

/// Connections at once of one address: a browser opens six, and several
/// technicians may stand behind one address.
const CONNECTIONS_PER_ADDRESS: u32 = 24;

/// How long anything on a connection may take.
#[derive(Debug, Clone, Copy)]
struct Deadlines {
    /// A TLS handshake.
    handshake: Duration,
    /// The coming of a request's head, of the next one as well.
    head: Duration,
    /// The connection: the page and its two files fit into it.
    connection: Duration,
}

const DEADLINES: Deadlines = Deadlines {
    handshake: Duration::from_secs(10),
    head: Duration::from_secs(10),
    connection: Duration::from_secs(30),
};

/// Bytes of a request that are read at most.
const LONGEST_HEAD: usize = 16 * 1024;

/// Header lines of a request.
const MOST_HEADERS: usize = 64;

/// How often the certificate's files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// What a page may do beside sending its form.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'none'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// What every other answer may do.
const NO_FORMS: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");
const GONE: &str = "This page is gone: its address is good for one visit, and for two minutes. Start again in your \
                    terminal.\n";

/// The page's listener, bound and with a certificate that passed its checks.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    certificate: Arc<Certificate>,
}

impl Bound {
    /// Reads certificate and key and binds the address.
    ///
    /// # Errors
    /// In words that name the file or the address.
    pub fn bind(settings: &WebauthnSettings, now: Timestamp) -> Result<Self, String> {
        let certificate = Certificate::read(settings, now).map_err(|problem| problem.to_string())?;
        let address = settings.listen;
        let bound = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let hint = "choose another address or stop what uses it";
        let listener = bound.map_err(|error| format!("[webauthn] listen: {address}: {error}; {hint}"))?;
        Ok(Self { listener, certificate: Arc::new(certificate) })
    }

    /// Where the page is served.
    ///
    /// # Errors
    /// As the operating system reports them.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// The certificate in use, swapped when its files change.
#[derive(Debug)]
struct Certificate {
    in_use: ArcSwap<CertifiedKey>,
}

impl Certificate {
    fn read(settings: &WebauthnSettings, now: Timestamp) -> Result<Self, Problem> {
        Ok(Self { in_use: ArcSwap::from_pointee(read(settings, now)?.0) })
    }

    /// Takes up changed files. `Some` is how long the new certificate lasts.
    fn look(&self, settings: &WebauthnSettings, now: Timestamp) -> Result<Option<End>, Problem> {
        let (read, lasts) = read(settings, now)?;
        if read.cert == self.in_use.load().cert {
            return Ok(None);
        }
        self.in_use.store(Arc::new(read));
        Ok(Some(lasts))
    }
}

fn read(settings: &WebauthnSettings, now: Timestamp) -> Result<(CertifiedKey, End), Problem> {
    let keys = ("[webauthn] cert", "[webauthn] key");
    let identity = identity_for(settings.origin.host(), (&settings.cert, &settings.key), keys, now)?;
    let certified = CertifiedKey::from_der(identity.chain, identity.key, &aws_lc_rs::default_provider())
        .map_err(|error| Problem::new(&settings.key, error.to_string()).key(keys.1))?;
    Ok((certified, identity.lasts))
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.in_use.load_full())
    }
}

/// Serves pages until told to stop.
///
/// # Errors
/// When the listener or TLS can't be used.
pub async fn serve(office: Arc<Office>, bound: Bound, stop: CancellationToken) -> io::Result<()> {
    serve_within(office, bound, stop, DEADLINES).await
}

async fn serve_within(
    office: Arc<Office>,
    bound: Bound,
    stop: CancellationToken,
    deadlines: Deadlines,
) -> io::Result<()> {
    let Some(settings) = office.config.webauthn.as_ref() else { return Ok(()) };
    let Bound { listener, certificate } = bound;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let acceptor = TlsAcceptor::from(Arc::new(tls(Arc::clone(&certificate))?));
    let router = router(Arc::clone(&office));
    let crowd = Crowd::default();
    let mut visits = JoinSet::new();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = visits.join_next() => {}
            _ = look.tick() => look_at(&office, settings, &certificate, &mut told),
            accepted = listener.accept() => {
                let (stream, peer) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of descriptors, or a peer that is gone: neither
                        // ends the listener, and it must not spin.
                        tracing::warn!("the page's listener: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                };
                match crowd.enter(peer.ip()) {
                    Some(place) => {
                        let (acceptor, router) = (acceptor.clone(), router.clone());
                        visits.spawn(async move {
                            visit(acceptor, router, stream, peer.ip(), deadlines).await;
                            drop(place);
                        });
                    }
                    None => office.audit.stranger("too many connections to the passkey page"),
                }
            }
        }
    }
    visits.shutdown().await;
    Ok(())
}

/// Takes up a renewed certificate; what is broken is told once and the old one
/// stays.
fn look_at(
    office: &Office,
    settings: &WebauthnSettings,
    certificate: &Certificate,
    told: &mut Option<Problem>,
) {
    match certificate.look(settings, office.clock.wall()) {
        Ok(None) => *told = None,
        Ok(Some(lasts)) => {
            *told = None;
            office.calendar.note(lasts);
            let event = office.audit.event(Kind::TlsReloaded);
            let event = event.what(&format!("the passkey page's certificate, good until {}", lasts.ends));
            office.audit.tell(&event);
        }
        Err(problem) if told.as_ref() == Some(&problem) => {}
        Err(problem) => {
            office.audit.alarm().raise(&format!("the passkey page's certificate: {problem}"));
            *told = Some(problem);
        }
    }
}

fn tls(certificate: Arc<Certificate>) -> io::Result<rustls::ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    tls.send_tls13_tickets = 0;
    Ok(tls)
}

/// One connection; whatever goes wrong on it concerns nobody else.
async fn visit(
    acceptor: TlsAcceptor,
    router: Router,
    stream: TcpStream,
    visitor: IpAddr,
    deadlines: Deadlines,
) {
    let Ok(Ok(stream)) = tokio::time::timeout(deadlines.handshake, acceptor.accept(stream)).await else {
        return;
    };
    let service = TowerToHyperService::new(router.layer(Extension(Visitor(visitor))));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(deadlines.head)
        .max_buf_size(LONGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = tokio::time::timeout(deadlines.connection, serving).await {
        tracing::debug!("a connection to the passkey page: {error}");
    }
}

/// Where a visitor comes from.
#[derive(Debug, Clone, Copy)]
struct Visitor(IpAddr);

fn router(office: Arc<Office>) -> Router {
    Router::new()
        .route("/a/{id}", get(page))
        .route("/page.js", get(async || file("text/javascript; charset=utf-8", SCRIPT)))
        .route("/page.css", get(async || file("text/css; charset=utf-8", STYLE)))
        .fallback(async || gone())
        .layer(middleware::from_fn_with_state(Arc::clone(&office), protect))
        .with_state(office)
}

/// Answers under the page's own name only, and forbids what is not needed.
async fn protect(State(office): State<Arc<Office>>, request: Request, next: Next) -> Response {
    let mut response = if is_ours(&office, request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, "This name is not served here.\n").into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // The client's listener checks the origin; every stricter policy
        // would send "null" from https to http.
        (header::REFERRER_POLICY, "origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(NO_FORMS));
    response
}

fn is_ours(office: &Office, headers: &HeaderMap) -> bool {
    let Some(settings) = office.config.webauthn.as_ref() else { return false };
    let ours = settings.origin.as_str().strip_prefix("https://");
    headers.get(header::HOST).and_then(|host| host.to_str().ok()) == ours
}

async fn page(
    State(office): State<Arc<Office>>,
    Extension(Visitor(visitor)): Extension<Visitor>,
    Path(id): Path<String>,
) -> Response {
    let shown = office.relying_party.as_ref().and_then(|party| {
        let now = office.clock.monotonic();
        party.pages().visit(&id, now)
    });
    shown.map_or_else(gone, |shown| show(&shown, visitor))
}

fn show(shown: &Shown, visitor: IpAddr) -> Response {
    let policy = format!("{POLICY}; form-action {}", shown.form_action());
    let Ok(policy) = HeaderValue::try_from(policy) else { return gone() };
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, policy)];
    (headers, shown.html(visitor)).into_response()
}

fn file(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

fn gone() -> Response {
    (StatusCode::NOT_FOUND, GONE).into_response()
}

/// Who is connected, by address.
#[derive(Debug, Clone, Default)]
struct Crowd(Arc<Mutex<HashMap<IpAddr, u32>>>);

/// A place in the crowd; dropping it frees the place.
#[derive(Debug)]
struct InCrowd(Crowd, IpAddr);

impl Crowd {
    fn enter(&self, address: IpAddr) -> Option<InCrowd> {
        let mut crowd = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: u32 = crowd.values().fold(0, |all, own| all.saturating_add(*own));
        let own = crowd.get(&address).copied().unwrap_or(0);
        if all >= CONNECTIONS || own >= CONNECTIONS_PER_ADDRESS {
            return None;
        }
        crowd.insert(address, own.saturating_add(1));
        Some(InCrowd(self.clone(), address))
    }
}

impl Drop for InCrowd {
    fn drop(&mut self) {
        let mut crowd = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = crowd.get(&self.1).map_or(0, |own| own.saturating_sub(1));
        if own == 0 {
            crowd.remove(&self.1);
        } else {
            crowd.insert(self.1, own);
        }
    }
}

#[cfg(test)]
mod tests;
