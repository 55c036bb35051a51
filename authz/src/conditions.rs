//! `conditions.toml`: the windows, groups and further roles that rules name.
//!
//! ```toml
//! roles = ["drives"]              # roles that nobody has at the moment
//!
//! [windows.tue-night]
//! time_zone = "Europe/Berlin"
//! weekly = ["tue 22:00 - wed 04:00"]
//! dated = ["2026-08-03 06:00 - 2026-08-07 18:00"]
//!
//! [groups.shift-lead]
//! members = ["operator-1"]
//! ```

use crate::document::Document;
use crate::files::Files;
use crate::names::{GroupName, Handle, RoleName, WindowName};
use crate::problem::{Collector, Problem};
use crate::window::Window;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;

/// The name under which positions are told.
pub(crate) const FILE: &str = "conditions.toml";

/// What `conditions.toml` defines, checked.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) windows: BTreeMap<WindowName, Window>,
    pub(crate) groups: BTreeMap<GroupName, BTreeSet<Handle>>,
    pub(crate) roles: BTreeSet<RoleName>,
    lines: BTreeMap<WindowName, u32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    windows: BTreeMap<Spanned<String>, WindowEntry>,
    groups: BTreeMap<Spanned<String>, GroupEntry>,
    roles: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowEntry {
    time_zone: Spanned<String>,
    #[serde(default)]
    weekly: Vec<Spanned<String>>,
    #[serde(default)]
    dated: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupEntry {
    members: Vec<Spanned<String>>,
}

/// The most definitions of one kind, and members of one group.
const MOST: usize = 10_000;

impl Conditions {
    /// Reads and checks the file; a folder without it defines nothing.
    pub(crate) fn read(files: &Files, problems: &mut Collector) -> Self {
        let document = Document::of(files, FILE);
        let Some(document) = problems.take(document) else { return Self::default() };
        let Some(file) = problems.take(document.parse::<File>()) else { return Self::default() };
        let members = file.groups.values().map(|group| group.members.len()).max().unwrap_or_default();
        if [file.windows.len(), file.groups.len(), file.roles.len(), members]
            .iter()
            .any(|count| *count > MOST)
        {
            problems.push(Problem::of_file(FILE, format!("more than {MOST} entries of one kind")));
            return Self::default();
        }
        let mut conditions = Self::default();
        for (name, entry) in file.windows {
            let line = document.problem(&name.span(), "").line;
            let Some(name) = problems.take(parse(&document, &name, WindowName::parse)) else { continue };
            let window = Window::new(&entry.time_zone, &entry.weekly, &entry.dated);
            let window = window.map_err(|(place, error)| {
                document.problem(&place.unwrap_or_else(|| entry.time_zone.span()), error)
            });
            conditions.lines.extend(line.map(|line| (name.clone(), line)));
            conditions.windows.extend(problems.take(window).map(|window| (name, window)));
        }
        for (name, entry) in file.groups {
            let name = problems.take(parse(&document, &name, GroupName::parse));
            let members = entry.members.iter();
            let members =
                members.filter_map(|text| problems.take(parse(&document, text, Handle::parse))).collect();
            conditions.groups.extend(name.map(|name| (name, members)));
        }
        for text in &file.roles {
            conditions.roles.extend(problems.take(parse(&document, text, RoleName::parse)));
        }
        conditions
    }
}

impl Conditions {
    /// Where a window is defined.
    pub(crate) fn line(&self, window: &WindowName) -> Option<u32> {
        self.lines.get(window).copied()
    }
}

fn parse<T, E: std::fmt::Display>(
    document: &Document<'_>,
    text: &Spanned<String>,
    parse: fn(&str) -> Result<T, E>,
) -> Result<T, Problem> {
    parse(text.get_ref()).map_err(|error| document.problem(&text.span(), error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Conditions, String> {
        let files = Files::from_contents([(FILE, text.as_bytes())]).unwrap();
        let mut problems = Collector::default();
        let conditions = Conditions::read(&files, &mut problems);
        problems.finish(conditions).map_err(|problems| problems.to_string())
    }

    #[test]
    fn all_kinds_are_read() {
        let conditions = read(
            "roles = [\"drives\"]\n[windows.night]\ntime_zone = \"UTC\"\nweekly = [\"mon 22:00 - tue 04:00\"]\n\
             [groups.shift-lead]\nmembers = [\"operator-1\"]\n",
        )
        .unwrap();
        assert_eq!((conditions.windows.len(), conditions.groups.len(), conditions.roles.len()), (1, 1, 1));
        assert!(read("").unwrap().windows.is_empty());
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let told = read(
            "roles = [\"Drives\"]\n[windows.night]\ntime_zone = \"Mars/Olympus\"\n\
             [groups.shift-lead]\nmembers = [\"operator 1\"]\n",
        )
        .unwrap_err();
        for part in
            ["conditions.toml:1:10: 'D'", "unknown time zone \"Mars/Olympus\"", "conditions.toml:5:12: ' '"]
        {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert!(read("[window.night]\n").unwrap_err().contains("unknown field"));
        assert!(read("[groups.x]\nmembers = []\nmember = []\n").unwrap_err().contains("unknown field"));
    }
}
