//! Who belongs to which role, which target to which group: nested, without
//! circles, no deeper than Casbin follows.

use crate::problem::{Collector, Problem};
use crate::rows;
use std::collections::{BTreeMap, BTreeSet};

/// The most links from a member to its farthest group. Casbin's role manager
/// looks at ten names of a chain, which are nine links; one more and it
/// would silently not find the role.
pub(crate) const DEEPEST: u32 = 9;

/// One member of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// The line in `policy.csv`; 0 where `targets.toml` says it.
    pub(crate) line: u32,
    /// The columns in which both names begin; 0 likewise.
    pub(crate) member_at: u32,
    pub(crate) group_at: u32,
    pub(crate) member: String,
    pub(crate) group: String,
}

/// All links of one kind (`g` or `g2`).
#[derive(Debug, Clone, Default)]
pub(crate) struct Links {
    all: Vec<Link>,
    groups_of: BTreeMap<String, Vec<usize>>,
}

impl Links {
    /// Adds a link unless it is there; gives back the one that is.
    pub(crate) fn add(&mut self, link: Link) -> Option<&Link> {
        let known = self.groups_of.get(&link.member).into_iter().flatten().copied();
        let same =
            known.filter(|index| self.all.get(*index).is_some_and(|one| one.group == link.group)).min();
        if let Some(index) = same {
            return self.all.get(index);
        }
        self.groups_of.entry(link.member.clone()).or_default().push(self.all.len());
        self.all.push(link);
        None
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.all.iter()
    }

    /// The links on the way from a name to all its groups.
    pub(crate) fn above(&self, name: &str) -> Vec<&Link> {
        let mut seen = BTreeSet::from([name]);
        let mut found = Vec::new();
        let mut waiting = vec![name];
        while let Some(member) = waiting.pop() {
            for link in
                self.groups_of.get(member).into_iter().flatten().filter_map(|index| self.all.get(*index))
            {
                found.push(link);
                if seen.insert(&link.group) {
                    waiting.push(&link.group);
                }
            }
        }
        found
    }

    /// Refuses circles and nesting that Casbin would not follow.
    pub(crate) fn check(&self, problems: &mut Collector) {
        let mut height: BTreeMap<&str, u32> = BTreeMap::new();
        // After as many rounds as there may be levels nothing can rise any
        // more, but in a circle or above a chain that is too long.
        for _ in 0..=DEEPEST {
            for link in &self.all {
                let above = height.get(link.group.as_str()).copied().unwrap_or_default().saturating_add(1);
                let own = height.entry(&link.member).or_default();
                *own = above.max(*own);
            }
        }
        let deep =
            self.all.iter().filter(|link| height.get(link.member.as_str()).is_some_and(|own| *own > DEEPEST));
        let (circles, chains): (Vec<&Link>, Vec<&Link>) = deep.partition(|link| self.returns(link));
        let (worst, told) = match (circles.first(), chains.first()) {
            (Some(link), _) => (link, format!("{} is a member of itself over {}", link.member, link.group)),
            (None, Some(link)) => (link, format!("nested more than {DEEPEST} levels deep")),
            (None, None) => return,
        };
        problems.push(match worst.line {
            // A zone of the inventory, which no line of the rules says.
            0 => Problem::of_file(rows::FILE, told),
            line => Problem::at(rows::FILE, line, worst.group_at, told),
        });
    }

    fn returns(&self, link: &Link) -> bool {
        link.group == link.member || self.above(&link.group).iter().any(|above| above.group == link.member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(pairs: &[(&str, &str)]) -> Links {
        let mut links = Links::default();
        for (line, (member, group)) in (1..).zip(pairs) {
            let (member, group) = ((*member).to_owned(), (*group).to_owned());
            links.add(Link { line, member_at: 4, group_at: 7, member, group });
        }
        links
    }

    fn told(links: &Links) -> Option<String> {
        let mut problems = Collector::default();
        links.check(&mut problems);
        problems.finish(()).err().map(|problems| problems.to_string())
    }

    #[test]
    fn circles_are_refused() {
        let long = links(&[("x", "a"), ("a", "b"), ("b", "c"), ("c", "a")]);
        assert_eq!(told(&long).unwrap(), "policy.csv:2:7: a is a member of itself over b");
        assert!(told(&links(&[("a", "a")])).unwrap().contains("member of itself"));
    }

    #[test]
    fn deep_chains_are_refused_and_wide_ones_are_not() {
        let names: Vec<String> = (0..=DEEPEST + 1).map(|level| format!("n{level}")).collect();
        let chain = |last: usize| {
            let pairs: Vec<(&str, &str)> =
                names[..=last].windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
            links(&pairs)
        };
        assert_eq!(told(&chain(DEEPEST as usize)), None);
        assert_eq!(
            told(&chain(DEEPEST as usize + 1)).unwrap(),
            "policy.csv:1:7: nested more than 9 levels deep"
        );
        let wide = links(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "d")]);
        assert_eq!(told(&wide), None);
        assert_eq!(wide.above("a").len(), 5);
    }
}
