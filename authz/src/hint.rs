//! "Did you mean": the nearest known name.

/// The nearest of `known` to `text`, if it is near enough to be a slip.
pub(crate) fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // A third of the letters may differ, at most three.
    let allowed = (text.len() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(text, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| format!("did you mean {name}?"))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let known = ["press-service", "packaging-service", "shift"];
        assert_eq!(nearest("pres-service", known).unwrap(), "did you mean press-service?");
        assert_eq!(nearest("substation", known), None);
        assert_eq!(nearest("", known), None);
    }
}
