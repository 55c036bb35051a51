//! Which second factor is taken: what the gateway offers, and what the technician wants and this machine can do.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use wire::enrolment::FactorChoice;

use crate::Problem;
use crate::passkey::Browser;
use crate::profile::UsualFactor;
use crate::screen::Screen;

/// What the technician wants as second factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taking {
    /// A person is asked where there is a choice.
    Person(PasskeyWish),
    /// A passkey and nothing else.
    Passkey(PasskeyWish),
    /// Codes: a new seed is written to this new file, a known one is read from it. For automation.
    SeedFile(PathBuf),
}

/// How a passkey is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasskeyWish {
    /// How the page gets into a browser.
    pub browser: Browser,
    /// What a new one is called.
    pub name: String,
}

/// The one way that is gone.
#[derive(Debug)]
pub(super) enum Way<'a> {
    NewTotp(Codes<'a>),
    KnownTotp(Codes<'a>),
    NewPasskey(&'a PasskeyWish),
    KnownPasskey(&'a PasskeyWish),
}

/// Where codes come from and where a new seed goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Codes<'a> {
    /// A person scans and types.
    Person,
    /// This file.
    SeedFile(&'a PathBuf),
}

impl Way<'_> {
    /// As the gateway is told.
    pub(super) const fn choice(&self) -> FactorChoice {
        match self {
            Self::NewTotp(_) => FactorChoice::NewTotp,
            Self::KnownTotp(_) => FactorChoice::KnownTotp,
            Self::NewPasskey(_) => FactorChoice::NewPasskey,
            Self::KnownPasskey(_) => FactorChoice::KnownPasskey,
        }
    }

    /// What is used from now on.
    pub(super) const fn usual(&self) -> UsualFactor {
        match self {
            Self::NewTotp(_) | Self::KnownTotp(_) => UsualFactor::Ask,
            Self::NewPasskey(_) | Self::KnownPasskey(_) => UsualFactor::Passkey,
        }
    }
}

impl Taking {
    /// Finds out early what could fail late.
    pub(super) fn prepare(&self) -> Result<(), Problem> {
        match self {
            Self::Person(_) | Self::Passkey(_) => Ok(()),
            Self::SeedFile(file) => {
                let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
                let folder = folder.unwrap_or_else(|| std::path::Path::new("."));
                std::fs::metadata(folder).map(drop).map_err(|source| Problem::of_file(folder, source))
            }
        }
    }

    /// The way among those that the gateway offers; a person is asked if there are two.
    pub(super) async fn way(
        &self,
        offered: &[FactorChoice],
        person: &str,
        screen: &mut Screen,
    ) -> Result<Way<'_>, Problem> {
        match self {
            Self::SeedFile(file) => by_codes(offered, Codes::SeedFile(file)).ok_or_else(|| no_code(offered)),
            Self::Passkey(wish) => by_passkey(offered, wish).ok_or_else(|| no_passkey(offered)),
            Self::Person(wish) => match (by_passkey(offered, wish), by_codes(offered, Codes::Person)) {
                (Some(passkey), Some(codes)) => {
                    Ok(if asked(person, screen).await? == Kind::Passkey { passkey } else { codes })
                }
                (Some(way), None) | (None, Some(way)) => Ok(way),
                (None, None) => Err(no_way()),
            },
        }
    }
}

fn by_codes<'a>(offered: &[FactorChoice], codes: Codes<'a>) -> Option<Way<'a>> {
    offered.iter().find_map(|choice| match choice {
        FactorChoice::NewTotp => Some(Way::NewTotp(codes)),
        FactorChoice::KnownTotp => Some(Way::KnownTotp(codes)),
        FactorChoice::NewPasskey | FactorChoice::KnownPasskey => None,
    })
}

fn by_passkey<'a>(offered: &[FactorChoice], wish: &'a PasskeyWish) -> Option<Way<'a>> {
    offered.iter().find_map(|choice| match choice {
        FactorChoice::NewPasskey => Some(Way::NewPasskey(wish)),
        FactorChoice::KnownPasskey => Some(Way::KnownPasskey(wish)),
        FactorChoice::NewTotp | FactorChoice::KnownTotp => None,
    })
}

fn no_code(offered: &[FactorChoice]) -> Problem {
    if offered.contains(&FactorChoice::KnownPasskey) {
        let text = "you have a passkey at this gateway, and a code does not stand in for it: use --passkey instead of \
                    --totp-file";
        return Problem::Refused(text.to_owned());
    }
    no_way()
}

