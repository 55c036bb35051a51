//! Every command and option.

use super::exit::{Exit, Failure};
use super::print::Form;
use crate::admin::Client;
use crate::config::span;
use crate::state::KeyHash;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  gatehouse-gateway check --config gateway.toml
  gatehouse-gateway run --config gateway.toml
  gatehouse-gateway --socket admin.sock user import --cert tech-1@vendor-a.pem tech-1@vendor-a
  gatehouse-gateway --socket admin.sock sessions list
  gatehouse-gateway --socket admin.sock policy apply

Exit codes: 0 done, 1 the answer is no, 4 usage or I/O, 5 configuration or policy invalid, 6 refused by the gateway, 7 unreachable.";

const KEYGEN_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway keygen --out signing.key

Prints the public half. Give signing.pub to whoever checks recordings; with another key a new site log begins.";

const USER_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway --socket admin.sock user import --cert tech-1@vendor-a.pem tech-1@vendor-a
  gatehouse-gateway --socket admin.sock user invite tech-1@vendor-a --expires 24h
  gatehouse-gateway --socket admin.sock user list --json
  gatehouse-gateway --socket admin.sock user show tech-1@vendor-a
  gatehouse-gateway --socket admin.sock user disable tech-1@vendor-a
  gatehouse-gateway --socket admin.sock user reset-factor tech-1@vendor-a";

const RESET_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway --socket admin.sock user reset-factor tech-1@vendor-a
  gatehouse-gateway --socket admin.sock user reset-factor tech-1@vendor-a --totp-file seed.txt
  gatehouse-gateway --socket admin.sock user reset-factor tech-1@vendor-a --remove-only

Be sure that it is that person who asks: whoever gets the new factor needs only their key file besides.";

const SESSIONS_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway --socket admin.sock sessions list
  gatehouse-gateway --socket admin.sock sessions kill 8f0e3c2b9a7d4e6f8f0e3c2b9a7d4e6f";

const POLICY_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway policy check --policies policies
  gatehouse-gateway policy explain --policies policies tech-1@vendor-a press-line/plc7 'modbus:write:holding[150]' --value 731
  gatehouse-gateway policy test --policies policies
  gatehouse-gateway policy diff policies changed-policies
  gatehouse-gateway --socket admin.sock policy apply
  gatehouse-gateway policy actions";

const ACTIONS_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway policy actions
  gatehouse-gateway policy actions --json";

const CHECK_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway policy check --policies policies --json
  gatehouse-gateway policy check --policies policies --deny-warnings
  gatehouse-gateway --socket admin.sock policy check --policies policies

Exit codes: 0 valid, 1 valid with warnings that --deny-warnings denies, 4 usage or I/O, 5 invalid.";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway policy explain --policies policies tech-1@vendor-a press-line/plc7 'modbus:write:holding[150]' --value 731
  gatehouse-gateway policy explain --policies policies tech-1@vendor-a press-line/plc7 'modbus:write:tag[pump_setpoint]' \
--at 2026-06-02T23:00:00+02:00 --value 7.25 --json

Exit codes: 0 allowed, 1 denied or in need of somebody's consent, 4 not a question, 5 policy invalid.";

const SEAL_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway policy seal --policies policies
  gatehouse-gateway keygen --out policy.key
  gatehouse-gateway policy seal --policies policies --sign policy.key

A gateway with `[policy] require_manifest = true` refuses a folder without a manifest that fits, one with
`[policy] manifest_key = \"policy.pub\"` a folder that this key did not sign.";

const BACKUP_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway --socket admin.sock backup --to gateway.backup --recipient age1...
  gatehouse-gateway --socket admin.sock backup --to gateway.backup --recipient recovery.pub --recipient second.pub

Whoever opens it has every secret of the gateway, its signing key and everybody's second factor among them. Recordings
and the site log are not in it: copy their folders as they are, nothing in them is ever changed.";

const RESTORE_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway restore --from gateway.backup --identity recovery.age --config /etc/gatehouse/gateway.toml
  gatehouse-gateway restore --from gateway.backup --identity recovery.age --config gateway.toml --key signing.pub

Run it as the user whom the gateway runs as. Nothing is overwritten; if it breaks off, run it again. Codes that could
have been used before the restore are refused, so people wait up to a minute. Who was disabled or lost a factor since the
backup is in it as before: do that again.";

