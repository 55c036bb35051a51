//! The harness: what tests, demo and benches share.
//!
//! - [`plc`] and [`press_line`]: a simulated controller that keeps a log of
//!   every byte as ground truth, and misbehaves on demand;
//! - [`modbus`]: the technician's tool.

pub mod binaries;
pub mod demo;
pub mod evidence;
pub mod interop;
pub mod modbus;
pub mod pki;
pub mod plant;
pub mod plc;
pub mod press_line;
pub mod process;
pub mod wireshark;
pub mod workshop;
