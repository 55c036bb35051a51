//! From the text of a filter to its tree, with the place of whatever is wrong.

use super::Node;
use super::term::{OTHERS, Term, Wants};
use crate::escape::{safe, safe_width};
use dissect::{Area, Class, NameKind, Protocol};
use std::fmt;
use std::iter::Peekable;
use std::ops::RangeInclusive;
use std::str::Chars;

/// The most characters of an expression.
const LONGEST: usize = 4096;

/// How deep parentheses and `not` may be nested.
const DEEPEST: usize = 32;

/// How policies name CIP objects.
const OBJECT: &str = "class";

/// Texts that a wrong word is compared with are this much alike.
const ALIKE: usize = 2;

/// The text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct NoFilter {
    text: String,
    /// Where it goes wrong, in characters from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for NoFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before: String = self.text.chars().take(self.column.saturating_sub(1)).collect();
        let indent = " ".repeat(safe_width(&before));
        let (column, message) = (self.column, safe(&self.message));
        write!(formatter, "column {column}: {message}\n  {}\n  {indent}^", safe(&self.text))
    }
}

/// Something wrong, and the column.
type Wrong = (usize, String);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word { text: String, inner: Option<Inner> },
    Open,
    Close,
    Colon,
}

/// What stands between brackets, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    column: usize,
    text: String,
}

/// Reads an expression.
pub(super) struct Parser {
    tokens: Peekable<std::vec::IntoIter<(usize, Token)>>,
    /// The column behind the last character.
    end: usize,
    depth: usize,
}

impl Parser {
    pub(super) fn parse(text: &str) -> Result<Node, NoFilter> {
        read(text).map_err(|(column, message)| {
            let text = text.chars().take(LONGEST).collect();
            NoFilter { text, column, message }
        })
    }

    fn any(&mut self) -> Result<Node, Wrong> {
        let mut node = self.all()?;
        while self.takes_word("or") {
            node = Node::Or(Box::new(node), Box::new(self.all()?));
        }
        Ok(node)
    }

    fn all(&mut self) -> Result<Node, Wrong> {
        let mut node = self.one()?;
        while self.takes_word("and") {
            node = Node::And(Box::new(node), Box::new(self.one()?));
        }
        Ok(node)
    }

    fn one(&mut self) -> Result<Node, Wrong> {
        let Some((column, token)) = self.tokens.next() else {
            return Err((self.end, "the expression ends where a word is missing".to_owned()));
        };
        match token {
            Token::Open => {
                let node = self.nested(column, Self::any)?;
                match self.tokens.next() {
                    Some((_, Token::Close)) => Ok(node),
                    Some((column, _)) => Err((column, "expected and, or or )".to_owned())),
                    None => Err((column, "this parenthesis is not closed".to_owned())),
                }
            }
            Token::Word { text, inner: None } if text == "not" => {
                Ok(Node::Not(Box::new(self.nested(column, Self::one)?)))
            }
            Token::Word { text, inner: None } if text == "and" || text == "or" => {
                Err((column, format!("a word is missing before {text}")))
            }
            Token::Word { text, inner } => {
                let mut node = Node::Term(term(column, &text, inner)?);
                while self.takes(&Token::Colon) {
                    let next = self.tokens.next();
                    let Some((column, Token::Word { text, inner })) = next else {
                        let column = next.map_or(self.end, |(column, _)| column);
                        return Err((column, "a word is missing after :".to_owned()));
                    };
                    let term = Node::Term(term(column, &text, inner)?);
                    node = Node::And(Box::new(node), Box::new(term));
                }
                Ok(node)
            }
            Token::Close => Err((column, "nothing is open that ) could close".to_owned())),
            Token::Colon => Err((column, "a word is missing before :".to_owned())),
        }
    }

    fn nested(
        &mut self,
        column: usize,
        inner: impl FnOnce(&mut Self) -> Result<Node, Wrong>,
    ) -> Result<Node, Wrong> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > DEEPEST {
            return Err((column, format!("nested more than {DEEPEST} deep")));
        }
        let node = inner(self)?;
        self.depth = self.depth.saturating_sub(1);
        Ok(node)
    }

    fn takes_word(&mut self, word: &str) -> bool {
        self.takes(&Token::Word { text: word.to_owned(), inner: None })
    }

    fn takes(&mut self, wanted: &Token) -> bool {
        self.tokens.next_if(|(_, token)| token == wanted).is_some()
    }
}

