//! What an apply would do, worked out before it is done.

use super::{PolicyError, PolicyHolder, checkout, read_folder};
use crate::names::Handle;
use crate::sessions::SessionInfo;
use authz::{Difference, Policy};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The folder beside what is in force, and what applying it would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// SHA-256 of the folder's policy, as hex.
    pub hash: String,
    /// SHA-256 of the policy in force.
    pub before: String,
    /// The commit, where the folder lies in a git checkout.
    pub commit: Option<String>,
    /// Who gains and who loses what.
    pub effect: Difference,
    /// What becomes of the sessions that run now.
    pub sessions: Vec<SessionEffect>,
    /// Valid, and yet probably not meant.
    pub warnings: Vec<String>,
}

/// What becomes of a running session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEffect {
    /// The session's id, as hex.
    pub id: String,
    /// Whose.
    pub person: String,
    /// To which target.
    pub target: String,
    /// What.
    pub fate: Fate,
    /// Its rights as they change.
    pub effect: Difference,
}

/// What a new policy means for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It ends softly: nothing is left that it could do, or its target is
    /// another device.
    Ends,
    /// It goes on with less.
    Narrows,
    /// It goes on with more.
    Widens,
    /// It goes on with some less and some more.
    Changes,
    /// It goes on as it is.
    Stays,
}

impl PolicyHolder {
    /// What applying the folder would do, given who could sign in and which
    /// sessions run. Blocks on the disk.
    ///
    /// # Errors
    /// As [`PolicyHolder::apply`].
    pub fn preview(
        &self,
        by: &str,
        now: Timestamp,
        people: &BTreeSet<Handle>,
        sessions: &[SessionInfo],
    ) -> Result<Preview, PolicyError> {
        let read = read_folder(&self.settings).inspect_err(|error| self.tell_refused(error, by));
        let (before, after) = (self.current(), read?);
        let sessions = sessions.iter().map(|session| fate(session, &before, &after, now)).collect();
        Ok(Preview {
            hash: after.hash().to_string(),
            before: before.hash().to_string(),
            commit: checkout::commit(&self.settings.dir),
            effect: before.compare(&after, now),
            sessions,
            warnings: after.review(now, Some(people)).iter().map(ToString::to_string).collect(),
        })
    }
}

fn fate(session: &SessionInfo, before: &Policy, after: &Policy, now: Timestamp) -> SessionEffect {
    let effect = before.compare_one(after, now, &session.person, &session.target);
    let address = |policy: &Policy| policy.inventory().target(&session.target).map(|target| target.address);
    let ends = !after.lets_in(&session.person, &session.target) || address(before) != address(after);
    let fate = match (ends, effect.has_narrowed(), effect.has_widened()) {
        (true, ..) => Fate::Ends,
        (false, true, true) => Fate::Changes,
        (false, true, false) => Fate::Narrows,
        (false, false, true) => Fate::Widens,
        (false, false, false) => Fate::Stays,
    };
    SessionEffect {
        id: session.id.to_string(),
        person: session.person.to_string(),
        target: session.target.to_string(),
        fate,
        effect,
    }
}

impl std::fmt::Display for Fate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Ends => "ENDS",
            Self::Narrows => "narrows",
            Self::Widens => "widens",
            Self::Changes => "changes",
            Self::Stays => "stays as it is",
        })
    }
}
