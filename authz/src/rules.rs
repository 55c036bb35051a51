//! Rows become checked rules: every name known, every action, condition and
//! effect parsed, every combination one that can be judged.
//!
//! A row that is not understood is a problem; none is ever skipped.

use crate::action::{Action, ActionPlace};
use crate::condition::{Condition, Opaque, Predicate};
use crate::conditions::Conditions;
use crate::hint::nearest;
use crate::inventory::{Inventory, Target};
use crate::links::{Link, Links};
use crate::names::{Handle, RoleName, TagName, TargetId, ZoneName};
use crate::problem::{Collector, Problem, Slip};
use crate::rows::{self, Field, Row};
use crate::tag::Tag;
use crate::verdict::Obligation;
use crate::vocabulary::touches;
use dissect::{Area, Class, NameKind, Place};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The most lines with a rule or link.
const MOST: usize = 100_000;

/// What a rule does to what it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ruling {
    Allow,
    Deny,
}

/// One checked rule.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) line: u32,
    pub(crate) action: Action,
    pub(crate) condition: Condition,
    pub(crate) ruling: Ruling,
    /// Subject, target, action, condition and effect as Casbin gets them.
    pub(crate) row: [String; 5],
}

/// All that `policy.csv` says.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) all: Vec<Rule>,
    /// Persons and roles to roles.
    pub(crate) people: Links,
    /// Targets and groups to zones and groups.
    pub(crate) targets: Links,
}

impl Rule {
    pub(crate) fn subject(&self) -> &str {
        &self.row[0]
    }

    pub(crate) fn object(&self) -> &str {
        &self.row[1]
    }
}

impl Rules {
    /// Reads and checks the rows; puts targets into the zones that `g2` says.
    pub(crate) fn read(
        bytes: &[u8],
        inventory: &mut Inventory,
        conditions: &Conditions,
        problems: &mut Collector,
    ) -> Self {
        let rows = rows::read(bytes, problems);
        if rows.len() > MOST {
            problems.push(Problem::of_file(rows::FILE, format!("more than {MOST} rules")));
            return Self::default();
        }
        let mut rules = Self::default();
        for row in &rows {
            problems.take(rules.take_link(row, inventory));
        }
        rules.link_zones(inventory);
        rules.people.check(problems);
        rules.targets.check(problems);
        let checker = Checker::new(&rules, inventory, conditions);
        checker.check_links(problems);
        let mut seen: BTreeMap<[String; 5], u32> = BTreeMap::new();
        let mut checked = |row| {
            let rule = checker.rule(row)?;
            unseen(&mut seen, &rule).map(|()| rule)
        };
        let rows = rows.iter().filter(|row| kind(row) == "p");
        let all: Vec<Rule> = rows.filter_map(|row| problems.take(checked(row))).collect();
        rules.all = all;
        rules
    }

    fn take_link(&mut self, row: &Row, inventory: &mut Inventory) -> Result<(), Problem> {
        let links = match kind(row) {
            "p" => return Ok(()),
            "g" => &mut self.people,
            "g2" => &mut self.targets,
            other => {
                let told = format!("unknown kind of rule {other:?} (known: p, g, g2)");
                return Err(at(row, row.fields.first(), Slip::at(0, told)));
            }
        };
        let [_, member, group] = row.fields.as_slice() else {
            return Err(wrong_count(row, "3 fields: kind, member, group"));
        };
        if kind(row) == "g" {
            check_person_link(&member.text, &group.text)
                .map_err(|(which, slip)| at(row, row.fields.get(which), slip))?;
        } else {
            check_target_link(&member.text, &group.text, inventory)
                .map_err(|(which, slip)| at(row, row.fields.get(which), slip))?;
        }
        let link = Link {
            line: row.line,
            member_at: member.column,
            group_at: group.column,
            member: member.text.clone(),
            group: group.text.clone(),
        };
        match links.add(link) {
            None => Ok(()),
            Some(same) => {
                let told = format!("the same as line {}", same.line);
                Err(at(row, row.fields.first(), Slip::at(0, told)))
            }
        }
    }

    /// A zone of `targets.toml` is the same as a `g2` line.
    fn link_zones(&mut self, inventory: &Inventory) {
        for target in inventory.targets() {
            if let Some(zone) = &target.zone {
                self.targets.add(Link {
                    line: 0,
                    member_at: 0,
                    group_at: 0,
                    member: target.id.to_string(),
                    group: format!("zone:{zone}"),
                });
            }
        }
    }
}

