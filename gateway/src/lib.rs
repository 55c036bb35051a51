//! The plant's side of Gatehouse.

pub mod admin;
pub mod audit;
pub mod clock;
pub mod config;
pub mod factor;
pub mod interim;
pub mod names;
pub mod office;
pub mod policy;
pub mod problem;
pub mod sessions;
pub mod state;
pub mod tls;
