//! The listener to which the gateway's page hands over what the browser's authenticator answered.
//!
//! What it is for: the answer goes to the client that asked for it, on this machine, and to nobody else. What it
//! never does: it takes nothing but one form, posted to a path that only this client, the gateway and its page know,
//! from that page's origin, to this very listener. Whatever else comes (other programs of this machine, other pages of
//! the browser) is turned away and changes nothing.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wire::Loopback;

use crate::Problem;

/// The largest form that is read, in bytes: a registration, percent-encoded.
const LONGEST_FORM: usize = 64 * 1024;
/// How many connections may stand at once: a browser opens some in advance.
const MOST_CONNECTIONS: usize = 16;
/// How long one connection may take.
const CONNECTION_LASTS: Duration = Duration::from_secs(10);
/// The form's one field.
const FIELD: &str = "answer";

const TAKEN: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Gatehouse</title>\
    <style>body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}</style>\
    <h1>Handed over</h1><p>Your terminal has the answer. You may close this window.</p></html>";

/// A listener on 127.0.0.1 that waits for one form.
#[derive(Debug)]
pub struct HandOver {
    listener: TcpListener,
    loopback: Loopback,
}

/// What was handed over. The browser may still be reading our thanks: it can as long as this lives.
#[derive(Debug)]
pub struct HandedOver {
    /// The authenticator's answer, JSON.
    pub json: String,
    _visits: JoinSet<()>,
}

/// What a form has to come with.
#[derive(Debug)]
struct Expected {
    path: String,
    host: String,
    origin: String,
}

impl HandOver {
    /// Binds a free port and draws the path.
    ///
    /// # Errors
    /// [`Problem::Io`].
    pub async fn bind() -> Result<Self, Problem> {
        let problem = |source| Problem::Io { what: "a listener for the browser".to_owned(), source };
        let listener =
            TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.map_err(problem)?;
        let port = listener.local_addr().map_err(problem)?.port();
        let mut nonce = [0; 16];
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let filled = provider.secure_random.fill(&mut nonce);
        filled.map_err(|_| problem(std::io::Error::other("no randomness")))?;
        Ok(Self { listener, loopback: Loopback { port, nonce } })
    }

    /// Where it is, for the gateway to write into its page.
    #[must_use]
    pub const fn loopback(&self) -> Loopback {
        self.loopback
    }

    /// Waits for the form of the page at `origin`; for ever, so the caller sets the deadline.
    pub async fn wait(self, origin: String) -> HandedOver {
        let path = self.loopback.nonce.iter().fold("/".to_owned(), |path, byte| format!("{path}{byte:02x}"));
        let host = format!("127.0.0.1:{}", self.loopback.port);
        let expected = Arc::new(Expected { path, host, origin });
        let (taken, mut taking) = mpsc::channel(1);
        let mut visits = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(json) = taking.recv() => return HandedOver { json, _visits: visits },
                Some(_) = visits.join_next() => {}
                accepted = self.listener.accept(), if visits.len() < MOST_CONNECTIONS => {
                    if let Ok((stream, _)) = accepted {
                        visits.spawn(visit(stream, Arc::clone(&expected), taken.clone()));
                    } else {
                        // Out of descriptors: it must not spin.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            }
        }
    }
}

async fn visit(stream: TcpStream, expected: Arc<Expected>, taken: mpsc::Sender<String>) {
    let service = service_fn(|request| {
        let (expected, taken) = (Arc::clone(&expected), taken.clone());
        async move { Ok::<_, Infallible>(answer(request, &expected, &taken).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION_LASTS)
        .keep_alive(false)
        .max_buf_size(LONGEST_FORM)
        .serve_connection(TokioIo::new(stream), service);
    // What breaks on one connection concerns the browser alone.
    let _ = tokio::time::timeout(CONNECTION_LASTS, serving).await;
}

async fn answer(
    request: Request<Incoming>,
    expected: &Expected,
    taken: &mpsc::Sender<String>,
) -> Response<Full<Bytes>> {
    if request.uri().path() != expected.path || request.uri().query().is_some() {
        return plain(StatusCode::NOT_FOUND, "There is nothing here.\n");
    }
    if request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "Only a form is taken here.\n");
    }
    if !expected.comes_from_the_page(request.headers()) {
        return plain(StatusCode::FORBIDDEN, "This did not come from the gateway's page.\n");
    }
    let Ok(body) = Limited::new(request.into_body(), LONGEST_FORM).collect().await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "This is too large.\n");
    };
    let body = body.to_bytes();
    let field = form_urlencoded::parse(&body).find(|(name, _)| name == FIELD);
    let Some((_, json)) = field.filter(|(_, json)| !json.is_empty()) else {
        return plain(StatusCode::BAD_REQUEST, "The form is empty.\n");
    };
    // There is room for one; a second comes too late.
    match taken.try_send(json.into_owned()) {
        Ok(()) => html(TAKEN),
        Err(_) => plain(StatusCode::CONFLICT, "There was an answer already.\n"),
    }
}