/// Casbin merges rows that are equal; an admin should know.
fn unseen(seen: &mut BTreeMap<[String; 5], u32>, rule: &Rule) -> Result<(), Problem> {
    match seen.insert(rule.row.clone(), rule.line) {
        None => Ok(()),
        Some(line) => Err(Problem::at(rows::FILE, rule.line, 1, format!("the same as line {line}"))),
    }
}

fn kind(row: &Row) -> &str {
    row.fields.first().map_or("", |field| field.text.as_str())
}

fn at(row: &Row, field: Option<&Field>, slip: Slip) -> Problem {
    slip.in_field(rows::FILE, row.line, field.map_or(1, |field| field.column))
}

fn wrong_count(row: &Row, expected: &str) -> Problem {
    let told = format!("expected {expected}; found {}", row.fields.len());
    at(row, row.fields.first(), Slip::at(0, told))
}

type FieldSlip = (usize, Slip);

fn check_person_link(member: &str, group: &str) -> Result<(), FieldSlip> {
    match member.split_once(':') {
        Some(("person", name)) => parsed(1, 7, Handle::parse(name))?,
        Some(("role", name)) => parsed(1, 5, RoleName::parse(name))?,
        Some(_) | None => return Err((1, Slip::at(0, "expected person:HANDLE or role:NAME"))),
    }
    match group.strip_prefix("role:") {
        Some(name) => parsed(2, 5, RoleName::parse(name)),
        None => Err((2, Slip::at(0, "expected role:NAME"))),
    }
}

fn check_target_link(member: &str, group: &str, inventory: &mut Inventory) -> Result<(), FieldSlip> {
    let zone = match group.split_once(':') {
        Some(("zone", name)) => {
            Some(ZoneName::parse(name).map_err(|error| (2, Slip::at(5, error.to_string())))?)
        }
        Some(("group", name)) => {
            parsed(2, 6, ZoneName::parse(name))?;
            None
        }
        Some(_) | None => return Err((2, Slip::at(0, "expected zone:NAME or group:NAME"))),
    };
    if member.starts_with("zone:") || member.starts_with("group:") {
        let name = member.split_once(':').map_or("", |(_, name)| name);
        return parsed(1, 5, ZoneName::parse(name));
    }
    let target = known_target(member, inventory).map_err(|slip| (1, slip))?;
    let id = target.id.clone();
    match (zone, &target.zone) {
        (Some(zone), Some(other)) if zone != *other => {
            Err((2, Slip::at(0, format!("{id} is in zone {other} already; a target is in one zone"))))
        }
        (Some(zone), None) => {
            inventory.set_zone(&id, zone);
            Ok(())
        }
        (Some(_), Some(_)) | (None, _) => Ok(()),
    }
}

fn parsed<T>(field: usize, offset: usize, name: Result<T, crate::names::NameError>) -> Result<(), FieldSlip> {
    name.map(|_| ()).map_err(|error| (field, Slip::at(offset, error.to_string())))
}

fn known_target<'a>(text: &str, inventory: &'a Inventory) -> Result<&'a Target, Slip> {
    let id = TargetId::parse(text).map_err(|error| {
        let hint = text
            .contains('*')
            .then(|| "only a lone * stands for all targets; use a zone or group".to_owned());
        Slip::at(0, error.to_string()).hint(hint)
    })?;
    inventory.target(&id).ok_or_else(|| {
        let known = inventory.targets().map(|target| target.id.as_str());
        Slip::at(0, format!("unknown target {text}")).hint(nearest(text, known))
    })
}

/// Knows all names while rules are checked.
struct Checker<'a> {
    inventory: &'a Inventory,
    conditions: &'a Conditions,
    links: Vec<Link>,
    roles: BTreeSet<String>,
    groups: BTreeSet<String>,
    /// Which targets have a tag, and in which groups they are.
    tags: BTreeMap<&'a TagName, Vec<(&'a Target, BTreeSet<String>)>>,
}

