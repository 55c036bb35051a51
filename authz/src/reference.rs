//! A model of the policy language in plain loops over text, for tests only.
//! It imports nothing of this crate: what it says comes from the language's
//! description alone. It knows the small plant of `equal.rs`.

/// The rules with their lines.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) rules: Vec<(u32, [String; 5])>,
}

/// Who asks, where, and what is true meanwhile.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) person: &'a str,
    pub(crate) target: &'a str,
    pub(crate) webauthn: bool,
    pub(crate) source: &'a str,
    /// The hour in Berlin, on a Tuesday.
    pub(crate) hour: u32,
}

/// One address that an operation touches, with all registers of the access.
#[derive(Debug)]
pub(crate) struct Touch {
    pub(crate) protocol: &'static str,
    pub(crate) class: &'static str,
    pub(crate) unit: Option<u8>,
    /// The area, or a tag of a controller in capital letters.
    pub(crate) area: Option<String>,
    /// A register, a bit of S7, or an element.
    pub(crate) address: Option<u32>,
    pub(crate) registers: Vec<(u32, [u8; 2])>,
    /// The bytes that an access to S7 writes.
    pub(crate) bytes: Vec<(u32, u8)>,
    /// The single bit that it writes.
    pub(crate) bit: Option<u8>,
    /// What is written to an element.
    pub(crate) number: Option<i16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Allow(u32),
    Needs(u32),
    Deny,
}

impl Model {
    fn rules_for<'a>(&'a self, case: &'a Case<'_>) -> impl Iterator<Item = &'a (u32, [String; 5])> {
        self.rules.iter().filter(|(_, [subject, object, ..])| {
            subjects(case.person).contains(&subject.as_str())
                && objects(case.target).contains(&object.as_str())
        })
    }

    /// Whether anything could be allowed on one of the target's services.
    pub(crate) fn grants(&self, case: &Case<'_>) -> bool {
        self.rules_for(case).any(|(_, [_, _, action, _, effect])| {
            let tagged = action.contains("tag[");
            let elsewhere = ["tcp", "s7", "enip"].iter().any(|protocol| action.starts_with(protocol));
            let offered = case.target == "plc" || (!elsewhere && !tagged);
            effect == "allow" && offered
        })
    }
}

fn subjects(person: &str) -> &'static [&'static str] {
    match person {
        "a" => &["*", "person:a", "role:one", "role:two"],
        "b" => &["*", "person:b", "role:three"],
        _ => &["*"],
    }
}

fn objects(target: &str) -> &'static [&'static str] {
    match target {
        "plc" => &["*", "plc", "zone:press", "group:hall"],
        _ => &["*", "other", "zone:packaging", "group:yard"],
    }
}

/// The meaning of the language, atom by atom.
pub(crate) fn judge(model: &Model, case: &Case<'_>, touches: &[Touch]) -> Answer {
    let answers: Vec<Answer> = touches.iter().map(|touch| judge_one(model, case, touch)).collect();
    if answers.contains(&Answer::Deny) {
        return Answer::Deny;
    }
    let needs = answers.iter().find(|answer| matches!(answer, Answer::Needs(_)));
    needs.or_else(|| answers.first()).copied().unwrap_or(Answer::Deny)
}

fn judge_one(model: &Model, case: &Case<'_>, touch: &Touch) -> Answer {
    let has_addresses = ["read", "subscribe", "write", "file-read", "file-write"].contains(&touch.class);
    let strange = touch.class == "unknown"
        || (touch.protocol == "modbus"
            && (touch.class == "use"
                || has_addresses != touch.address.is_some()
                || (touch.class == "write" && !matches!(touch.area.as_deref(), Some("coil" | "holding")))))
        || (touch.protocol == "s7" && ["use", "file-read", "file-write"].contains(&touch.class))
        || (touch.protocol == "enip"
            && ["use", "subscribe", "program-read", "file-write"].contains(&touch.class));
    if strange {
        return Answer::Deny;
    }
    let matching: Vec<_> =
        model.rules_for(case).filter(|(_, [_, _, action, ..])| covers(action, case.target, touch)).collect();
    for (_, [_, _, action, condition, effect]) in model.rules_for(case) {
        let hit = covers(action, case.target, touch) || may_lie_within(action, case.target, touch);
        if effect == "deny" && hit && weigh(condition, case, touch) != Some(false) {
            return Answer::Deny;
        }
    }
    if ["housekeeping", "identify"].contains(&touch.class) {
        return Answer::Allow(0);
    }
    let mut owed = None;
    for (line, [.., condition, effect]) in &matching {
        if effect == "allow" && weigh(condition, case, touch) == Some(true) {
            let duties = ["approval:", "hold:", "supervised:", "rate:"];
            if !duties.iter().any(|duty| condition.contains(duty)) {
                return Answer::Allow(*line);
            }
            owed = owed.or(Some(Answer::Needs(*line)));
        }
    }
    owed.unwrap_or(Answer::Deny)
}