fn read(text: &str) -> Result<Node, Wrong> {
    let end = text.chars().count().saturating_add(1);
    if end > LONGEST {
        return Err((LONGEST, format!("an expression has at most {LONGEST} characters")));
    }
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Err((1, "an expression needs a word, for instance denied".to_owned()));
    }
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), end, depth: 0 };
    let node = parser.any()?;
    match parser.tokens.next() {
        None => Ok(node),
        Some((column, Token::Close)) => Err((column, "nothing is open that ) could close".to_owned())),
        Some((column, _)) => Err((column, "expected and or or before this".to_owned())),
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Wrong> {
    let mut characters = Characters { rest: text.chars().peekable(), column: 0 };
    let mut tokens = Vec::new();
    while let Some(character) = characters.next() {
        let column = characters.column;
        let token = match character {
            character if character.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            ':' => Token::Colon,
            character if belongs(character) => characters.word(character)?,
            '[' => return Err((column, "brackets follow a word at once, as in holding[100]".to_owned())),
            '&' => return Err((column, "write and".to_owned())),
            '|' => return Err((column, "write or".to_owned())),
            '!' => return Err((column, "write not".to_owned())),
            other => return Err((column, format!("{other:?} can't stand here"))),
        };
        tokens.push((column, token));
    }
    Ok(tokens)
}

/// Whether the character may be part of a word.
fn belongs(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '*')
}

struct Characters<'a> {
    rest: Peekable<Chars<'a>>,
    column: usize,
}

impl Characters<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.column = self.column.saturating_add(next.iter().len());
        next
    }

    fn word(&mut self, first: char) -> Result<Token, Wrong> {
        let mut text = String::from(first);
        while self.rest.peek().is_some_and(|next| belongs(*next)) {
            text.extend(self.next());
        }
        if self.rest.peek() != Some(&'[') {
            return Ok(Token::Word { text, inner: None });
        }
        self.next();
        let open = self.column;
        let column = open.saturating_add(1);
        let mut inner = String::new();
        // Names of tags have brackets of their own: `symbol[Line[3].Speed]`.
        let mut depth = 0_usize;
        loop {
            match self.next() {
                Some(']') if depth == 0 => {
                    return Ok(Token::Word { text, inner: Some(Inner { column, text: inner }) });
                }
                Some(character) => {
                    match character {
                        '[' => depth = depth.saturating_add(1),
                        ']' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    inner.push(character);
                }
                None => return Err((open, "this bracket is not closed".to_owned())),
            }
        }
    }
}

fn term(column: usize, word: &str, inner: Option<Inner>) -> Result<Term, Wrong> {
    let Some(wants) = wants(word) else { return Err((column, unknown(word))) };
    let lacks = |example: &str| (column, format!("{word} needs brackets, as in {example}"));
    match (wants, inner) {
        (Wants::Nothing, None) => Term::plain(word).ok_or_else(|| (column, unknown(word))),
        (Wants::Place(protocol), inner) => place(column, protocol, word, inner),
        (Wants::Nothing, Some(inner)) => {
            Err((inner.column.saturating_sub(1), format!("{word} has no brackets")))
        }
        (Wants::Unit, None) => Err(lacks("unit[3]")),
        (Wants::Numbers, None) => Err(lacks(&format!("{word}[1-3]"))),
        (Wants::Name | Wants::Words, None) => Err(lacks(&format!("{word}[NAME]"))),
        (Wants::Unit, Some(inner)) => {
            let unit = number(&inner.text).and_then(|unit| u8::try_from(unit).ok());
            unit.map(Term::Unit).ok_or_else(|| (inner.column, "a unit is a number from 0 to 255".to_owned()))
        }
        (Wants::Numbers, Some(inner)) => {
            let numbers = numbers(&inner.text)
                .ok_or_else(|| (inner.column, "expected NUMBER or FIRST-LAST".to_owned()))?;
            Ok(if word == "channel" { Term::Channel(numbers) } else { Term::Request(numbers) })
        }
        (Wants::Name | Wants::Words, Some(inner)) if inner.text.is_empty() => {
            Err((inner.column, "a name is missing".to_owned()))
        }
        (Wants::Name | Wants::Words, Some(inner)) => {
            Term::named(word, &inner.text).ok_or_else(|| (column, unknown(word)))
        }
    }
}

fn wants(word: &str) -> Option<Wants> {
    let other = OTHERS.iter().find(|(other, _)| *other == word).map(|(_, wants)| *wants);
    let known = Class::from_name(word).is_some() || Protocol::from_name(word).is_some();
    other.or_else(|| known.then_some(Wants::Nothing)).or_else(|| protocol_of(word).map(Wants::Place))
}

fn unknown(word: &str) -> String {
    let words = OTHERS.iter().map(|(word, _)| *word).chain(["and", "or", "not"]);
    let words = words.chain(Class::ALL.map(Class::name)).chain(Protocol::ALL.map(Protocol::name));
    let nearest = words
        .chain(Area::ALL.map(Area::name))
        .chain(NameKind::ALL.map(NameKind::word))
        .chain([OBJECT])
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .min()
        .filter(|(distance, known)| *distance <= ALIKE && *distance < known.len());
    match nearest {
        Some((_, known)) => format!("unknown word {word:?} (did you mean {known}?)"),
        None => format!("unknown word {word:?}; --help lists the words"),
    }
}

