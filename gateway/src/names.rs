//! The names that events, state and listings are keyed by, in one place.

pub use authz::{Handle, PolicyHash, TargetId};
pub use wire::SessionId;
