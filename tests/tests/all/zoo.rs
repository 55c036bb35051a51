//! The certificate zoo: chains as nobody should make them, each against the
//! real endpoint, each beside a twin that differs in one field and gets in.
//!
//! Every animal has a key of its own that belongs to a person of its own, so
//! that nothing but the certificate can be what keeps it out. Who gets in is
//! looked up in the gateway's own register, by the chain.

mod animals;
mod der;
mod form;
mod weak;
mod world;

use animals::{Animal, Verdict};
use form::{Authority, List};
use rcgen::{KeyPair, PublicKeyData};
use std::{sync::Arc, time::Duration};
use tests::{
    house::{House, Person},
    visitor::{Ended, Papers, Visitor},
    workshop::Workshop,
};
use time::OffsetDateTime;
use tokio::{sync::Semaphore, task::JoinSet};
use weak::{ForeignKey, Manner};
use wire::{Refusal, ToClient, ToGateway};
use world::{Base, Specimen, World};

/// Sign-ins at once.
const AT_ONCE: usize = 16;

/// What really happened.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Refused { alert: u64, why: String },
    Person(String),
    Nobody,
    Else(String),
}

fn workshop() -> Workshop {
    let workshop = Workshop::new(([127, 0, 0, 1], 502).into());
    let limits = "\n[limits]\nconnections_per_address = 1000\n";
    workshop.edit("gateway.toml", "\n[admin]", &format!("{limits}\n[admin]")).unwrap();
    workshop
}

fn zoo(world: &World, lists: &[String]) -> (Workshop, Arc<House>) {
    let workshop = workshop();
    world.furnish(&workshop, lists);
    let house = Arc::new(House::open(&workshop).unwrap());
    (workshop, house)
}

/// Goes through the handshake and, if let, gives the person's code.
async fn try_in(
    house: &House,
    visitor: &Visitor,
    papers: &Papers,
    chain: &[Vec<u8>],
    person: &Person,
) -> Outcome {
    match sign_in(house, visitor, papers, chain, person).await {
        Ok(outcome) => outcome,
        Err(Ended::Alert { alert, why }) => Outcome::Refused { alert, why },
        Err(other) => Outcome::Else(format!("{other:?}")),
    }
}

async fn sign_in(
    house: &House,
    visitor: &Visitor,
    papers: &Papers,
    chain: &[Vec<u8>],
    person: &Person,
) -> Result<Outcome, Ended> {
    let mut visit = visitor.knock(house.address(), papers).await?;
    let greeting = visit.greet().await?;
    let ToClient::Welcome { person: name, .. } = &greeting else {
        return Ok(Outcome::Else(format!("{greeting:?}")));
    };
    assert!(name.len() <= wire::LONGEST_NAME && !name.chars().any(char::is_control), "{name:?}");
    visit.say(&ToGateway::Totp { code: house.code(person).unwrap() }).await;
    let answer = visit.hear().await?;
    let outcome = if let ToClient::SignedIn { .. } = answer {
        let entries = house.office().registry.sign_ins();
        let own = entries.iter().find(|(_, entry)| {
            entry.chain.iter().map(|one| one.as_ref()).eq(chain.iter().map(Vec::as_slice))
        });
        own.map_or_else(
            || Outcome::Else("not in the register".to_owned()),
            |(_, entry)| Outcome::Person(entry.person.to_string()),
        )
    } else if let ToClient::Refused { code: Refusal::Factor, .. } = answer {
        Outcome::Nobody
    } else {
        Outcome::Else(format!("{answer:?}"))
    };
    visit.leave();
    Ok(outcome)
}

/// Whether it came as the table says; if not, what did.
fn differs(animal: &Animal, outcome: &Outcome, person: &Person) -> Option<String> {
    let as_told = match (animal.verdict, outcome) {
        (Verdict::Refused(alert, words), Outcome::Refused { alert: came, why }) => {
            alert == *came && why.contains(words)
        }
        (Verdict::Owner, Outcome::Person(handle)) => *handle == person.handle,
        (Verdict::Nobody, Outcome::Nobody) => true,
        (Verdict::Refused(..) | Verdict::Owner | Verdict::Nobody, _) => false,
    };
    (!as_told).then(|| format!("{}: {:?} expected, but {outcome:?}", animal.name, animal.verdict))
}