const CLOCK_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway --socket admin.sock clock status
  gatehouse-gateway --socket admin.sock clock accept";

const IMPORT_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway --socket admin.sock user import --cert tech-1@vendor-a.pem tech-1@vendor-a
  gatehouse-gateway --socket admin.sock user import --cert new.pem --totp-file seed.txt tech-2@vendor-b
  gatehouse-gateway --socket admin.sock user import --fingerprint 5f70...c1 tech-2@vendor-b

A key's fingerprint is shown by
  openssl x509 -in FILE -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum";

const INVITE_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway --socket admin.sock user invite tech-1@vendor-a
  gatehouse-gateway --socket admin.sock user invite tech-1@vendor-a --expires 2h --token-file token.txt
  gatehouse-gateway --socket admin.sock user invite tech-1@vendor-a --withdraw

A person who is known already gets one more key and shows the second factor that they have. A new invitation ends an
older one of the same person.";

const CA_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway --socket admin.sock ca status
  gatehouse-gateway --socket admin.sock ca list --json
  gatehouse-gateway --socket admin.sock ca revoke 5f0e3c2b9a7d4e6f8f0e3c2b9a7d4e6f
  gatehouse-gateway --socket admin.sock ca rotate
  gatehouse-gateway --socket admin.sock ca export-crl --out crl.pem";

/// The plant's side of Gatehouse: lets technicians through to exactly what
/// the policy allows, and records it.
#[derive(Debug, Parser)]
#[command(name = "gatehouse-gateway", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) connection: Connection,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// How a running gateway is spoken to.
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// The running gateway's admin socket, as `[admin] socket` names it
    #[arg(long, global = true, value_name = "SOCKET", env = "GATEHOUSE_SOCKET")]
    socket: Option<PathBuf>,
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the gateway until SIGTERM or SIGINT
    #[command(after_help = "Example:\n  gatehouse-gateway run --config gateway.toml")]
    Run {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check the configuration and all that it names; bind and change nothing
    #[command(after_help = "Example:\n  gatehouse-gateway check --config gateway.toml --json")]
    Check {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Make a key that signs recordings and the site log, or a policy's manifest
    #[command(after_help = KEYGEN_EXAMPLES)]
    Keygen {
        /// The new file of mode 0600; the public half, which checks what it
        /// signed, is written beside it, with the ending `pub`
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Persons and their keys
    #[command(subcommand, after_help = USER_EXAMPLES)]
    User(UserCommand),
    /// Running sessions
    #[command(subcommand, after_help = SESSIONS_EXAMPLES)]
    Sessions(SessionsCommand),
    /// The policy: check, explain, compare, try, apply
    #[command(subcommand, after_help = POLICY_EXAMPLES)]
    Policy(PolicyCommand),
    /// The gateway's own certificate authority
    #[command(subcommand, after_help = CA_EXAMPLES)]
    Ca(CaCommand),
    /// Write all that makes this gateway into one encrypted file: configuration,
    /// keys, applied policy, state; not its recordings and site log
    #[command(after_help = BACKUP_EXAMPLES)]
    Backup {
        /// The file, which must not be there yet
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// Who can open it: an age recipient (age1...), or a file of them
        #[arg(long, value_name = "AGE", required = true)]
        recipient: Vec<String>,
    },
    /// Put a backup back on a host that has none of it, while no gateway runs
    #[command(after_help = RESTORE_EXAMPLES)]
    Restore(RestoreArguments),
    /// The clock that sign-ins rely on
    #[command(subcommand, after_help = CLOCK_EXAMPLES)]
    Clock(ClockCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Map a certificate's key to a person, for ever; a new person gets a
    /// second factor, shown this once
    #[command(after_help = IMPORT_EXAMPLES)]
    Import {
        #[command(flatten)]
        key: ImportedKeyArguments,
        /// Write the second factor's otpauth address to a new file of mode
        /// 0600 instead of showing it
        #[arg(long, value_name = "FILE")]
        totp_file: Option<PathBuf>,
        /// The permanent handle, such as tech-1@vendor-a
        handle: String,
    },
    /// Make a one-time token with which a person enrols: certificate and second
    /// factor
    #[command(after_help = INVITE_EXAMPLES)]
    Invite(InviteArguments),
    /// Invitations that are open
    Invitations,
    /// Everybody
    #[command(after_help = "Example:\n  gatehouse-gateway --socket admin.sock user list --json")]
    List,
    /// One person with factor, keys and lock
    #[command(after_help = "Example:\n  gatehouse-gateway --socket admin.sock user show tech-1@vendor-a")]
    Show {
        /// The person's handle
        handle: String,
    },
    /// Refuse a person from now on and end their sessions at once
    #[command(after_help = "Example:\n  gatehouse-gateway --socket admin.sock user disable tech-1@vendor-a")]
    Disable {
        /// The person's handle
        handle: String,
    },
    /// Let a disabled person sign in again
    #[command(after_help = "Example:\n  gatehouse-gateway --socket admin.sock user enable tech-1@vendor-a")]
    Enable {
        /// The person's handle
        handle: String,
    },
    /// Forget failed codes and the lock they brought
    #[command(after_help = "Example:\n  gatehouse-gateway --socket admin.sock user unlock tech-1@vendor-a")]
    Unlock {
        /// The person's handle
        handle: String,
    },
    /// Remove a person's second factor, end what it had opened, and show a new
    /// one, this once
    #[command(after_help = RESET_EXAMPLES)]
    ResetFactor {
        /// Write the new factor's otpauth address to a new file of mode 0600
        /// instead of showing it
        #[arg(long, value_name = "FILE", conflicts_with = "remove_only")]
        totp_file: Option<PathBuf>,
        /// Give no new one: the person has to be invited anew
        #[arg(long)]
        remove_only: bool,
        /// The person's handle
        handle: String,
    },
}

/// Whose key `user import` maps: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct ImportedKeyArguments {
    /// The person's certificate, PEM; it must be one that gets in now
    #[arg(long, value_name = "FILE")]
    pub(super) cert: Option<PathBuf>,
    /// The key alone, where the certificate is not at hand: SHA-256 of its
    /// SubjectPublicKeyInfo, 64 hex digits
    #[arg(long, value_name = "HEX")]
    pub(super) fingerprint: Option<KeyHash>,
}

/// `user invite`
#[derive(Debug, Args)]
pub(super) struct InviteArguments {
    /// The permanent handle, such as tech-1@vendor-a; new or known
    pub(super) handle: String,
    /// How long the token is good: a minute to 30 days
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = stands)]
    pub(super) expires: Duration,
    /// Write the token to a new file of mode 0600 instead of showing it
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// End the person's open invitation instead
    #[arg(long, conflicts_with_all = ["expires", "token_file"])]
    pub(super) withdraw: bool,
}

