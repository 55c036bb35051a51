//! The model: its one known meaning, and whether a folder's is the same.

use crate::files::Files;
use crate::problem::Problem;

/// The name under which it is told.
pub(crate) const FILE: &str = "model.conf";

/// The shipped model, which is also what Casbin gets.
pub(crate) const SHIPPED: &str = include_str!("model.conf");

/// Refuses a folder whose model differs in more than comments and blanks. One
/// without a model says nothing else than the shipped one.
pub(crate) fn check(files: &Files) -> Result<(), Problem> {
    let Some(bytes) = files.get(FILE) else { return Ok(()) };
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::of_file(FILE, "not UTF-8"))?;
    let same = meaning(text).map(|(_, line)| line).eq(meaning(SHIPPED).map(|(_, line)| line));
    if same {
        return Ok(());
    }
    let stranger = meaning(text).find(|(_, line)| meaning(SHIPPED).all(|(_, ours)| ours != *line));
    let told = "has a meaning that this gateway does not know: only the shipped model can be judged";
    Err(Problem { line: stranger.map(|(number, _)| number), ..Problem::of_file(FILE, told) })
}

/// Numbered lines without comments and blanks. Blanks never count: no text of
/// the model has one within.
fn meaning(text: &str) -> impl Iterator<Item = (u32, String)> {
    let plain = (1_u32..).zip(text.lines()).map(|(number, line)| {
        let line = if line.trim_start().starts_with(';') { "" } else { line };
        let line = line.split('#').next().unwrap_or_default();
        (number, line.chars().filter(|character| !character.is_whitespace()).collect::<String>())
    });
    plain.filter(|(_, line)| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<(), String> {
        let files = Files::from_contents([(FILE, text.as_bytes())]).unwrap();
        check(&files).map_err(|problem| problem.to_string())
    }

    #[test]
    fn comments_and_blanks_make_no_difference() {
        assert_eq!(told(SHIPPED), Ok(()));
        let spread = SHIPPED.replace(", ", " ,  ").replace('\n', "  # note\r\n\n; more\n");
        assert_eq!(told(&spread), Ok(()));
    }

    #[test]
    fn any_other_meaning_is_refused_with_its_line() {
        for (from, to, place) in [
            ("some(where (p.eft == allow)) && !", "!", "model.conf:15: "),
            ("covers(r.atom, p.act)", "keyMatch(r.atom, p.act)", "model.conf:18: "),
            ("&& holds(r.facts, p.cond, p.eft)", "", "model.conf:18: "),
            ("g2 = _, _\n", "", "model.conf: "),
        ] {
            let told = told(&SHIPPED.replace(from, to)).expect_err(from);
            assert!(told.starts_with(place), "{from}: {told}");
        }
        assert_eq!(check(&Files::default()), Ok(()));
    }
}