#[tokio::test]
async fn every_chain_gets_its_own_verdict_and_its_twin_gets_in() {
    let world = Arc::new(World::new());
    let (workshop, house) = zoo(&world, &world.lists());
    let visitor = Visitor::new(&workshop.path("pki/ca.pem")).unwrap();
    let animals = Arc::new(animals::all());
    let mut people = Vec::new();
    for number in 0..animals.len() {
        let key = Arc::new(KeyPair::generate().unwrap());
        let handle = format!("zoo-{number}@vendor-a");
        people.push((house.import(&handle, &key.subject_public_key_info()).unwrap(), key));
    }
    let people = Arc::new(people);
    let mut wrong = Vec::new();
    for round in ["twins", "animals"] {
        let mut visits = JoinSet::new();
        let places = Arc::new(Semaphore::new(AT_ONCE));
        for index in 0..animals.len() {
            let (world, house, visitor) = (Arc::clone(&world), Arc::clone(&house), visitor.clone());
            let (animals, people, places) = (Arc::clone(&animals), Arc::clone(&people), Arc::clone(&places));
            visits.spawn(async move {
                let _place = places.acquire().await;
                let (animal, (person, key)) = (&animals[index], &people[index]);
                let serial = u32::try_from(index).unwrap() + 100;
                let mut specimen = world.specimen(animal.base, serial, &person.handle, key);
                if round == "animals" {
                    (animal.change)(&world, &mut specimen);
                }
                let chain = specimen.chain(&world);
                let papers = specimen.papers(chain.clone());
                let before = std::time::Instant::now();
                let outcome = try_in(&house, &visitor, &papers, &chain, person).await;
                println!("{round}: {}: {outcome:?} after {:?}", animal.name, before.elapsed());
                match round {
                    "animals" => differs(animal, &outcome, person),
                    _ if outcome == Outcome::Person(person.handle.clone()) => None,
                    _ => Some(format!("the twin of {}: {outcome:?}", animal.name)),
                }
            });
        }
        wrong.extend(visits.join_all().await.into_iter().flatten());
        // A code counts once: who got in once needs the next one.
        house.advance(Duration::from_secs(31));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), animals.len(), wrong.join("\n"));
}

/// One person at one gateway.
struct Applicant {
    world: Arc<World>,
    /// Its folder, which goes with it.
    _workshop: Workshop,
    house: Arc<House>,
    visitor: Visitor,
    key: Arc<KeyPair>,
    person: Person,
}

impl Applicant {
    fn new(world: &Arc<World>, key: &Arc<KeyPair>, lists: &[String]) -> Self {
        let (workshop, house) = zoo(world, lists);
        let visitor = Visitor::new(&workshop.path("pki/ca.pem")).unwrap();
        let person = house.import("zoo-0@vendor-a", &key.subject_public_key_info()).unwrap();
        Self { world: Arc::clone(world), _workshop: workshop, house, visitor, key: Arc::clone(key), person }
    }

    fn specimen(&self, base: Base) -> Specimen {
        self.world.specimen(base, 100, &self.person.handle, &self.key)
    }

    async fn shows(&self, specimen: &Specimen) -> Outcome {
        let chain = specimen.chain(&self.world);
        self.shows_papers(&specimen.papers(chain.clone()), &chain).await
    }

    /// Each time with the next code.
    async fn shows_papers(&self, papers: &Papers, chain: &[Vec<u8>]) -> Outcome {
        self.house.advance(Duration::from_secs(31));
        try_in(&self.house, &self.visitor, papers, chain, &self.person).await
    }

    fn let_in(&self) -> Outcome {
        Outcome::Person(self.person.handle.clone())
    }
}

#[track_caller]
fn refused(outcome: &Outcome, alert: u64, words: &str) {
    match outcome {
        Outcome::Refused { alert: came, why } if *came == alert && why.contains(words) => {}
        Outcome::Refused { .. } | Outcome::Person(_) | Outcome::Nobody | Outcome::Else(_) => {
            panic!("alert {alert} with {words:?} expected, but {outcome:?}")
        }
    }
}

#[tokio::test]
async fn a_chain_is_as_good_as_the_list_of_its_intermediate() {
    let (world, key) = (Arc::new(World::new()), Arc::new(KeyPair::generate().unwrap()));
    let [root, issuing, sub] = world.lists();
    let all = Applicant::new(&world, &key, &[root.clone(), issuing, sub.clone()]);
    assert_eq!(all.shows(&all.specimen(Base::Through)).await, all.let_in());
    refused(&all.shows_papers(&Papers::none(), &[]).await, 116, "");
    // The same chain where that one list is missing, or somebody else made it.
    let forged = world.issuing_list().pem(&world.rogue.key);
    for (lists, alert, words) in [
        (vec![root.clone(), sub.clone()], 48, "UnknownRevocationStatus"),
        (vec![root.clone(), forged, sub], 40, "BadSignature"),
    ] {
        let some = Applicant::new(&world, &key, &lists);
        refused(&some.shows(&some.specimen(Base::Through)).await, alert, words);
        assert_eq!(some.shows(&some.specimen(Base::Direct)).await, some.let_in(), "{words}");
    }
    // The root's own list has to be there, and genuine.
    for lists in [vec![world.sub_list()], vec![world.root_list().pem(&world.rogue.key)]] {
        let workshop = workshop();
        world.furnish(&workshop, &lists);
        let why = House::open(&workshop).unwrap_err().to_string();
        assert!(why.contains("is not signed by the CA"), "{why}");
    }
}