fn stands(text: &str) -> Result<Duration, String> {
    let range = SignedDuration::from_mins(1)..=SignedDuration::from_hours(30 * 24);
    span(text, range).and_then(|span| Duration::try_from(span).map_err(|error| error.to_string()))
}

#[derive(Debug, Subcommand)]
pub(super) enum CaCommand {
    /// The authorities, their revocation lists, how many certificates are good
    Status,
    /// Certificates that it issued and that have not run out
    List,
    /// Revoke a certificate at once; sessions with it end
    Revoke {
        /// The serial number, as listed
        serial: String,
    },
    /// Make a new authority; the old one stays trusted until its certificates
    /// have run out
    Rotate,
    /// The revocation lists in use, PEM
    ExportCrl {
        /// Write them to this file instead
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum SessionsCommand {
    /// All that run now
    List,
    /// End one at once
    Kill {
        /// The session's id, as listed
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Check a folder whole, and tell what is valid and yet probably not meant
    ///
    /// With --socket the running gateway is asked who has a certificate, so
    /// that people without one are told about; a folder alone can't know.
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        #[command(flatten)]
        folder: Folder,
        /// End with exit code 1 where there are warnings
        #[arg(long)]
        deny_warnings: bool,
    },
    /// Whether a person may do something, why, and what would have to be true
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArguments),
    /// Every decision: each role on each target, class by class
    #[command(
        after_help = "Example:\n  gatehouse-gateway policy table --policies policies > policies/decisions.golden"
    )]
    Table(Folder),
    /// Run tests.toml, and compare the decisions with decisions.golden
    #[command(after_help = "Example:\n  gatehouse-gateway policy test --policies policies\n\n\
        Exit codes: 0 all as expected, 1 something differs, 5 invalid.")]
    Test(Folder),
    /// Who gains and who loses what, by what the rules mean
    #[command(after_help = "Example:\n  gatehouse-gateway policy diff policies changed-policies\n\n\
        Exit codes: 0 nobody may do more than before, 1 somebody may, 5 invalid.")]
    Diff {
        /// The folder as it is
        #[arg(value_name = "OLD")]
        old: PathBuf,
        /// The folder as it would be
        #[arg(value_name = "NEW")]
        new: PathBuf,
    },
    /// Write the folder's MANIFEST of SHA-256 sums, signed if a key is given
    #[command(after_help = SEAL_EXAMPLES)]
    Seal {
        #[command(flatten)]
        folder: Folder,
        /// An Ed25519 private key, PEM PKCS#8, readable by its owner alone
        #[arg(long, value_name = "KEY")]
        sign: Option<PathBuf>,
    },
    /// Bring the policy folder's content into force, once its effect was shown
    #[command(after_help = "Examples:\n  gatehouse-gateway --socket admin.sock policy apply\n  \
        gatehouse-gateway --socket admin.sock policy apply --yes --json")]
    Apply {
        /// Don't ask; for automation
        #[arg(long)]
        yes: bool,
    },
    /// What is in force, and whether the folder differs
    Status,
    /// Every action that a rule can have, with what it means; needs no
    /// running gateway
    #[command(after_help = ACTIONS_EXAMPLES)]
    Actions,
}