/// The protocol whose devices have such a place.
fn protocol_of(word: &str) -> Option<Protocol> {
    if word == OBJECT || NameKind::from_word(word).is_some() {
        return Some(Protocol::Enip);
    }
    Protocol::ALL.into_iter().find(|protocol| Area::parse(*protocol, word).is_some())
}

fn place(column: usize, protocol: Protocol, word: &str, inner: Option<Inner>) -> Result<Term, Wrong> {
    let whole = match inner {
        Some(inner) => format!("{word}[{}]", inner.text),
        None => word.to_owned(),
    };
    authz::place(protocol, &whole).map(Term::Place).map_err(|wrong| {
        let before = whole.get(..wrong.offset).unwrap_or(&whole).chars().count();
        (column.saturating_add(before), wrong.message)
    })
}

fn numbers(text: &str) -> Option<RangeInclusive<u64>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(first..=last)
}

/// Digits only: no sign, no blank.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use crate::filter::Filter;
    use proptest::prelude::{any, proptest};

    fn wrong(text: &str) -> String {
        let error = text.parse::<Filter>().expect_err(text);
        format!("{}: {}", error.column, error.message)
    }

    #[test]
    fn what_is_wrong_is_told_with_its_column() {
        for (text, told) in [
            ("", "1: an expression needs a word"),
            ("   ", "1: an expression needs a word"),
            ("write and holdin[100]", "11: unknown word \"holdin\" (did you mean holding?)"),
            ("wriet", "1: unknown word \"wriet\" (did you mean write?)"),
            ("xyzzyxyzzy", "1: unknown word \"xyzzyxyzzy\"; --help lists"),
            ("write denied", "7: expected and or or before this"),
            ("write and", "10: the expression ends"),
            ("and write", "1: a word is missing before and"),
            ("write or or read", "10: a word is missing before or"),
            ("(write", "1: this parenthesis is not closed"),
            ("(write read)", "8: expected and, or or )"),
            ("write)", "6: nothing is open"),
            ("holding[100", "8: this bracket is not closed"),
            ("holding [100]", "9: brackets follow a word at once"),
            ("holding[1-]", "9: expected ADDRESS or FIRST-LAST"),
            ("holding[9-3]", "9: the range runs backwards"),
            ("db12[9.8]", "6: expected ADDRESS or FIRST-LAST, in bytes, or BYTE.BIT"),
            ("db0[1]", "1: unknown word"),
            ("symbol", "1: symbol needs a name in brackets"),
            ("write and symbol[.x]", "18: no name"),
            ("class[x]", "7: expected CLASS"),
            ("holding[65536]", "9: expected ADDRESS or FIRST-LAST, zero-based, up to 65535"),
            ("holding[]", "9: expected ADDRESS"),
            ("file[1.70000]", "6: expected ADDRESS"),
            ("unit[256]", "6: a unit is a number from 0 to 255"),
            ("unit", "1: unit needs brackets, as in unit[3]"),
            ("channel[x]", "9: expected NUMBER or FIRST-LAST"),
            ("request[99999999999999999999]", "9: expected NUMBER"),
            ("tag[]", "5: a name is missing"),
            ("tag", "1: tag needs brackets, as in tag[NAME]"),
            ("write[3]", "6: write has no brackets"),
            ("modbus:", "8: a word is missing after :"),
            (":write", "1: a word is missing before :"),
            ("write && denied", "7: write and"),
            ("write | read", "7: write or"),
            ("!write", "1: write not"),
            ("write; read", "6: ';' can't stand here"),
            ("größe", "1: unknown word"),
            ("é and holdin", "1: unknown word"),
        ] {
            assert!(wrong(text).starts_with(told), "{text}: {}", wrong(text));
        }
        let deep = format!("{}write", "not ".repeat(40));
        assert_eq!(wrong(&deep), "129: nested more than 32 deep");
        assert!(wrong(&"write or ".repeat(500)).contains("at most 4096 characters"));
    }

    #[test]
    fn places_of_every_protocol_are_words() {
        for text in [
            "db12[0-63] and s7",
            "m[4.3]",
            "symbol[Line[3].Speed] or table[7[0-9]]",
            "enip:write:class[4.100.3]",
            "file[7] or file[7.3]",
            "route and path[1.5]",
        ] {
            assert!(text.parse::<Filter>().is_ok(), "{text}: {}", wrong(text));
        }
    }

    #[test]
    fn the_place_is_shown_below_the_text() {
        let error = "\x1b[2J and write".parse::<Filter>().unwrap_err();
        assert_eq!(error.to_string(), "column 1: '\\\\u{1b}' can't stand here\n  \\x1b[2J and write\n  ^");
        let error = "person[\x1b] and wriet".parse::<Filter>().unwrap_err();
        let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
        assert_eq!(lines[1].find("wriet"), lines[2].find('^'));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = text.parse::<Filter>();
        }

        #[test]
        fn near_misses_do_not_panic(text in "(not |\\(|write|holding\\[[0-9.-]{0,6}\\]?|:|and |or |\\)| ){0,12}") {
            let _ = text.parse::<Filter>();
        }
    }
}
