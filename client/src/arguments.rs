//! The command line, and what each command does with it.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use wire::enrolment::Token;
use zeroize::Zeroizing;

use crate::asked::Asked;
use crate::connect::{self, Wish};
use crate::direct::Machine;
use crate::enroll::{self, PasskeyWish, Taking};
use crate::escape::escape;
use crate::link::Link;
use crate::opening::Purpose;
use crate::passkey::{self, Browser, Through};
use crate::passphrase::{self, Passphrases, Protection};
use crate::profile::{Address, Profile, UsualFactor};
use crate::receipts;
use crate::renew;
use crate::running::{self, State};
use crate::screen::Screen;
use crate::seed::Seed;
use crate::sign_in::{Means, sign_in};
use crate::targets::{self, Listing};
use crate::{Problem, authenticator, listen, platform};

const EXAMPLES: &str = "\
Examples:
  gatehouse enroll --token ghe1_...
  gatehouse targets
  gatehouse connect press-line/plc7
  gatehouse --profile plant.toml connect press-line/plc7:plc packaging/plc2 --reason \"stroke counter drifts\"
  gatehouse status --json

Exit codes: 0 done, 4 usage or I/O, 5 configuration, 6 refused by the gateway, 7 unreachable.";

const ENROLL_EXAMPLES: &str = "\
Examples:
  gatehouse enroll --token ghe1_...
  gatehouse --profile plant-a.toml enroll --passphrase
  gatehouse enroll --passkey --name laptop
  gatehouse enroll --token-file token.txt --totp-file seed.txt --passphrase-file passphrase.txt

Your key is made here and never leaves this machine. Where it breaks off before the end, the token is good for another
try.";

const CONNECT_EXAMPLES: &str = "\
Examples:
  gatehouse connect press-line/plc7 --ticket W-1042
  gatehouse connect press-line/plc7:plc --listen 127.0.0.1:1502
  gatehouse connect press-line/plc7:plc packaging/plc2:plc --listen 127.0.0.2:502 --listen 127.0.0.3:502";

const FACTOR_EXAMPLES: &str = "\
Examples:
  gatehouse factor add --name laptop
  gatehouse factor add --name \"spare key\" --passkey
  gatehouse factor add --name \"first key\" --security-key";

