//! `policy backtest` and `policy suggest`: a policy tried on the past, and
//! one learnt from it.
//!
//! `replay --check` judges what was recorded under its own terms. All three
//! read what was recorded, not what was told about it: each request is
//! decoded again from its bytes in the `from_client` tap and judged by the
//! function that judges live sessions. Nothing is written but the answer.

mod arguments;
mod backtest;
mod past;
mod reproduction;
mod suggest;
mod verdict;

use crate::exit::Exit;
use crate::run::Output;
use crate::trouble::Trouble;

pub use arguments::{Backtest, PolicyCommand, Suggest};
pub(crate) use reproduction::{Form, check};

pub(crate) fn run(command: &PolicyCommand, output: &mut Output<'_>) -> Result<Exit, Trouble> {
    match command {
        PolicyCommand::Backtest(backtest) => backtest::run(backtest, output),
        PolicyCommand::Suggest(suggest) => suggest::run(suggest, output),
    }
}