impl<'a> Checker<'a> {
    fn new(rules: &Rules, inventory: &'a Inventory, conditions: &'a Conditions) -> Self {
        let declared = conditions.roles.iter().map(|role| format!("role:{role}"));
        let linked = rules.people.iter().flat_map(|link| [link.member.clone(), link.group.clone()]);
        let mut tags: BTreeMap<&TagName, Vec<_>> = BTreeMap::new();
        for target in inventory.targets().filter(|target| !target.tags.is_empty()) {
            let groups: BTreeSet<String> =
                rules.targets.above(target.id.as_str()).into_iter().map(|link| link.group.clone()).collect();
            for tag in &target.tags {
                tags.entry(&tag.name).or_default().push((target, groups.clone()));
            }
        }
        Self {
            inventory,
            conditions,
            links: rules.targets.iter().cloned().collect(),
            roles: declared.chain(linked.filter(|name| name.starts_with("role:"))).collect(),
            groups: rules.targets.iter().map(|link| link.group.clone()).collect(),
            tags,
        }
    }

    /// A group that nothing is in can only be a slip of the pen.
    fn check_links(&self, problems: &mut Collector) {
        for link in &self.links {
            let is_group = link.member.contains(':');
            if is_group && !self.groups.contains(&link.member) {
                let hint = nearest(&link.member, self.groups.iter().map(String::as_str));
                let told = format!("{} has no member", link.member);
                problems.push(Problem::at(rows::FILE, link.line, link.member_at, told).with_hint(hint));
            }
        }
    }

    fn rule(&self, row: &Row) -> Result<Rule, Problem> {
        let [_, subject, object, action, condition, effect] = row.fields.as_slice() else {
            return Err(wrong_count(row, "6 fields: p, who, target, action, condition, effect"));
        };
        let place = |field: &Field| (row.line, field.column);
        let slip = |field: &Field, slip: Slip| {
            let (line, column) = place(field);
            slip.in_field(rows::FILE, line, column)
        };
        self.subject(&subject.text).map_err(|error| slip(subject, error))?;
        self.object(&object.text).map_err(|error| slip(object, error))?;
        let parsed = Action::parse(&action.text).map_err(|error| slip(action, error))?;
        self.tag(&parsed, &object.text).map_err(|error| slip(action, error))?;
        let conditions = Condition::parse(&condition.text).map_err(|error| slip(condition, error))?;
        self.names(&conditions, &condition.text).map_err(|error| slip(condition, error))?;
        let ruling = parse_effect(&effect.text).map_err(|error| slip(effect, error))?;
        self.fits(&parsed, &conditions, ruling, &object.text).map_err(|error| slip(condition, error))?;
        let row_texts = [subject, object, action, condition, effect].map(|field| field.text.clone());
        Ok(Rule { line: row.line, action: parsed, condition: conditions, ruling, row: row_texts })
    }

    fn subject(&self, text: &str) -> Result<(), Slip> {
        match text.split_once(':') {
            None if text == "*" => Ok(()),
            Some(("person", name)) => {
                Handle::parse(name).map(|_| ()).map_err(|error| Slip::at(7, error.to_string()))
            }
            Some(("role", name)) if self.roles.contains(text) => {
                RoleName::parse(name).map(|_| ()).map_err(|error| Slip::at(5, error.to_string()))
            }
            Some(("role", _)) => {
                let near = nearest(text, self.roles.iter().map(String::as_str));
                let way_out = "give it to someone by a g line, or name it in conditions.toml: roles = [..]";
                Err(Slip::at(0, format!("unknown role {text}"))
                    .hint(near.unwrap_or_else(|| way_out.to_owned())))
            }
            Some(_) | None => Err(Slip::at(0, "expected role:NAME, person:HANDLE or *")),
        }
    }

    fn object(&self, text: &str) -> Result<(), Slip> {
        if text == "*" {
            return Ok(());
        }
        if text.starts_with("zone:") || text.starts_with("group:") {
            return if self.groups.contains(text) {
                Ok(())
            } else {
                let near = nearest(text, self.groups.iter().map(String::as_str));
                Err(Slip::at(0, format!("unknown group of targets {text}")).hint(near))
            };
        }
        known_target(text, self.inventory).map(|_| ())
    }