/// `restore`
#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    /// The backup
    #[arg(long, value_name = "FILE")]
    pub(super) from: PathBuf,
    /// The age identity file that opens it
    #[arg(long, value_name = "AGE")]
    pub(super) identity: PathBuf,
    /// The configuration: where it is there, it says where the files belong;
    /// otherwise the backup's own takes this place
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Accept only a backup of the gateway with this public signing key
    #[arg(long, value_name = "PUB")]
    pub(super) key: Option<PathBuf>,
}

/// Which policy.
#[derive(Debug, Args)]
pub(super) struct Folder {
    /// The policy folder
    #[arg(long, value_name = "DIR")]
    pub(super) policies: PathBuf,
}

/// `policy explain`
#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    #[command(flatten)]
    pub(super) folder: Folder,
    /// The person's handle
    pub(super) person: String,
    /// The target's id
    pub(super) target: String,
    /// An action with protocol and class, such as modbus:write:holding[100-199]
    pub(super) action: String,
    /// When, with zone; now if left out
    #[arg(long, value_name = "TIME")]
    pub(super) at: Option<String>,
    /// The value written; unknown if left out
    #[arg(long, value_name = "V", allow_hyphen_values = true)]
    pub(super) value: Option<String>,
    /// The technician's address; unknown if left out
    #[arg(long, value_name = "ADDRESS")]
    pub(super) from: Option<std::net::IpAddr>,
    /// How the person signed in
    #[arg(long, value_enum, default_value = "totp")]
    pub(super) mfa: Factor,
}

/// The second factor of a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Factor {
    /// A code
    Totp,
    /// A security key
    Webauthn,
}

#[derive(Debug, Subcommand)]
pub(super) enum ClockCommand {
    /// Whether sign-ins may rely on the clock
    Status,
    /// Take the present time as true after a step
    Accept,
}

impl Connection {
    pub(super) fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Text }
    }

    /// Whether a running gateway was named.
    pub(super) fn is_named(&self) -> bool {
        self.socket.is_some()
    }

    pub(super) fn client(&self) -> Result<Client, Failure> {
        let missing =
            || Failure::new(Exit::Usage, "name the running gateway's admin socket with --socket SOCKET");
        self.socket.as_deref().map(Client::new).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn socket_and_json_stand_before_or_after_the_command() {
        for line in [
            ["gatehouse-gateway", "--socket", "s", "--json", "user", "list"],
            ["gatehouse-gateway", "user", "list", "--socket", "s", "--json"],
        ] {
            let arguments = Arguments::try_parse_from(line).unwrap();
            assert_eq!(arguments.connection.form(), Form::Json);
            assert!(arguments.connection.client().is_ok());
        }
    }
}
