//! A browser without a window: it fetches a page over real TLS, asks an
//! authenticator in software, and sends the page's form.

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};
use url::Url;
use webauthn_authenticator_rs::{WebauthnAuthenticator, softtoken::SoftToken};

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The page's server as this browser reaches it.
pub(crate) struct Browser {
    tls: Arc<ClientConfig>,
    server: SocketAddr,
    name: String,
    pub(crate) token: SoftToken,
}

/// A page that was fetched.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) html: String,
}

impl Browser {
    /// A browser that trusts `ca` and finds the page's name at `server`.
    pub(crate) fn new(ca: &Path, server: SocketAddr, name: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let token = SoftToken::new(true).unwrap().0;
        Self { tls: Arc::new(tls), server, name: name.to_owned(), token }
    }

    /// Fetches an address of the page's server.
    pub(crate) fn visit(&self, url: &str) -> Page {
        let url = Url::parse(url).unwrap();
        assert_eq!(url.host_str(), Some(self.name.as_str()), "a page elsewhere");
        let host = format!("{}:{}", self.name, url.port().unwrap_or(443));
        self.request(&format!("GET {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n", url.path()))
    }

    /// Sends a request over TLS and reads the answer to its end.
    pub(crate) fn request(&self, request: &str) -> Page {
        let name = ServerName::try_from(self.name.clone()).unwrap();
        let stream = TcpStream::connect(self.server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let connection = ClientConnection::new(Arc::clone(&self.tls), name).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        stream.write_all(request.as_bytes()).unwrap();
        page(&read_all(&mut stream))
    }

    /// Does what the page asks, as a browser at `origin`; gives the answer.
    pub(crate) fn use_authenticator(&mut self, page: &Page, origin: &str) -> String {
        let options: Value = serde_json::from_str(&page.attribute("data-options")).unwrap();
        let options = json!({ "publicKey": options });
        let origin = Url::parse(origin).unwrap();
        match page.attribute("data-mode").as_str() {
            "register" => {
                let options = serde_json::from_value(options).unwrap();
                serde_json::to_string(&self.token.do_registration(origin, options).unwrap()).unwrap()
            }
            "sign-in" => {
                let options = serde_json::from_value(options).unwrap();
                serde_json::to_string(&self.token.do_authentication(origin, options).unwrap()).unwrap()
            }
            other => panic!("a page for {other}"),
        }
    }

    /// Sends the page's form to where it says.
    pub(crate) fn send_form(&self, page: &Page, origin: &str, answer: &str) -> Page {
        post(&page.attribute("action"), origin, answer)
    }
}

/// Posts a form as a browser does that came from `origin`.
pub(crate) fn post(action: &str, origin: &str, answer: &str) -> Page {
    let url = Url::parse(action).unwrap();
    assert_eq!((url.scheme(), url.host_str()), ("http", Some("127.0.0.1")), "the form goes elsewhere");
    let port = url.port().unwrap();
    let body = form_urlencoded::Serializer::new(String::new()).append_pair("answer", answer).finish();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "POST {} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {origin}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        url.path(),
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    page(&read_all(&mut stream))
}

impl Page {
    /// What stands in an attribute of the page.
    pub(crate) fn attribute(&self, name: &str) -> String {
        let (_, rest) = self.html.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("{self:?}"));
        let (value, _) = rest.split_once('"').unwrap();
        value.replace("&quot;", "\"").replace("&#39;", "'").replace("&lt;", "<").replace("&amp;", "&")
    }

    /// A line of the head.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

fn read_all(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    // Some servers end without a goodbye; what came counts.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

fn page(answer: &str) -> Page {
    let (head, html) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Page { status, head: head.to_owned(), html: html.to_owned() }
}
