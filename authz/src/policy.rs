//! A checked policy folder.
//!
//! Loading makes a new value and changes nothing: whoever holds an older
//! policy keeps it whole, whatever is wrong with the newer one.

use crate::conditions::Conditions;
use crate::enforcer::Judge;
use crate::files::{Files, PolicyHash};
use crate::inventory::{self, Inventory};
use crate::model;
use crate::problem::{Collector, Problem, Problems, Warning};
use crate::rows;
use crate::rules::Rules;
use crate::warnings;
use std::path::Path;

/// A policy that passed every check.
#[derive(Debug)]
pub struct Policy {
    files: Files,
    hash: PolicyHash,
    inventory: Inventory,
    pub(crate) conditions: Conditions,
    pub(crate) rules: Rules,
    /// Casbin over all rows; asked who belongs where.
    pub(crate) judge: Judge,
    warnings: Vec<Warning>,
}

impl Policy {
    /// The text of the one known `model.conf`.
    pub const MODEL: &'static str = model::SHIPPED;

    /// Reads and checks a folder.
    ///
    /// # Errors
    /// Everything that is wrong with it, by path, line and column.
    pub fn load(folder: &Path) -> Result<Self, Problems> {
        let files = Files::read(folder)?;
        Self::from_files(&files).map_err(|problems| problems.in_folder(folder))
    }

    /// Checks files that were read before; the same for live use and tests.
    ///
    /// # Errors
    /// Everything that is wrong with them, by name, line and column.
    pub fn from_files(files: &Files) -> Result<Self, Problems> {
        let mut problems = Collector::default();
        problems.take(model::check(files));
        for file in [rows::FILE, inventory::FILE] {
            // A file that is not there yet must not look like an empty one.
            if files.get(file).is_none() {
                problems.push(Problem::of_file(file, "is missing"));
            }
        }
        let conditions = Conditions::read(files, &mut problems);
        let mut inventory = Inventory::read(files, &mut problems);
        let bytes = files.get(rows::FILE).unwrap_or_default();
        let rules = Rules::read(bytes, &mut inventory, &conditions, &mut problems);
        let (rules, inventory, conditions) = problems.finish((rules, inventory, conditions))?;
        let judge = judge(&rules).map_err(|error| Problem::of_file(rows::FILE, error))?;
        let warnings = warnings::find(files, &rules, &inventory);
        Ok(Self { hash: files.hash(), files: files.clone(), inventory, conditions, rules, judge, warnings })
    }

    /// SHA-256 over the folder.
    pub fn hash(&self) -> PolicyHash {
        self.hash
    }

    /// The folder's bytes.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The targets.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// How many rules and how many links `policy.csv` has.
    pub fn counts(&self) -> (usize, usize) {
        let links = self.rules.people.iter().chain(self.rules.targets.iter());
        (self.rules.all.len(), links.filter(|link| link.line > 0).count())
    }

    /// What is valid and yet probably not meant, as far as it is cheap to
    /// find; [`Policy::review`] finds the rest.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

fn judge(rules: &Rules) -> Result<Judge, String> {
    let people = rules.people.iter().map(|link| (link.member.as_str(), link.group.as_str()));
    let targets = rules.targets.iter().map(|link| (link.member.as_str(), link.group.as_str()));
    Judge::new(rules.all.iter().map(|rule| &rule.row), people, targets).map_err(|error| error.to_string())
}