fn covers(action: &str, target: &str, touch: &Touch) -> bool {
    let mut words = action.split(':');
    let protocol = words.next().unwrap();
    if protocol != "*" && protocol != touch.protocol {
        return false;
    }
    if words.next().is_some_and(|class| class != touch.class) {
        return false;
    }
    words.all(|word| {
        let (name, inner) =
            word.strip_suffix(']').and_then(|word| word.split_once('[')).unwrap_or((word, ""));
        if name == "symbol" {
            let (tag, elements) = symbol(inner);
            return touch.area.as_deref() == Some(&tag)
                && elements.is_none_or(|(first, last)| {
                    touch.address.is_some_and(|address| first <= address && address <= last)
                });
        }
        if touch.protocol == "s7" && name != "tag" {
            let bits = bits(inner);
            return touch.area.as_deref() == Some(name)
                && touch
                    .address
                    .is_some_and(|bit| bits.is_none_or(|(first, last)| first <= bit && bit <= last));
        }
        let (first, last) = inner.split_once('-').unwrap_or((inner, inner));
        let within = |address: u32| {
            inner.is_empty() || (first.parse::<u32>().unwrap() <= address && address <= last.parse().unwrap())
        };
        match name {
            "unit" => touch.unit == inner.parse().ok(),
            "tag" => target == "plc" && tag_of(touch) == Some(inner),
            "file" => false,
            area => touch.area.as_deref() == Some(area) && touch.address.is_some_and(within),
        }
    })
}

/// Whether an action is about a part of what the touch may reach: one without
/// a place of S7 or CIP reaches anything of its class, a tag without an index
/// each of its elements.
fn may_lie_within(action: &str, target: &str, touch: &Touch) -> bool {
    let mut words = action.split(':');
    let (protocol, class, place) = (words.next(), words.next(), words.next());
    if protocol != Some(touch.protocol) || class != Some(touch.class) || touch.protocol == "modbus" {
        return false;
    }
    let inner = place.and_then(|place| place.strip_prefix("symbol[")).and_then(|rest| rest.strip_suffix(']'));
    match (place, &touch.area, touch.address) {
        (Some(place), None, _) => target == "plc" || !place.starts_with("tag["),
        (Some(_), Some(area), None) => inner.is_some_and(|inner| symbol(inner).0 == *area),
        (Some(_), Some(_), Some(_)) | (None, _, _) => false,
    }
}

/// `A[2-5]` into the name in capital letters and the elements.
fn symbol(text: &str) -> (String, Option<(u32, u32)>) {
    match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        None => (text.to_uppercase(), None),
        Some((name, elements)) => {
            let (first, last) = elements.split_once('-').unwrap();
            (name.to_uppercase(), Some((first.parse().unwrap(), last.parse().unwrap())))
        }
    }
}

/// `2-5` in bytes or `2.5` into bits.
fn bits(text: &str) -> Option<(u32, u32)> {
    if let Some((byte, bit)) = text.split_once('.') {
        let bit = byte.parse::<u32>().unwrap() * 8 + bit.parse::<u32>().unwrap();
        return Some((bit, bit));
    }
    let (first, last) = text.split_once('-')?;
    Some((first.parse::<u32>().unwrap() * 8, last.parse::<u32>().unwrap() * 8 + 7))
}

/// The tags of `plc`.
fn tag_of(touch: &Touch) -> Option<&'static str> {
    match (touch.area.as_deref()?, touch.address) {
        ("holding", Some(4 | 5)) => Some("pump"),
        ("holding", Some(8)) => Some("level"),
        ("coil", Some(3)) if touch.unit == Some(2) => Some("valve"),
        ("db1", Some(8..=23)) => Some("power"),
        ("db1", Some(35)) => Some("flag"),
        ("B", _) => Some("rate"),
        _ => None,
    }
}

/// True, false, or `None` for unknown.
fn weigh(condition: &str, case: &Case<'_>, touch: &Touch) -> Option<bool> {
    let truths: Vec<Option<bool>> = condition
        .split(" & ")
        .map(|term| match term.split_once(':') {
            Some(("window", "day")) => Some((8..18).contains(&case.hour)),
            Some(("window", name)) => Some(name == "now"),
            Some(("from", network)) => {
                let source = case.source.trim_start_matches("::ffff:");
                Some(source.starts_with(network.trim_end_matches("0/24")))
            }
            Some(("mfa", _)) => Some(case.webauthn),
            Some(("value", bounds)) => {
                let (low, high) = bounds.split_once("..").unwrap();
                within(case.target, touch, low, high)
            }
            _ => Some(true),
        })
        .collect();
    if truths.contains(&Some(false)) {
        Some(false)
    } else if truths.contains(&None) {
        None
    } else {
        Some(true)
    }
}

fn within(target: &str, touch: &Touch, low: &str, high: &str) -> Option<bool> {
    let between = |value: f64| low.parse::<f64>().unwrap() <= value && value <= high.parse().unwrap();
    let byte = |wanted: u32| touch.bytes.iter().find(|(at, _)| *at == wanted).map(|(_, byte)| *byte);
    match (touch.protocol, tag_of(touch)) {
        ("enip", _) => return touch.number.map(|number| between(number.into())),
        ("s7", Some("power")) => return Some(between(i16::from_be_bytes([byte(1)?, byte(2)?]).into())),
        ("s7", Some("flag")) => {
            let flag = touch.bit.or_else(|| byte(4).map(|byte| byte >> 3 & 1))?;
            return Some(between(flag.into()));
        }
        ("s7", _) => return None,
        _ => {}
    }
    let address = touch.address?;
    let register = |address| touch.registers.iter().find(|(at, _)| *at == address).map(|(_, word)| *word);
    let tag = if target == "plc" { tag_of(touch) } else { None };
    if tag == Some("pump") {
        let ([c, d], [a, b]) = (register(4)?, register(5)?);
        let value = f32::from_be_bytes([a, b, c, d]);
        let (low, high): (f32, f32) = (low.parse().unwrap(), high.parse().unwrap());
        return if value.is_nan() { None } else { Some(low <= value && value <= high) };
    }
    let word = register(address)?;
    let value = if tag == Some("level") {
        f64::from(i16::from_be_bytes(word))
    } else {
        f64::from(u16::from_be_bytes(word))
    };
    Some(low.parse::<f64>().unwrap() <= value && value <= high.parse().unwrap())
}