/// Remote maintenance through the plant's gatehouse.
#[derive(Debug, Parser)]
#[command(name = "gatehouse", version, after_help = EXAMPLES)]
struct Arguments {
    /// The profile that the plant gave you
    #[arg(long, value_name = "F", default_value = "profile.toml", global = true)]
    profile: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Turn the token that the plant gave you into a certificate, a second
    /// factor and a profile
    #[command(after_help = ENROLL_EXAMPLES)]
    Enroll(EnrollArguments),
    /// Get a new certificate, for a new key, before the one you have ends
    #[command(
        after_help = "Example:\n  gatehouse renew\n\nThe old certificate stays good until its own end; the new key has the passphrase of the old one."
    )]
    Renew {
        #[command(flatten)]
        factor: FactorArguments,
        #[command(flatten)]
        key: KeyArguments,
    },
    /// List what you may open
    Targets {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        factor: FactorArguments,
        #[command(flatten)]
        key: KeyArguments,
    },
    /// Open targets and give your tools local addresses for their services
    #[command(after_help = CONNECT_EXAMPLES)]
    Connect(ConnectArguments),
    /// List what the gateway signed for you: with it a deleted or changed recording is found
    Receipts {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show what runs on this machine
    Status {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Your second factors
    Factor {
        #[command(subcommand)]
        command: FactorCommand,
    },
}

#[derive(Debug, Subcommand)]
enum FactorCommand {
    /// Register another passkey. Sign in with one that you have, if you have
    /// one; with --security-key the new one is a key plugged into this machine
    #[command(after_help = FACTOR_EXAMPLES)]
    Add {
        /// What you call it
        #[arg(long, value_name = "NAME", value_parser = at_most::<64>)]
        name: String,
        #[command(flatten)]
        factor: FactorArguments,
        #[command(flatten)]
        key: KeyArguments,
    },
}

#[derive(Debug, Args)]
struct EnrollArguments {
    /// Another way to the gateway than the token names
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    gateway: Option<Address>,
    /// The token; asked for if neither this nor --token-file is given
    #[arg(long, value_name = "T", conflicts_with = "token_file")]
    token: Option<String>,
    /// Read the token from a file that you alone can read
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Protect your key by a passphrase, asked for now and at each use
    #[arg(long)]
    passphrase: bool,
    /// The same with the passphrase from a file that you alone can read
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase")]
    passphrase_file: Option<PathBuf>,
    /// For automation: write the new second factor to this new file and
    /// confirm it, instead of showing it
    #[arg(long, value_name = "SEED_FILE", conflicts_with_all = ["passkey", "name", "no_browser"])]
    totp_file: Option<PathBuf>,
    /// Take a passkey as second factor: security key, phone or this machine;
    /// asked for if neither this nor --totp-file is given
    #[arg(long)]
    passkey: bool,
    /// What you call a new passkey
    #[arg(long, value_name = "NAME", default_value = "first passkey", value_parser = at_most::<64>)]
    name: String,
    /// Print the passkey page's address instead of opening a browser; the
    /// browser has to run on this machine all the same
    #[arg(long)]
    no_browser: bool,
}

impl EnrollArguments {
    fn wish(&self, profile: &Path) -> Result<enroll::Wish, Problem> {
        let text = match (&self.token, &self.token_file) {
            (Some(token), _) => Zeroizing::new(token.clone()),
            (None, Some(file)) => passphrase::read(file)?,
            (None, None) => passphrase::prompt("token: ")?,
        };
        let protection = match (&self.passphrase_file, self.passphrase) {
            (Some(file), _) => Protection::Passphrase(Passphrases::File(file.clone())),
            (None, true) => Protection::Passphrase(Passphrases::Prompt),
            (None, false) => Protection::FileAlone,
        };
        Ok(enroll::Wish {
            token: Token::parse(&text)
                .map_err(|error| Problem::Usage(format!("{error}; ask for it again")))?,
            gateway: self.gateway.clone(),
            profile: profile.to_owned(),
            protection,
            factor: self.taking(),
        })
    }

    fn taking(&self) -> Taking {
        let browser = if self.no_browser { Browser::Print } else { Browser::Open };
        let wish = PasskeyWish { browser, name: self.name.clone() };
        match &self.totp_file {
            Some(file) => Taking::SeedFile(file.clone()),
            None if self.passkey => Taking::Passkey(wish),
            None => Taking::Person(wish),
        }
    }
}

fn address(text: &str) -> Result<Address, String> {
    Address::parse(text).ok_or_else(|| format!("{text:?} is no address: write HOST:PORT"))
}

/// How the key of the profile is opened.
#[derive(Debug, Args)]
struct KeyArguments {
    /// Read the passphrase of your key from a file that you alone can read,
    /// instead of asking for it
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl KeyArguments {
    /// The profile; a certificate that ends soon is warned of.
    fn profile(&self, file: &Path, screen: &mut Screen) -> Result<Profile, Problem> {
        let from = self.passphrase_file.clone().map_or(Passphrases::Prompt, Passphrases::File);
        let profile = Profile::load_with(file, &from)?;
        if let Some(warning) = profile.validity.warning(jiff::Timestamp::now()) {
            screen.remark(&warning);
        }
        Ok(profile)
    }
}

#[derive(Debug, Args)]
struct ConnectArguments {
    /// TARGET for all its services, or TARGET:SERVICE
    #[arg(required = true, value_name = "TARGET[:SERVICE]")]
    asked: Vec<Asked>,
    /// Another loopback address; port 0 for any free one. Once for each
    /// service at most, in the order in which they are named
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen::parse)]
    listen: Vec<SocketAddr>,
    /// Why you come, for the recording
    #[arg(long, value_name = "TEXT", value_parser = at_most::<{ wire::LONGEST_TEXT }>)]
    reason: Option<String>,
    /// The plant's work-order number
    #[arg(long, value_name = "ID", value_parser = at_most::<{ wire::LONGEST_NAME }>)]
    ticket: Option<String>,
    #[command(flatten)]
    factor: FactorArguments,
    #[command(flatten)]
    key: KeyArguments,
}

