//! End-to-end tests over the real programs, one module for each subject.

#![allow(clippy::unwrap_used, reason = "a step of a test that fails fails the test")]

mod agreement;
mod backup;
mod bad_configuration;
mod clock;
mod crashes;
mod disk;
mod endings;
mod enrolment;
mod exports;
mod factors;
mod floods;
mod forgetting;
mod injected;
mod interop;
mod interop_enip;
mod interop_pycomm3;
mod interop_s7;
mod main_job;
mod misbehaving;
mod modbus_functions;
mod opaque_services;
mod own_authority;
mod passkeys;
mod policy_changes;
mod policy_tools;
mod power;
mod presence;
mod refusals;
mod second_verifier;
mod signing_in;
mod site_log;
mod site_log_kinds;
mod strangers;
mod zoo;