fn no_passkey(offered: &[FactorChoice]) -> Problem {
    if offered.contains(&FactorChoice::KnownTotp) {
        let text = "you have codes and no passkey at this gateway: enrol without --passkey, by a code, and add a \
                    passkey then with `gatehouse factor add`";
        return Problem::Refused(text.to_owned());
    }
    if offered.contains(&FactorChoice::NewTotp) {
        let text = "this gateway is not set up for passkeys: enrol without --passkey";
        return Problem::Refused(text.to_owned());
    }
    no_way()
}

fn no_way() -> Problem {
    Problem::Refused("the gateway asks for a second factor that this program cannot give".to_owned())
}

/// A kind of second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Passkey,
    Codes,
}

const QUESTION: &str = "\
  1  a passkey: security key, phone or this computer, through your browser.
     The stronger one: it signs for this gateway alone, so nobody can talk it out of you
  2  the codes of an authenticator app.
     They work without a browser; some work may not be open to them
which one, 1 or 2?";

/// Asks at the terminal which of two it is to be.
async fn asked(person: &str, screen: &mut Screen) -> Result<Kind, Problem> {
    if !std::io::stdin().is_terminal() {
        let text = "no terminal to ask for the kind of second factor: use --passkey or --totp-file";
        return Err(Problem::Usage(text.to_owned()));
    }
    screen.remark(&format!("two kinds of second factor are open to you, {person}:\n{QUESTION}"));
    loop {
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map(|read| (read > 0).then_some(line))
        });
        let failed = |source| Problem::Io { what: "the prompt".to_owned(), source };
        let line = read.await.map_err(|error| failed(error.into()))?.map_err(failed)?;
        let line = line.ok_or_else(|| Problem::Usage("no second factor was chosen".to_owned()))?;
        match kind(&line) {
            Some(kind) => return Ok(kind),
            None => screen.remark("type 1 for a passkey or 2 for codes"),
        }
    }
}

/// What was typed.
fn kind(line: &str) -> Option<Kind> {
    match line.trim() {
        "1" => Some(Kind::Passkey),
        "2" => Some(Kind::Codes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [FactorChoice; 4] = [
        FactorChoice::NewPasskey,
        FactorChoice::NewTotp,
        FactorChoice::KnownTotp,
        FactorChoice::KnownPasskey,
    ];

    fn screen() -> Screen {
        Screen::new(Box::new(std::io::sink()), Box::new(std::io::sink()), crate::screen::Kind::Lines)
    }

    fn wish() -> PasskeyWish {
        PasskeyWish { browser: Browser::Print, name: "laptop".to_owned() }
    }

    fn chosen(taking: &Taking, offered: &[FactorChoice]) -> Result<FactorChoice, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let way = runtime.block_on(taking.way(offered, "operator-1", &mut screen()));
        way.map(|way| way.choice()).map_err(|problem| problem.to_string())
    }

    #[test]
    fn the_one_that_is_wanted_is_taken_whatever_the_order() {
        let (codes, passkey) = (Taking::SeedFile("seed".into()), Taking::Passkey(wish()));
        let either = [FactorChoice::NewPasskey, FactorChoice::NewTotp];
        for offered in [either, [FactorChoice::NewTotp, FactorChoice::NewPasskey]] {
            assert_eq!(chosen(&codes, &offered), Ok(FactorChoice::NewTotp));
            assert_eq!(chosen(&passkey, &offered), Ok(FactorChoice::NewPasskey));
        }
        for one in ALL {
            assert_eq!(chosen(&Taking::Person(wish()), &[one]), Ok(one), "nothing to ask");
        }
    }

    #[test]
    fn what_is_not_offered_is_told_with_the_way_out() {
        let (codes, passkey) = (Taking::SeedFile("seed".into()), Taking::Passkey(wish()));
        let person = Taking::Person(wish());
        let told = |taking, offered: &[_]| chosen(taking, offered).unwrap_err();
        assert!(told(&codes, &[FactorChoice::KnownPasskey]).contains("use --passkey instead"));
        assert!(told(&passkey, &[FactorChoice::KnownTotp]).contains("`gatehouse factor add`"));
        assert!(told(&passkey, &[FactorChoice::NewTotp]).contains("not set up for passkeys"));
        for taking in [&codes, &passkey, &person] {
            assert!(told(taking, &[]).contains("cannot give"));
        }
    }

    #[test]
    fn an_answer_is_one_of_two() {
        assert_eq!(kind("1\n"), Some(Kind::Passkey));
        assert_eq!(kind(" 2 \r\n"), Some(Kind::Codes));
        for neither in ["", "\n", "12", "passkey", "1 2"] {
            assert_eq!(kind(neither), None, "{neither:?}");
        }
    }
}
