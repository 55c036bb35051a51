//! The plant's side of Gatehouse: accepts technicians, proves who they are,
//! asks the policy, records, and only then forwards.
//!
//! The way of a byte, in the order of the rooms:
//!
//! | room | makes | from |
//! |---|---|---|
//! | [`accept`] | `Accepted`: a verified certificate, nothing more | a stranger's packets |
//! | [`authenticate`] | `Authenticated`: a person, by second factor | `Accepted` |
//! | [`hall`] | the talk of one signed-in connection, and whether its person is still there ([`presence`]) | `Authenticated` |
//! | [`authorize`] | `Grant`: what this person may do on this target | `Authenticated` and a wish |
//! | [`record`] | `OpenRecording`: the tape that runs | `Grant` |
//! | [`proxy`] | a device's socket, and everything that passes | `Grant` and `OpenRecording` |
//! | [`audit`] | events of all that happened | every room |
//! | [`site_log`] | signed heads over all of that, for client and witness | every room |
//!
//! [`session`] is the page on which these stand in one sequence. Beside the
//! way: [`ca`] and [`enrolment`] let people in who have nothing yet, [`renewal`]
//! gives them another certificate, [`passkey`] is the page for security keys,
//! [`quic`] carries the bytes, [`config`], [`tls`] and [`policy`] hold what is
//! true now, [`state`] what outlives a restart, [`sessions`] who is in the
//! house, [`clock`] the time, [`admin`] and [`cli`] the administrator's side,
//! [`backup`] what makes a gateway itself, [`rounds`] what is looked at again
//! and again, [`ends`] what runs out by itself, [`watchdog`] and [`cutter`] what works when the data path does
//! not, [`run`] and [`shutdown`] how all of it begins and ends. [`office`] is
//! what they share.

pub mod accept;
pub mod admin;
pub mod audit;
pub mod authenticate;
pub mod authorize;
pub mod backup;
pub mod ca;
pub mod cli;
pub mod clock;
pub mod config;
pub mod cutter;
pub mod desk;
pub mod ends;
pub mod enrolment;
pub mod factor;
#[cfg(test)]
mod fixture;
pub mod hall;
pub mod names;
pub mod office;
pub mod passkey;
pub mod places;
pub mod policy;
pub mod presence;
pub mod problem;
pub mod proxy;
pub mod quic;
pub mod record;
pub mod renewal;
pub mod rounds;
pub mod run;
pub mod session;
pub mod sessions;
pub mod shutdown;
pub mod site_log;
pub mod space;
pub mod state;
pub mod tls;
pub mod watchdog;
