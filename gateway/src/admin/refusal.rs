//! Why a request was not fulfilled, in words and as an HTTP status.

use crate::policy::PolicyError;
use crate::state::StateError;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::fmt;

/// An answer other than yes.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    problems: Vec<String>,
}

impl Refusal {
    pub(super) fn forbidden(who: &str) -> Self {
        let problem = format!("{who} is not among [admin] uids of this gateway");
        Self { status: StatusCode::FORBIDDEN, problems: vec![problem] }
    }

    pub(super) fn no_such(what: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, problems: vec![format!("there is no such {what}")] }
    }

    pub(super) fn conflict(problem: impl fmt::Display) -> Self {
        Self { status: StatusCode::CONFLICT, problems: vec![problem.to_string()] }
    }

    pub(super) fn invalid(problem: impl fmt::Display) -> Self {
        let problems = problem.to_string().lines().map(str::to_owned).collect();
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, problems }
    }

    /// The gateway itself failed: nothing was done.
    pub(super) fn failure(problem: impl fmt::Display) -> Self {
        tracing::error!("an administrator's request failed: {problem}");
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, problems: vec![problem.to_string()] }
    }
}

impl From<StateError> for Refusal {
    fn from(error: StateError) -> Self {
        match error {
            StateError::KeyTaken { .. }
            | StateError::Disabled(_)
            | StateError::FactorPresent(_)
            | StateError::InvitationOver
            | StateError::ForeignCertificate
            | StateError::TooManyCertificates
            | StateError::FactorsReset
            | StateError::TooManyPasskeys
            | StateError::PasskeyNameTaken(_)
            | StateError::PasskeyPresent
            | StateError::PasskeyKnown => Self::conflict(error),
            StateError::NoSuchPerson(_) => {
                Self { status: StatusCode::NOT_FOUND, problems: vec![error.to_string()] }
            }
            StateError::Open { .. }
            | StateError::Key { .. }
            | StateError::Sealing(_)
            | StateError::Sealed(_)
            | StateError::Database(_)
            | StateError::Corrupt(_) => Self::failure(error),
        }
    }
}

impl From<PolicyError> for Refusal {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::Invalid(_) | PolicyError::Manifest(_) => Self::invalid(error),
            PolicyError::Moved { .. } => Self::conflict(error),
            PolicyError::Stored(_) | PolicyError::State(_) | PolicyError::Audit(_) => Self::failure(error),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(super::Problems { problems: self.problems })).into_response()
    }
}
