//! A gateway without a mind of its own, and the real program as a child process.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, PublicKeyData as _};
use rustls::RootCertStore;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use wire::enrolment::{Secret, Token};
use wire::{
    AFTER_SIGN_IN, Assurance, ChannelHeader, ChannelReply, Factor, Limits, Message, ServiceInfo, SessionId,
    ToClient, ToGateway, Transport, decode, encode,
};

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) const SESSION: SessionId = SessionId::from_bytes([7; 16]);

/// Waits, but not for ever.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it comes in time")
}

type Authority = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(
    authority: &Authority,
    usage: ExtendedKeyUsagePurpose,
    expired: Expired,
) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.extended_key_usages = vec![usage];
    if expired == Expired::Yes {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }
    (params.signed_by(&key, authority).unwrap(), key)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expired {
    Yes,
    No,
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn versions() -> rustls::ConfigBuilder<rustls::ServerConfig, rustls::WantsVerifier> {
    rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
}

fn listen(
    tls: rustls::ConfigBuilder<rustls::ServerConfig, rustls::server::WantsServerCert>,
    certificate: &rcgen::Certificate,
    key: &KeyPair,
    protocol: &[u8],
) -> Endpoint {
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut tls = tls.with_single_cert(vec![certificate.der().clone()], secret).unwrap();
    tls.alpn_protocols = vec![protocol.to_vec()];
    let crypto = QuicServerConfig::try_from(tls).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap()
}

/// A listening gateway, and a folder with a profile for it.
pub(crate) struct Fake {
    pub(crate) place: tempfile::TempDir,
    pub(crate) authority: Authority,
    endpoint: Endpoint,
}

impl Fake {
    pub(crate) fn start() -> Self {
        let authority = authority();
        let (certificate, key) = issue(&authority, ExtendedKeyUsagePurpose::ServerAuth, Expired::No);
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap();
        let tls = versions().with_client_cert_verifier(verifier);
        let endpoint = listen(tls, &certificate, &key, wire::ALPN);
        let fake = Self { place: tempfile::tempdir().unwrap(), authority, endpoint };
        fake.write_profile(&fake.authority, &fake.authority, Expired::No);
        fake
    }

    /// One that enrols whoever has the token; there is no profile yet.
    pub(crate) fn enrolling() -> (Self, Token) {
        let authority = authority();
        let (certificate, key) = issue(&authority, ExtendedKeyUsagePurpose::ServerAuth, Expired::No);
        let endpoint = listen(versions().with_no_client_auth(), &certificate, &key, wire::enrolment::ALPN);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &key.subject_public_key_info());
        let fingerprint = digest.as_ref().try_into().unwrap();
        let address = endpoint.local_addr().unwrap().to_string();
        let token = Token::new(fingerprint, Secret::from_bytes([7; 32]), &address).unwrap();
        (Self { place: tempfile::tempdir().unwrap(), authority, endpoint }, token)
    }

    /// A profile that trusts `trusted`, with a client certificate of `issuer`; and a seed with steps of one second.
    pub(crate) fn write_profile(&self, trusted: &Authority, issuer: &Authority, expired: Expired) {
        let (certificate, key) = issue(issuer, ExtendedKeyUsagePurpose::ClientAuth, expired);
        let folder = self.place.path();
        fs::write(folder.join("ca.pem"), trusted.pem()).unwrap();
        fs::write(folder.join("me.pem"), certificate.pem()).unwrap();
        write_secret(&folder.join("me.key"), &key.serialize_pem());
        let seed = "otpauth://totp/operator-1?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&period=1";
        write_secret(&folder.join("seed"), seed);
        let address = self.endpoint.local_addr().unwrap();
        let profile = format!(
            "gateway = \"{address}\"\nserver_name = \"localhost\"\nca = \"ca.pem\"\ncert = \"me.pem\"\nkey = \
             \"me.key\"\n"
        );
        fs::write(self.profile(), profile).unwrap();
    }

    pub(crate) fn profile(&self) -> PathBuf {
        self.place.path().join("profile.toml")
    }

    /// The next connection and its control stream.
    pub(crate) async fn accept(&self) -> Peer {
        let connection = soon(async { self.endpoint.accept().await.unwrap().await }).await.unwrap();
        let (send, receive) = soon(connection.accept_bi()).await.unwrap();
        Peer { connection, control: Stream { send, receive, buffered: BytesMut::new() }, opened: 0 }
    }

    /// Takes connections without looking at them, so that handshakes go on.
    pub(crate) async fn accept_and_ignore(&self) {
        while let Some(incoming) = self.endpoint.accept().await {
            if let Ok(connection) = incoming.await {
                connection.closed().await;
            }
        }
    }

    /// Starts the program with this profile.
    pub(crate) fn gatehouse(&self, arguments: &[&str]) -> Program {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gatehouse"))
            .arg("--profile")
            .arg(self.profile())
            .args(arguments)
            .env("XDG_RUNTIME_DIR", self.place.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let remarks = BufReader::new(child.stderr.take().unwrap()).lines();
        Program { child, answers, remarks }
    }

    /// `connect` for one target with the seed file, on any free port.
    pub(crate) fn connect(&self) -> Program {
        self.gatehouse(&["connect", "press", "--listen", "127.0.0.1:0", "--totp-file", &self.seed()])
    }

    pub(crate) fn seed(&self) -> String {
        self.place.path().join("seed").to_str().unwrap().to_owned()
    }
}

fn write_secret(file: &Path, text: &str) {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(file).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// A stream of messages.
pub(crate) struct Stream {
    pub(crate) send: SendStream,
    pub(crate) receive: RecvStream,
    buffered: BytesMut,
}

impl Stream {
    pub(crate) async fn expect<M: Message>(&mut self) -> M {
        loop {
            if let Some(message) = decode(&mut self.buffered, AFTER_SIGN_IN).unwrap() {
                return message;
            }
            let chunk = soon(self.receive.read_chunk(65_536, true)).await.unwrap().expect("a message");
            self.buffered.extend_from_slice(&chunk.bytes);
        }
    }

    pub(crate) async fn say<M: Message>(&mut self, message: &M) {
        self.send.write_all(&encode(message).unwrap()).await.unwrap();
    }

    /// The next raw bytes, those included that came with the last message.
    pub(crate) async fn read(&mut self) -> Result<Option<Vec<u8>>, quinn::ReadError> {
        if !self.buffered.is_empty() {
            return Ok(Some(self.buffered.split().to_vec()));
        }
        Ok(soon(self.receive.read_chunk(65_536, true)).await?.map(|chunk| chunk.bytes.to_vec()))
    }
}

/// The gateway's end of one sign-in.
pub(crate) struct Peer {
    pub(crate) connection: Connection,
    pub(crate) control: Stream,
    opened: u8,
}

pub(crate) fn welcome() -> ToClient {
    let now = jiff::Timestamp::now().as_millisecond();
    ToClient::Welcome {
        version: wire::VERSION,
        gateway_time_ms: now,
        person: "operator-1".into(),
        factors: vec![Factor::Totp],
        banner: None,
    }
}

pub(crate) fn signed_in() -> ToClient {
    let expires_ms = jiff::Timestamp::now().as_millisecond() + 3_600_000;
    ToClient::SignedIn { assurance: Assurance::CertificateAndTotp, expires_ms }
}

pub(crate) fn plc() -> ServiceInfo {
    ServiceInfo { name: "plc".into(), port: 502, protocol: "modbus".into(), transport: Transport::Tcp }
}

impl Peer {
    pub(crate) async fn hello(&mut self) {
        assert!(matches!(self.control.expect().await, ToGateway::Hello { version: wire::VERSION, .. }));
    }

    /// Plays the whole sign-in.
    pub(crate) async fn sign_in(&mut self) {
        self.hello().await;
        self.control.say(&welcome()).await;
        assert!(matches!(self.control.expect().await, ToGateway::Totp { .. }));
        self.control.say(&signed_in()).await;
    }

    /// Grants the next `Open`; the first session is [`SESSION`], later ones count up.
    pub(crate) async fn grant(&mut self, services: Vec<ServiceInfo>) -> SessionId {
        let ToGateway::Open { request, target, .. } = self.control.expect().await else {
            panic!("an Open");
        };
        let session = SessionId::from_bytes([7 + self.opened; 16]);
        self.opened += 1;
        let opened = ToClient::Opened {
            request,
            session,
            target,
            services,
            expires_ms: jiff::Timestamp::now().as_millisecond() + 3_600_000,
            recording_mode: "default".into(),
            limits: Limits { channels: 4, requests_per_second: None, outstanding: 16 },
        };
        self.control.say(&opened).await;
        session
    }

    /// The next channel, before it is answered.
    pub(crate) async fn channel(&mut self) -> (ChannelHeader, Stream) {
        let (send, receive) = soon(self.connection.accept_bi()).await.unwrap();
        let mut stream = Stream { send, receive, buffered: BytesMut::new() };
        (stream.expect().await, stream)
    }

    /// The next channel, opened.
    pub(crate) async fn open_channel(&mut self) -> Stream {
        let (_, mut stream) = self.channel().await;
        stream.say(&ChannelReply::Open).await;
        stream
    }
}

/// The running program.
pub(crate) struct Program {
    pub(crate) child: Child,
    answers: Lines<BufReader<ChildStdout>>,
    remarks: Lines<BufReader<ChildStderr>>,
}

impl Program {
    pub(crate) async fn answer(&mut self) -> String {
        soon(self.answers.next_line()).await.unwrap().expect("a line of output")
    }

    /// The address in the next `listening` line.
    pub(crate) async fn listening(&mut self) -> SocketAddr {
        let line = self.answer().await;
        assert!(line.starts_with("listening "), "{line}");
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Reads remarks until one contains `wanted`.
    pub(crate) async fn remark(&mut self, wanted: &str) -> String {
        let mut seen = Vec::new();
        while let Some(line) = soon(self.remarks.next_line()).await.unwrap() {
            if line.contains(wanted) {
                return line;
            }
            seen.push(line);
        }
        panic!("no remark with `{wanted}` in {seen:#?}");
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Waits for the end: exit code, and all remarks that were not read yet.
    pub(crate) async fn end(mut self) -> (Option<i32>, String) {
        let mut remarks = String::new();
        while let Some(line) = soon(self.remarks.next_line()).await.unwrap() {
            remarks.push_str(&line);
            remarks.push('\n');
        }
        (soon(self.child.wait()).await.unwrap().code(), remarks)
    }
}
