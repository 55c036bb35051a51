//! The harness: what tests, demo and benches share.
//!
//! - [`plc`] and [`press_line`]: a simulated controller that keeps a log of
//!   every byte as ground truth, and misbehaves on demand;
//! - [`device`]: the same in a process of its own, for crash tests;
//! - [`modbus`]: the technician's tool;
//! - [`house`], [`visitor`]: a gateway within the test whose clock is turned by
//!   hand, and a client without manners;
//! - [`endings`]: a technician who writes without a pause, and what takes the
//!   right away;
//! - [`crashes`], [`faults`]: a gateway that is killed again and again, and
//!   what makes disks fail.

pub mod binaries;
pub mod crashes;
pub mod demo;
pub mod device;
pub mod endings;
pub mod evidence;
pub mod faults;
pub mod house;
pub mod inetd;
pub mod interop;
pub mod modbus;
pub mod openssh;
pub mod pki;
pub mod plant;
pub mod plc;
pub mod press_line;
pub mod process;
pub mod visitor;
pub mod vnc;
pub mod wireshark;
pub mod workshop;