    /// The tags of that name and the action's protocol on the targets that a
    /// rule is about.
    fn tagged(&self, action: &Action, tag: &TagName, object: &str) -> impl Iterator<Item = &'a Tag> {
        let all = self.tags.get(tag).into_iter().flatten();
        let targets = all.filter(move |(target, groups)| {
            object == "*" || target.id.as_str() == object || groups.contains(object)
        });
        let protocol = action.protocol;
        targets
            .flat_map(|(target, _)| &target.tags)
            .filter(move |own| own.name == *tag && protocol.is_none_or(|protocol| protocol == own.protocol))
    }

    fn tag(&self, action: &Action, object: &str) -> Result<(), Slip> {
        match &action.place {
            ActionPlace::Anywhere | ActionPlace::Place(_) => Ok(()),
            ActionPlace::Tag(name) => {
                let near = || nearest(name.as_str(), self.tags.keys().map(|tag| tag.as_str()));
                let class = action.class.unwrap_or(Class::Unknown);
                let mut tags = self.tagged(action, name, object).peekable();
                if tags.peek().is_none() {
                    return Err(
                        Slip::at(0, format!("none of the rule's targets has a tag {name}")).hint(near())
                    );
                }
                match tags.find(|tag| !touches(tag.protocol, class, &tag.place)) {
                    Some(tag) => Err(Slip::at(
                        0,
                        format!("{class} never touches {}, where tag {name} is", word_of(&tag.place)),
                    )),
                    None => Ok(()),
                }
            }
        }
    }

    fn names(&self, condition: &Condition, text: &str) -> Result<(), Slip> {
        for predicate in &condition.predicates {
            if let Predicate::Window(window) = predicate
                && !self.conditions.windows.contains_key(window)
            {
                let near = nearest(window.as_str(), self.conditions.windows.keys().map(|name| name.as_str()));
                return Err(
                    Slip::at(offset(text, window.as_str()), format!("unknown window {window}")).hint(near)
                );
            }
        }
        for obligation in &condition.obligations {
            let group = match obligation {
                Obligation::Approval(group) | Obligation::Hold(group) | Obligation::Supervised(group) => {
                    group
                }
                Obligation::Rate(_) => continue,
            };
            if !self.conditions.groups.contains_key(group) {
                let near = nearest(group.as_str(), self.conditions.groups.keys().map(|name| name.as_str()));
                return Err(
                    Slip::at(offset(text, group.as_str()), format!("unknown group {group}")).hint(near)
                );
            }
        }
        Ok(())
    }

    /// Whether a condition can be judged for an action and effect.
    fn fits(&self, action: &Action, condition: &Condition, ruling: Ruling, object: &str) -> Result<(), Slip> {
        if condition.has_value() && !self.has_values(action, object) {
            return Err(Slip::at(
                0,
                "value: needs a write to typed addresses (holding, symbol, or a tag with a type)",
            ));
        }
        let accepted = condition.opaque == Opaque::Accepted;
        match ruling {
            Ruling::Deny if accepted || !condition.obligations.is_empty() => {
                Err(Slip::at(0, "a deny can only have window, from, mfa and value"))
            }
            Ruling::Allow if action.includes_opaque() && !accepted => {
                Err(Slip::at(0, "the action includes services whose bytes nobody understands")
                    .hint("say opaque-accepted, or name the protocol".to_owned()))
            }
            Ruling::Allow if accepted && !action.includes_opaque() => {
                Err(Slip::at(0, "opaque-accepted has no meaning for this action"))
            }
            Ruling::Allow | Ruling::Deny => Ok(()),
        }
    }

    fn has_values(&self, action: &Action, object: &str) -> bool {
        action.class == Some(Class::Write)
            && match &action.place {
                ActionPlace::Anywhere => false,
                ActionPlace::Place(place) => names_its_type(place),
                ActionPlace::Tag(tag) => self
                    .tagged(action, tag, object)
                    .all(|tag| tag.value.is_some() || names_its_type(&tag.place)),
            }
    }
}

/// Whether values there have a type without a tag: registers, and tags of a
/// controller, where each request names it.
fn names_its_type(place: &Place) -> bool {
    match place {
        Place::Range { area, .. } => *area == Area::Holding,
        Place::Name(name) => name.kind() == NameKind::Symbol,
        Place::Object(_) => false,
    }
}

/// The first word of a place in an action.
fn word_of(place: &Place) -> &'static str {
    match place {
        Place::Range { area, .. } => area.name(),
        Place::Name(name) => name.kind().word(),
        Place::Object(_) => "class",
    }
}

fn parse_effect(text: &str) -> Result<Ruling, Slip> {
    match text {
        "allow" => Ok(Ruling::Allow),
        "deny" => Ok(Ruling::Deny),
        _ => Err(Slip::at(0, format!("expected allow or deny, found {text:?}"))
            .hint(nearest(text, ["allow", "deny"]))),
    }
}

/// Where a name stands within a condition, behind its colon.
fn offset(text: &str, name: &str) -> usize {
    text.find(&format!(":{name}")).map_or(0, |at| at.saturating_add(1))
}
