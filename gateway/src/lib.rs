//! The plant's side of Gatehouse.

pub mod audit;
pub mod clock;
pub mod factor;
pub mod names;
pub mod sessions;
pub mod state;
