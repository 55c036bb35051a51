//! Pages that wait for their one visit.
//!
//! A page is entered by the task of the connection that asked for it and goes
//! with that task's [`Place`]. Its address holds 128 random bits and is good
//! for one visit: a second one, a reload too, finds nothing.

use super::Shown;
use super::random;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Letters and digits that can't be mistaken for each other (Crockford's base
/// 32).
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A page's name in its address: 128 random bits in hex. Prints as nothing.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PageId(String);

impl PageId {
    fn draw() -> Result<Self, aws_lc_rs::error::Unspecified> {
        Ok(Self(hex::encode(random::<16>()?)))
    }

    /// As it stands in the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PageId(..)")
    }
}

/// The short code that client and page both show: 30 random bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// A new one.
    ///
    /// # Errors
    /// Without randomness.
    pub fn draw() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let letter = |byte: u8| LETTERS.get(usize::from(byte & 31)).map_or('0', |letter| char::from(*letter));
        let [a, b, c, d, e, f] = random::<6>()?.map(letter);
        Ok(Self([a, b, c, '-', d, e, f].iter().collect()))
    }

    /// Three letters or digits, a hyphen, three more.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// All pages that wait.
#[derive(Debug, Clone, Default)]
pub struct Pages(Arc<Mutex<HashMap<PageId, Waiting>>>);

#[derive(Debug)]
struct Waiting {
    shown: Shown,
    /// Monotonic time.
    expires: Duration,
}

/// A page's place; dropping it takes the page away.
#[derive(Debug)]
pub struct Place {
    id: PageId,
    pages: Pages,
}

impl Place {
    /// What names the page.
    pub fn id(&self) -> &PageId {
        &self.id
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pages.with(|all| all.remove(&self.id));
    }
}

impl Pages {
    /// Enters a page that is good until `expires`, monotonic time.
    ///
    /// # Errors
    /// Without randomness.
    pub fn enter(&self, shown: Shown, expires: Duration) -> Result<Place, aws_lc_rs::error::Unspecified> {
        let id = PageId::draw()?;
        self.with(|all| all.insert(id.clone(), Waiting { shown, expires }));
        Ok(Place { id, pages: self.clone() })
    }

    /// The page for its one visit; `None` if there is none of that name, it
    /// was visited, or its time is over.
    pub fn visit(&self, id: &str, now: Duration) -> Option<Shown> {
        let waiting = self.with(|all| all.remove(&PageId(id.to_owned())))?;
        (now < waiting.expires).then_some(waiting.shown)
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<PageId, Waiting>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passkey::LASTS;
    use crate::passkey::shown::tests::shown;

    #[test]
    fn a_page_is_visited_once_within_its_time_and_goes_with_who_asked() {
        let pages = Pages::default();
        let place = pages.enter(shown(), LASTS).unwrap();
        let id = place.id().as_str().to_owned();
        assert_eq!(id.len(), 32);
        assert!(pages.visit("00000000000000000000000000000000", Duration::ZERO).is_none());
        assert!(pages.visit(&id, Duration::ZERO).is_some());
        assert!(pages.visit(&id, Duration::ZERO).is_none(), "one visit");
        let late = pages.enter(shown(), LASTS).unwrap();
        assert!(pages.visit(late.id().as_str(), LASTS).is_none(), "its time is over");
        let left = pages.enter(shown(), LASTS).unwrap();
        let id = left.id().as_str().to_owned();
        drop(left);
        assert!(pages.visit(&id, Duration::ZERO).is_none(), "whoever asked is gone");
        drop((place, late));
        assert_eq!(pages.with(|all| all.len()), 0);
    }

    #[test]
    fn codes_are_short_and_easy_to_read_aloud() {
        let code = Code::draw().unwrap();
        assert_eq!(code.as_str().len(), 7);
        assert!(code.as_str().bytes().all(|byte| byte == b'-' || LETTERS.contains(&byte)), "{code:?}");
        assert_ne!(Code::draw().unwrap(), Code::draw().unwrap());
    }
}