#[derive(Debug, Args)]
struct FactorArguments {
    /// Make the codes from this seed instead of asking for them
    #[arg(long, value_name = "SEED_FILE", conflicts_with = "passkey")]
    totp_file: Option<PathBuf>,
    /// Sign in with a passkey: security key, phone or this machine
    #[arg(long)]
    passkey: bool,
    /// Use a passkey by a security key plugged into this machine, without a
    /// browser (on Windows: by the system's own dialogue)
    #[arg(long, conflicts_with = "no_browser")]
    security_key: bool,
    /// Print the passkey page's address instead of opening a browser; the
    /// browser has to run on this machine all the same
    #[arg(long)]
    no_browser: bool,
}

impl FactorArguments {
    /// How a passkey is used.
    fn through(&self, profile: &Profile) -> Result<Through, Problem> {
        let machine = match profile.factor {
            UsualFactor::SecurityKey => !self.no_browser,
            UsualFactor::Ask | UsualFactor::Passkey => self.security_key,
        };
        if machine {
            let relying_party = profile.relying_party.clone();
            return Ok(Through::Machine(Machine {
                authenticator: authenticator::of_this_machine()?,
                relying_party,
            }));
        }
        Ok(Through::Page(if self.no_browser { Browser::Print } else { Browser::Open }))
    }

    /// How to sign in.
    fn means(&self, profile: &Profile) -> Result<Means, Problem> {
        if self.totp_file.is_some() && self.security_key {
            return Err(Problem::Usage(
                "sign in with --totp-file or with --security-key, not both".to_owned(),
            ));
        }
        if self.totp_file.is_none() && (self.no_browser || self.security_key) {
            return self.through(profile).map(Means::Passkey);
        }
        self.means_to_add(profile)
    }

    /// The same for somebody who adds a passkey: how that one is reached says nothing of the sign-in.
    fn means_to_add(&self, profile: &Profile) -> Result<Means, Problem> {
        if let Some(file) = &self.totp_file {
            return Seed::load(file).map(Means::Seed);
        }
        let through = self.through(profile)?;
        let usual = match profile.factor {
            UsualFactor::Ask => false,
            UsualFactor::Passkey | UsualFactor::SecurityKey => true,
        };
        Ok(if self.passkey || usual { Means::Passkey(through) } else { Means::Prompt(through) })
    }
}

/// A text that fits into its message.
fn at_most<const LONGEST: usize>(text: &str) -> Result<String, String> {
    if text.len() > LONGEST {
        return Err(format!("{} bytes are too long, at most {LONGEST} fit", text.len()));
    }
    Ok(text.to_owned())
}

/// Runs the program. Exit codes: 0 done, 4 usage or I/O, 5 configuration, 6 refused, 7 unreachable.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let failed = error.print().is_err() || error.use_stderr();
            return if failed { ExitCode::from(4) } else { ExitCode::SUCCESS };
        }
    };
    let mut screen = Screen::standard();
    let acted = act(&arguments, &mut screen);
    platform::Echo::restore();
    match acted {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            screen.end_status();
            screen.remark(&format!("gatehouse: {problem}"));
            ExitCode::from(problem.exit_code())
        }
    }
}

fn act(arguments: &Arguments, screen: &mut Screen) -> Result<(), Problem> {
    match &arguments.command {
        Command::Status { json } => show_running(&arguments.profile, listing(*json), screen),
        Command::Receipts { json } => {
            let kept = receipts::list(&Profile::receipts_of(&arguments.profile)?)?;
            receipts::show(&kept, listing(*json), screen)
        }
        Command::Enroll(wanted) => {
            let wish = wanted.wish(&arguments.profile)?;
            block_on(enroll::enroll(&wish, screen))
        }
        Command::Renew { factor, key } => {
            let profile = key.profile(&arguments.profile, screen)?;
            let means = factor.means(&profile)?;
            block_on(renew::renew(&profile, &means, screen))
        }
        Command::Targets { json, factor, key } => {
            let profile = key.profile(&arguments.profile, screen)?;
            let means = factor.means(&profile)?;
            block_on(list_targets(&profile, &means, listing(*json), screen))
        }
        Command::Factor { command: FactorCommand::Add { name, factor, key } } => {
            let profile = key.profile(&arguments.profile, screen)?;
            let (means, through) = (factor.means_to_add(&profile)?, factor.through(&profile)?);
            block_on(add_passkey(&profile, &means, &through, name, screen))
        }
        Command::Connect(wanted) => {
            let profile = wanted.key.profile(&arguments.profile, screen)?;
            let wish = Wish {
                asked: wanted.asked.clone(),
                listen: wanted.listen.clone(),
                purpose: Purpose { reason: wanted.reason.clone(), ticket: wanted.ticket.clone() },
                means: wanted.factor.means(&profile)?,
            };
            block_on(connect::connect(&profile, &wish, screen))
        }
    }
}

