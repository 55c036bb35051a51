//! The commit of a policy folder that is a git checkout, read without git.
//!
//! Only `HEAD`, the branch that it names and `packed-refs` are read, each
//! bounded and plain; nothing is run, and no configuration of the repository
//! is looked at. Whether the files differ from the commit is not known this
//! way and not said.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// So many folders upwards a repository is looked for.
const UPWARDS: usize = 16;

/// The largest `HEAD` or reference, in bytes.
const LONGEST_REFERENCE: u64 = 4096;

/// The largest `packed-refs`, in bytes.
const LONGEST_PACKED: u64 = 4 * 1024 * 1024;

/// The commit that is checked out where the folder lies; `None` where there
/// is none or it can't be told.
pub(super) fn commit(folder: &Path) -> Option<String> {
    let folder = std::fs::canonicalize(folder).ok()?;
    let repository = folder.ancestors().take(UPWARDS).find_map(repository)?;
    let head = read(&repository.join("HEAD"), LONGEST_REFERENCE)?;
    let Some(reference) = head.trim_end().strip_prefix("ref: ") else {
        return object(&head);
    };
    if !is_reference(reference) {
        return None;
    }
    // A work tree of its own shares the branches of the main repository.
    let common = read(&repository.join("commondir"), LONGEST_REFERENCE)
        .map_or_else(|| repository.clone(), |path| repository.join(path.trim_end()));
    let loose =
        [&repository, &common].into_iter().find_map(|place| read(&place.join(reference), LONGEST_REFERENCE));
    match loose {
        Some(text) => object(&text),
        None => packed(&read(&common.join("packed-refs"), LONGEST_PACKED)?, reference),
    }
}

/// The repository of a work tree's top folder.
fn repository(folder: &Path) -> Option<PathBuf> {
    let git = folder.join(".git");
    let kind = std::fs::symlink_metadata(&git).ok()?;
    if kind.is_dir() {
        return Some(git);
    }
    let text = read(&git, LONGEST_REFERENCE)?;
    Some(folder.join(text.trim_end().strip_prefix("gitdir: ")?))
}

/// A bounded plain file, never one that a link points to.
fn read(path: &Path, longest: u64) -> Option<String> {
    // Asked before opening: opening a pipe would wait for its writer.
    if !std::fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    File::open(path).ok()?.take(longest.saturating_add(1)).read_to_string(&mut text).ok()?;
    (u64::try_from(text.len()).ok()? <= longest).then_some(text)
}

/// A name below `refs/` that leads nowhere else.
fn is_reference(name: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\\');
    name.starts_with("refs/") && name.split('/').all(plain) && !name.contains(char::is_control)
}

/// An object's id alone on its line: SHA-1 or SHA-256 in hex.
fn object(text: &str) -> Option<String> {
    let id = text.trim_end();
    let hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex && matches!(id.len(), 40 | 64)).then(|| id.to_ascii_lowercase())
}

fn packed(text: &str, reference: &str) -> Option<String> {
    let mut lines = text.lines().filter(|line| !line.starts_with(['#', '^']));
    lines
        .find_map(|line| line.split_once(' ').filter(|(_, name)| *name == reference))
        .and_then(|(id, _)| object(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef01234567";
    const TWO: &str = "89abcdef0123456789abcdef0123456789abcdef";

    fn checkout() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(".git/refs/heads")).unwrap();
        std::fs::create_dir_all(folder.path().join("plant/policies")).unwrap();
        write(&folder, ".git/HEAD", "ref: refs/heads/main\n");
        folder
    }

    fn write(folder: &tempfile::TempDir, name: &str, text: &str) {
        std::fs::write(folder.path().join(name), text).unwrap();
    }

    #[test]
    fn a_branch_loose_or_packed_and_a_bare_commit_are_found() {
        let folder = checkout();
        let policies = folder.path().join("plant/policies");
        assert_eq!(commit(&policies), None, "no commit yet");
        write(
            &folder,
            ".git/packed-refs",
            &format!("# pack-refs\n{TWO} refs/heads/other\n{ONE} refs/heads/main\n^{TWO}\n"),
        );
        assert_eq!(commit(&policies).as_deref(), Some(ONE));
        write(&folder, ".git/refs/heads/main", &format!("{TWO}\n"));
        assert_eq!(commit(&policies).as_deref(), Some(TWO), "a loose one is newer");
        write(&folder, ".git/HEAD", &format!("{ONE}\n"));
        assert_eq!(commit(folder.path()).as_deref(), Some(ONE));
    }

    #[test]
    fn a_work_tree_of_its_own_is_followed() {
        let folder = checkout();
        std::fs::create_dir_all(folder.path().join(".git/worktrees/w")).unwrap();
        std::fs::create_dir(folder.path().join("w")).unwrap();
        write(&folder, ".git/refs/heads/side", ONE);
        write(&folder, ".git/worktrees/w/HEAD", "ref: refs/heads/side\n");
        write(&folder, ".git/worktrees/w/commondir", "../..\n");
        write(&folder, "w/.git", "gitdir: ../.git/worktrees/w\n");
        assert_eq!(commit(&folder.path().join("w")).as_deref(), Some(ONE));
    }

    #[test]
    fn nothing_hostile_is_followed_or_shown() {
        let folder = checkout();
        write(&folder, "secret", &format!("{ONE}\n"));
        for head in [
            "ref: refs/heads/../../../secret\n",
            "ref: ../secret\n",
            "ref: /etc/passwd\n",
            "ref: refs//heads\n",
            "not a head\n",
            "",
            "ref: refs/heads/a\u{1b}[2J\n",
        ] {
            write(&folder, ".git/HEAD", head);
            assert_eq!(commit(folder.path()), None, "{head:?}");
        }
        write(&folder, ".git/HEAD", "ref: refs/heads/main\n");
        write(&folder, ".git/refs/heads/main", "password = 1\n");
        assert_eq!(commit(folder.path()), None, "only ids are shown");
        std::fs::remove_file(folder.path().join(".git/refs/heads/main")).unwrap();
        let main = folder.path().join(".git/refs/heads/main");
        for elsewhere in [Path::new("/proc/self/environ"), &folder.path().join("secret")] {
            std::os::unix::fs::symlink(elsewhere, &main).unwrap();
            assert_eq!(commit(folder.path()), None, "{}", elsewhere.display());
            std::fs::remove_file(&main).unwrap();
        }
        write(&folder, ".git/HEAD", &"x".repeat(100_000));
        assert_eq!(commit(folder.path()), None);
    }
}
