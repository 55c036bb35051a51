//! The other end of the admin socket: one request, one answer.

use super::messages::Problems;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// How long an answer may take: a policy with many rules is checked within it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// Speaks to a gateway on this machine.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

/// Why a gateway gave no yes.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers on the socket.
    #[error("{socket}: {reason}; is the gateway running, and may you use its socket?")]
    Unreachable {
        /// The socket's path.
        socket: PathBuf,
        /// What failed.
        reason: String,
    },
    /// The gateway refused.
    #[error("{}", .0.join("\n"))]
    Refused(Vec<String>),
    /// What was sent is not valid: a policy, a certificate, a handle.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
    /// The answer makes no sense.
    #[error("the gateway's answer can't be read: {0}")]
    Answer(String),
}

impl Client {
    /// A client of that socket; nothing is opened yet.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Asks for a page.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn get<T: DeserializeOwned>(&self, page: &str) -> Result<T, ClientError> {
        self.ask(Method::GET, page, Bytes::new()).await
    }

    /// Sends something to a page.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        page: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Answer(error.to_string()))?;
        self.ask(Method::POST, page, body.into()).await
    }

    /// Sends something to a page and gets bytes, at most so many.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn fetch(&self, page: &str, body: &impl Serialize, most: usize) -> Result<Bytes, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Answer(error.to_string()))?;
        self.get_bytes(Method::POST, page, body.into(), most).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        page: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let answered = self.get_bytes(method, page, body, LONGEST_ANSWER).await?;
        serde_json::from_slice(&answered).map_err(|error| ClientError::Answer(error.to_string()))
    }

    async fn get_bytes(
        &self,
        method: Method,
        page: &str,
        body: Bytes,
        most: usize,
    ) -> Result<Bytes, ClientError> {
        let asked = tokio::time::timeout(PATIENCE, self.exchange(method, page, body, most)).await;
        let (status, body) = asked.map_err(|_| self.unreachable("no answer in time"))??;
        if status.is_success() {
            return Ok(body);
        }
        let problems = match serde_json::from_slice::<Problems>(&body) {
            Ok(answer) => answer.problems,
            Err(_) => vec![format!("{status}: {}", String::from_utf8_lossy(&body))],
        };
        Err(if status == StatusCode::UNPROCESSABLE_ENTITY {
            ClientError::Invalid(problems)
        } else {
            ClientError::Refused(problems)
        })
    }

    async fn exchange(
        &self,
        method: Method,
        page: &str,
        body: Bytes,
        most: usize,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.unreachable(error))?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| self.unreachable(error))?;
        let request = Request::builder()
            .method(method)
            .uri(page)
            .header(HOST, "gatehouse")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| ClientError::Answer(error.to_string()))?;
        let answered = async {
            let response = sender.send_request(request).await.map_err(|error| self.unreachable(error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), most).collect().await;
            Ok((status, body.map_err(|error| ClientError::Answer(error.to_string()))?.to_bytes()))
        };
        tokio::pin!(answered);
        tokio::select! {
            answer = &mut answered => answer,
            ended = connection => match ended {
                // The connection may end with the last byte of the answer.
                Ok(()) => answered.await,
                Err(error) => Err(self.unreachable(error)),
            },
        }
    }

    fn unreachable(&self, reason: impl std::fmt::Display) -> ClientError {
        ClientError::Unreachable { socket: self.socket.clone(), reason: reason.to_string() }
    }
}