const fn listing(json: bool) -> Listing {
    if json { Listing::Json } else { Listing::Text }
}

/// One thread carries everything: the work is waiting, and small requests gain from not changing threads.
fn block_on(work: impl Future<Output = Result<(), Problem>>) -> Result<(), Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Problem::Io { what: "the runtime".to_owned(), source })?;
    let done = runtime.block_on(work);
    // A name look-up that hangs must not keep the program.
    runtime.shutdown_background();
    done
}

async fn list_targets(
    profile: &Profile,
    means: &Means,
    listing: Listing,
    screen: &mut Screen,
) -> Result<(), Problem> {
    let link = Link::open(profile).await?;
    let mut control = link.control().await?;
    sign_in(&mut control, means, &[], screen).await?;
    let found = targets::ask(&mut control).await?;
    link.close().await;
    targets::show(&found, listing, screen)
}

async fn add_passkey(
    profile: &Profile,
    means: &Means,
    through: &Through,
    name: &str,
    screen: &mut Screen,
) -> Result<(), Problem> {
    let link = Link::open(profile).await?;
    let mut control = link.control().await?;
    sign_in(&mut control, means, &[], screen).await?;
    let added = passkey::register(&mut control, through, name, screen).await?;
    link.close().await;
    screen.answer(&format!("passkey {added} is registered"))
}

fn show_running(profile: &Path, listing: Listing, screen: &mut Screen) -> Result<(), Problem> {
    let states = running::list(&running::folder(profile))?;
    match listing {
        Listing::Json => screen.answer(&targets::harmless_json(&states)?),
        Listing::Text if states.is_empty() => {
            screen.remark("nothing is connected");
            Ok(())
        }
        Listing::Text => {
            states.iter().flat_map(running_lines).try_for_each(|line| screen.answer(&escape(&line)))
        }
    }
}

fn running_lines(state: &State) -> Vec<String> {
    let mut lines = vec![format!(
        "{} at {} since {} (process {}, {})",
        state.person, state.gateway, state.since, state.process, state.profile
    )];
    for service in &state.services {
        lines.push(format!("  {}:{} at {}", service.target, service.service, service.listen));
    }
    for session in &state.sessions {
        let operations = session.operations.map_or_else(String::new, |count| format!(", {count} operations"));
        let last = session.last_denial.as_ref().map_or_else(String::new, |last| format!(" (last: {last})"));
        lines.push(format!(
            "  {}: {} channels{operations}, {} denied{last}, until {}",
            session.target, session.channels, session.denied, session.until
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::try_parse_from(line.split(' ')).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn several_targets_with_all_options_are_understood() {
        let line = "gatehouse --profile p connect a/b:plc c --listen 127.0.0.1:0 --listen 127.0.0.2:1502 --reason leak --ticket W1 --totp-file s";
        let Command::Connect(wanted) = parse(line).unwrap().command else {
            panic!("connect");
        };
        assert_eq!(wanted.asked.len(), 2);
        assert_eq!(wanted.listen.iter().map(SocketAddr::port).collect::<Vec<_>>(), [0, 1502]);
        assert_eq!(wanted.ticket.as_deref(), Some("W1"));
    }

    #[test]
    fn what_cannot_be_is_refused_before_anything_happens() {
        assert!(parse("gatehouse connect").unwrap_err().contains("TARGET"));
        assert!(
            parse("gatehouse connect a --listen 0.0.0.0:502").unwrap_err().contains("not a loopback address")
        );
        assert!(parse("gatehouse connect 10.0.0.1:502:x").unwrap_err().contains("an address is never given"));
        let long = "x".repeat(wire::LONGEST_TEXT + 1);
        assert!(parse(&format!("gatehouse connect a --reason {long}")).unwrap_err().contains("too long"));
        assert!(matches!(
            parse("gatehouse receipts --json").unwrap().command,
            Command::Receipts { json: true }
        ));
    }
}