impl Expected {
    fn comes_from_the_page(&self, headers: &HeaderMap) -> bool {
        let is = |name, value: &str| headers.get(name).is_some_and(|found| found == value);
        is(header::HOST, &self.host)
            && is(header::ORIGIN, &self.origin)
            && is(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
    }
}

fn html(text: &'static str) -> Response<Full<Bytes>> {
    respond(StatusCode::OK, "text/html; charset=utf-8", text)
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", text)
}

fn respond(status: StatusCode, kind: &'static str, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                  frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const ORIGIN: &str = "https://gw.plant.example:8443";

    /// Sends a raw request and gives the status line.
    async fn ask(port: u16, request: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer));
        // A connection that is reset after its answer was read whole is as good.
        let _ = read.await.unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    fn request(method: &str, path: &str, host: &str, origin: &str, body: &str) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    #[tokio::test]
    async fn only_the_pages_one_form_is_taken() {
        let listening = HandOver::bind().await.unwrap();
        let Loopback { port, nonce } = listening.loopback();
        let path = format!("/{}", nonce.map(|byte| format!("{byte:02x}")).concat());
        let host = format!("127.0.0.1:{port}");
        let waiting = tokio::spawn(async move { listening.wait(ORIGIN.to_owned()).await });
        let form = "answer=%7B%22id%22%3A%22a%22%7D";
        let other = format!("/{}", "00".repeat(16));
        for (wrong, status) in [
            (request("POST", &other, &host, ORIGIN, form), "404"),
            (request("POST", "/", &host, ORIGIN, form), "404"),
            (request("POST", &format!("{path}?a"), &host, ORIGIN, form), "404"),
            (request("GET", &path, &host, ORIGIN, ""), "405"),
            (request("PUT", &path, &host, ORIGIN, form), "405"),
            (request("POST", &path, &format!("localhost:{port}"), ORIGIN, form), "403"),
            (request("POST", &path, "evil.example", ORIGIN, form), "403"),
            (request("POST", &path, &host, "https://evil.example", form), "403"),
            (request("POST", &path, &host, "null", form), "403"),
            (request("POST", &path, &host, ORIGIN, "other=1"), "400"),
            (request("POST", &path, &host, ORIGIN, "answer="), "400"),
            (request("POST", &path, &host, ORIGIN, form).replace("Origin", "X-Origin"), "403"),
            (request("POST", &path, &host, ORIGIN, form).replace("x-www-form-urlencoded", "json"), "403"),
            (request("POST", &path, &host, ORIGIN, &"a".repeat(LONGEST_FORM + 1)), "413"),
        ] {
            let line = ask(port, &wrong).await;
            let head: String = wrong.chars().take(200).collect();
            assert!(line.starts_with(&format!("HTTP/1.1 {status}")), "{line} for {head}");
        }
        assert!(!waiting.is_finished(), "nothing of that was taken");
        let line = ask(port, &request("POST", &path, &host, ORIGIN, form)).await;
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        let handed = tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap();
        assert_eq!(handed.json, "{\"id\":\"a\"}");
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err(), "one hit, and it is gone");
    }
}