#[tokio::test]
async fn a_list_that_has_lapsed_closes_the_way_that_leads_by_it() {
    let (world, key) = (Arc::new(World::new()), Arc::new(KeyPair::generate().unwrap()));
    let [root, _, sub] = world.lists();
    let mut short = world.issuing_list();
    short.lapses = OffsetDateTime::now_utc() + time::Duration::days(10);
    let applicant = Applicant::new(&world, &key, &[root, short.pem(&world.issuing.key), sub]);
    let (through, direct) = (applicant.specimen(Base::Through), applicant.specimen(Base::Direct));
    assert_eq!(applicant.shows(&through).await, applicant.let_in());
    applicant.house.advance(Duration::from_secs(11 * 24 * 60 * 60));
    refused(&applicant.shows(&through).await, 48, "revocation list expired");
    assert_eq!(applicant.shows(&direct).await, applicant.let_in());
    applicant.house.advance(Duration::from_secs(10 * 24 * 60 * 60));
    refused(&applicant.shows(&direct).await, 48, "revocation list expired");
}

#[tokio::test]
async fn weak_keys_and_hashes_are_refused() {
    if !weak::available() {
        println!("skipped: there is no openssl");
        return;
    }
    let world = Arc::new(World::new());
    let folder = tempfile::tempdir().unwrap();
    let [strong, small] = [2048, 1024].map(|bits| ForeignKey::rsa(folder.path(), bits));
    // Intermediates with RSA keys, each with its list.
    let uppers = [("strong", &strong), ("small", &small)].map(|(name, key)| {
        let mut upper = Authority::new(9, name, world.root.name(), None);
        upper.form.public_key = key.public();
        let list = List::new(upper.name());
        let list = list.signed(&weak::rsa_sha256(), |body| key.sign(Manner::Sha256, body));
        (upper.form, list)
    });
    let mut lists = world.lists().to_vec();
    lists.extend(uppers.iter().map(|(_, list)| list.clone()));
    let key = Arc::new(KeyPair::generate().unwrap());
    let applicant = Applicant::new(&world, &key, &lists);
    for ((upper, _), signer, expected) in
        [(&uppers[0], &strong, None), (&uppers[1], &small, Some((51, "BadSignature")))]
    {
        let mut specimen = applicant.specimen(Base::Direct);
        specimen.leaf.issuer = upper.subject.clone();
        specimen.leaf.algorithm = weak::rsa_sha256();
        specimen.leaf.outer_algorithm = weak::rsa_sha256();
        specimen.signature = Some(signer.sign(Manner::Sha256, &specimen.leaf.body()));
        specimen.above = vec![(upper.clone(), Arc::clone(&world.root.key))];
        let outcome = applicant.shows(&specimen).await;
        match expected {
            None => assert_eq!(outcome, applicant.let_in()),
            Some((alert, words)) => refused(&outcome, alert, words),
        }
    }
    // The person's own key.
    for (key, bits) in [(&strong, 2048), (&small, 1024)] {
        let person = applicant.house.import(&format!("zoo-{bits}@vendor-a"), &key.public()).unwrap();
        let mut specimen = applicant.specimen(Base::Direct);
        specimen.leaf.public_key = key.public();
        let chain = specimen.chain(&world);
        let papers = Papers::signed_by(chain.clone(), key.signing());
        let outcome = try_in(&applicant.house, &applicant.visitor, &papers, &chain, &person).await;
        match bits {
            1024 => refused(&outcome, 51, "BadSignature"),
            _ => assert_eq!(outcome, Outcome::Person(person.handle)),
        }
    }
    // The root's own signature with either hash.
    let root = ForeignKey::of(folder.path(), &world.root.key);
    let mut specimen = applicant.specimen(Base::Direct);
    specimen.signature = Some(root.sign(Manner::Sha256, &specimen.leaf.body()));
    assert_eq!(applicant.shows(&specimen).await, applicant.let_in());
    specimen.leaf.algorithm = weak::ec_sha1();
    specimen.leaf.outer_algorithm = weak::ec_sha1();
    specimen.signature = Some(root.sign(Manner::Sha1, &specimen.leaf.body()));
    refused(&applicant.shows(&specimen).await, 51, "UnsupportedSignatureAlgorithm");
}
