//! End-to-end tests over the real binaries, one module for each subject.

mod strangers;
