//! Who may finish a handshake: CA, CRL, the gateway's own certificate, and how
//! they change while it runs.
//!
//! TLS 1.3 only, a client certificate always, the CRL's own end enforced, no
//! session tickets and no early data: a certificate is judged anew on every
//! connection. [`Papers`] is what the files say, read and checked as a whole;
//! [`Material`] adds the gateway's own authorities; [`Reloader`] watches both and
//! swaps whole new material in. What is
//! broken or older than what is in use is refused and the old stays. This
//! module never decides who a person is: it only knows certificates.
//!
//! Order: [`Papers::read`] at the checks -> [`Reloader::open`] -> `quic::server_config`
//! for the endpoint -> `Reloader::run`, which announces each [`Current`] so that
//! the endpoint takes the new configuration and live sign-ins are walked with
//! [`Trust::verify`].

mod external;
mod material;
mod recognition;
mod reload;
mod strict;
#[cfg(test)]
mod tests;
mod trust;

pub use external::{External, ExternalFiles};
pub use material::{Files, Material, Papers};
pub(crate) use material::{identity_for, private};
pub use recognition::recognised;
pub use reload::{Current, LOOK_EVERY, Look, Reloader};
pub use trust::{Trust, Unfit};
