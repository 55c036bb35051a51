//! The plant's side of Gatehouse.

pub mod audit;
pub mod clock;
pub mod factor;
pub mod names;
pub mod problem;
pub mod sessions;
pub mod state;
pub mod tls;
