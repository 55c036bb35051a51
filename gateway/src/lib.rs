//! The plant's side of Gatehouse.

pub mod admin;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
pub mod factor;
#[cfg(test)]
mod fixture;
pub mod names;
pub mod office;
pub mod policy;
pub mod problem;
pub mod rounds;
pub mod run;
pub mod sessions;
pub mod shutdown;
pub mod state;
pub mod tls;
