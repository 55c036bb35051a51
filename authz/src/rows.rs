//! The reader of `policy.csv`: one rule a line, fields with their columns.
//!
//! Fields are separated by commas; a field may be quoted as in RFC 4180
//! section 2 (rules 5 to 7), but never over the end of a line, so that an
//! unclosed quote can't swallow the rules after it. A comment has a line of
//! its own; a `#` anywhere else is refused instead of becoming part of a
//! field. Gives text only: what a field means is no concern of this file.

use crate::problem::{Collector, Problem};

/// The name under which positions are told.
pub(crate) const FILE: &str = "policy.csv";

/// The longest line, in bytes.
const LONGEST: usize = 4096;

/// The most fields that are read of one line; no kind of rule has more.
const FIELDS: usize = 16;

/// One line that is neither empty nor a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) line: u32,
    pub(crate) fields: Vec<Field>,
}

/// One field without its quotes and outer blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) text: String,
    /// Where its text begins, from 1.
    pub(crate) column: u32,
}

/// Reads all rows; what can't be read is a problem, never skipped.
pub(crate) fn read(bytes: &[u8], problems: &mut Collector) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let number = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match read_line(number, line) {
            Ok(Some(row)) => rows.push(row),
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
    rows
}

fn read_line(number: u32, bytes: &[u8]) -> Result<Option<Row>, Problem> {
    let at = |column: usize, message: &str| Problem::at(FILE, number, column_of(column), message);
    if bytes.len() > LONGEST {
        return Err(at(LONGEST, "the line is longer than 4096 bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| at(error.valid_up_to(), "not UTF-8"))?;
    let start = text.trim_start_matches(is_blank);
    if start.is_empty() || start.starts_with('#') {
        return Ok(None);
    }
    if let Some(offset) = text.find(|character: char| !character.is_ascii()) {
        return Err(at(offset, "only ASCII may stand in a rule").with_hint(byte_order_mark(text)));
    }
    if let Some(offset) = text.find(|character: char| character.is_ascii_control() && character != '\t') {
        return Err(at(offset, "a control character can't stand in a rule"));
    }
    Line { number, text, at: 0 }.fields().map(|fields| Some(Row { line: number, fields }))
}

fn byte_order_mark(text: &str) -> Option<String> {
    text.starts_with('\u{feff}').then(|| "save the file without a byte order mark".to_owned())
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

fn column_of(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX).saturating_add(1)
}

/// A line of ASCII, so that offsets in bytes are columns.
struct Line<'a> {
    number: u32,
    text: &'a str,
    at: usize,
}

impl<'a> Line<'a> {
    fn fields(mut self) -> Result<Vec<Field>, Problem> {
        let mut fields = Vec::new();
        loop {
            if fields.len() == FIELDS {
                return Err(self.problem(self.at, "too many fields"));
            }
            fields.push(self.field()?);
            match self.peek() {
                Some(',') => self.at = self.at.saturating_add(1),
                None => return Ok(fields),
                Some(_) => return Err(self.problem(self.at, "expected a comma after the closing quote")),
            }
        }
    }

    fn field(&mut self) -> Result<Field, Problem> {
        self.skip_blanks();
        if self.peek() == Some('"') { self.quoted() } else { self.plain() }
    }

    fn plain(&mut self) -> Result<Field, Problem> {
        let start = self.at;
        let rest = self.rest();
        let text = rest.split_once(',').map_or(rest, |(field, _)| field);
        if let Some(offset) = text.find('#') {
            return Err(self
                .problem(start.saturating_add(offset), "# can't stand within a rule")
                .with_hint(Some("a comment needs a line of its own".to_owned())));
        }
        if let Some(offset) = text.find('"') {
            return Err(self.problem(start.saturating_add(offset), "a quote can only enclose a whole field"));
        }
        self.at = start.saturating_add(text.len());
        Ok(Field { text: text.trim_end_matches(is_blank).to_owned(), column: column_of(start) })
    }

    fn quoted(&mut self) -> Result<Field, Problem> {
        let start = self.at;
        self.at = self.at.saturating_add(1);
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let Some((before, after)) = rest.split_once('"') else {
                return Err(self.problem(start, "the quote is not closed on this line"));
            };
            text.push_str(before);
            self.at = self.at.saturating_add(before.len()).saturating_add(1);
            if !after.starts_with('"') {
                break;
            }
            text.push('"');
            self.at = self.at.saturating_add(1);
        }
        self.skip_blanks();
        Ok(Field { text, column: column_of(start.saturating_add(1)) })
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        let blanks = rest.len().saturating_sub(rest.trim_start_matches(is_blank).len());
        self.at = self.at.saturating_add(blanks);
    }

    fn problem(&self, offset: usize, message: &str) -> Problem {
        Problem::at(FILE, self.number, column_of(offset), message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> Result<Vec<Row>, String> {
        let mut problems = Collector::default();
        let rows = read(text.as_bytes(), &mut problems);
        problems.finish(rows).map_err(|problems| problems.to_string())
    }

    fn texts(row: &Row) -> Vec<&str> {
        row.fields.iter().map(|field| field.text.as_str()).collect()
    }

    #[test]
    fn lines_and_columns_are_exact_over_comments_and_line_ends() {
        let rows = all("# head\r\n\r\n  p, a ,\tb,, \"c, d\"\r\n  # indented, still a comment\np,x").unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].line, 3);
        assert_eq!(texts(&rows[0]), ["p", "a", "b", "", "c, d"]);
        assert_eq!(rows[0].fields.iter().map(|field| field.column).collect::<Vec<_>>(), [3, 6, 10, 12, 15]);
        assert_eq!((rows[1].line, texts(&rows[1])), (5, vec!["p", "x"]));
    }

    #[test]
    fn doubled_quotes_are_one_quote() {
        assert_eq!(texts(&all("p,\"a \"\"b\"\" c\"").unwrap()[0]), ["p", "a \"b\" c"]);
    }

    #[test]
    fn an_unclosed_quote_swallows_nothing() {
        let problem = all("p, \"a, b\np, c, \"d\ng, e").unwrap_err();
        assert_eq!(
            problem,
            "policy.csv:1:4: the quote is not closed on this line\n\
             policy.csv:2:7: the quote is not closed on this line"
        );
    }

    #[test]
    fn a_comment_at_the_end_of_a_rule_is_refused() {
        let problem = all("p, a, read # note").unwrap_err();
        assert_eq!(
            problem,
            "policy.csv:1:12: # can't stand within a rule (a comment needs a line of its own)"
        );
        assert!(all("p, \"a\" # note").is_err());
    }

    #[test]
    fn odd_bytes_are_refused_with_their_place() {
        for (text, place) in [
            ("p, tür", "1:5: only ASCII"),
            ("\u{feff}p, a", "1:1: only ASCII may stand in a rule (save the file without"),
            ("p, a\u{0}", "1:5: a control"),
            ("p, a\rp, b", "1:5: a control"),
            ("p, a\"b", "1:5: a quote"),
            ("p, \"a\"b", "1:7: expected a comma"),
        ] {
            let problem = all(text).unwrap_err();
            assert!(problem.starts_with(&format!("policy.csv:{place}")), "{text:?}: {problem}");
        }
        let mut problems = Collector::default();
        read(b"p, a\np, \xff", &mut problems);
        let problem = problems.finish(()).unwrap_err().to_string();
        assert_eq!(problem, "policy.csv:2:4: not UTF-8");
    }

    #[test]
    fn lines_are_bounded() {
        assert!(all(&format!("p,{}", "a".repeat(LONGEST))).is_err());
        assert!(all(&",".repeat(FIELDS)).is_err());
        assert_eq!(all(&",".repeat(FIELDS - 1)).unwrap()[0].fields.len(), FIELDS);
    }

    fn written(fields: &[String]) -> String {
        let quote = |text: &String| format!("\"{}\"", text.replace('"', "\"\""));
        fields.iter().map(quote).collect::<Vec<_>>().join(" ,\t")
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(fields in proptest::collection::vec("[ -~]{0,12}", 1..6)) {
            let rows = all(&written(&fields)).unwrap();
            prop_assert_eq!(texts(&rows[0]), fields);
        }

        #[test]
        fn no_line_is_lost(lines in proptest::collection::vec("[ -~\t]{0,16}", 1..8)) {
            let mut problems = Collector::default();
            let rows = read(lines.join("\n").as_bytes(), &mut problems);
            let told = problems.finish(()).map_or_else(|told| told.len(), |()| 0);
            let blank = |line: &&String| {
                let line = line.trim_start_matches(is_blank);
                line.is_empty() || line.starts_with('#')
            };
            prop_assert_eq!(rows.len() + told + lines.iter().filter(blank).count(), lines.len());
        }
    }
}
