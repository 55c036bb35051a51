//! The animals: what is changed, and what the gateway says to it.

use super::der::{
    self, BMP, COMMON_NAME, ORGANISATION, PRINTABLE, TELETEX, UTF8, common, explicit, moment, name,
};
use super::form::{
    ANY, Authority, CERTIFICATE_SIGN, CLIENT, CODE, Critical, DIGITAL_SIGNATURE, Extension, Form,
    KEY_ENCIPHERMENT, LIST_SIGN, SERVER, algorithm,
};
use super::world::Base::{self, Deep, Direct, Through};
use super::world::{REVOKED_BY_ISSUING, REVOKED_BY_ROOT, REVOKED_HUGE, Specimen, World};
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

/// What the gateway makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Refused in the handshake: TLS alert (RFC 8446, 6), and words of the
    /// reason, since one alert stands for several.
    Refused(u64, &'static str),
    /// Signs in as the person whose key it is.
    Owner,
    /// Gets as far as the second factor and is nobody there.
    Nobody,
}
use Verdict::{Nobody, Owner, Refused};

const HANDSHAKE_FAILURE: u64 = 40;
const BAD_CERTIFICATE: u64 = 42;
const UNSUPPORTED_CERTIFICATE: u64 = 43;
const CERTIFICATE_REVOKED: u64 = 44;
const CERTIFICATE_EXPIRED: u64 = 45;
const CERTIFICATE_UNKNOWN: u64 = 46;
const UNKNOWN_CA: u64 = 48;
const DECRYPT_ERROR: u64 = 51;

pub(super) struct Animal {
    pub(super) name: &'static str,
    pub(super) base: Base,
    pub(super) change: fn(&World, &mut Specimen),
    pub(super) verdict: Verdict,
}

fn animal(name: &'static str, base: Base, verdict: Verdict, change: fn(&World, &mut Specimen)) -> Animal {
    Animal { name, base, change, verdict }
}

fn in_days(days: i64) -> Vec<u8> {
    moment(OffsetDateTime::now_utc() + Duration::days(days))
}

fn fresh() -> Arc<KeyPair> {
    Arc::new(KeyPair::generate().unwrap())
}

pub(super) fn all() -> Vec<Animal> {
    [times(), usages(), paths(), signatures(), revocations(), extensions(), forms(), names(), keys()]
        .into_iter()
        .flatten()
        .collect()
}

fn times() -> Vec<Animal> {
    let expired = Refused(CERTIFICATE_EXPIRED, "expired");
    let early = Refused(CERTIFICATE_EXPIRED, "not valid yet");
    vec![
        animal("expired yesterday", Direct, expired, |_, it| it.leaf.not_after = in_days(-1)),
        animal("valid from tomorrow", Direct, early, |_, it| it.leaf.not_before = in_days(1)),
        animal("ends before it begins", Direct, Refused(CERTIFICATE_EXPIRED, "Expired"), |_, it| {
            it.leaf.not_after = in_days(-2)
        }),
        animal("intermediate expired", Through, expired, |_, it| it.above[0].0.not_after = in_days(-1)),
        animal("intermediate valid from tomorrow", Through, early, |_, it| {
            it.above[0].0.not_before = in_days(1);
        }),
        animal("a date without seconds", Direct, Refused(BAD_CERTIFICATE, "BadEncoding"), |_, it| {
            it.leaf.not_after = der::value(0x17, b"4901010000Z");
        }),
        animal("a date in another zone", Direct, Refused(BAD_CERTIFICATE, "BadEncoding"), |_, it| {
            it.leaf.not_after = der::value(0x17, b"490101000000+0100");
        }),
        animal("a date of the year 9999", Direct, Owner, |_, it| {
            it.leaf.not_after = der::value(0x18, b"99991231235959Z");
        }),
    ]
}

fn usages() -> Vec<Animal> {
    let purpose = Refused(UNSUPPORTED_CERTIFICATE, "does not allow extended key usage");
    vec![
        animal("for servers only", Direct, purpose, |_, it| {
            it.leaf.replace(Extension::purposes(&[SERVER]));
        }),
        animal("for code only", Direct, purpose, |_, it| it.leaf.replace(Extension::purposes(&[CODE]))),
        animal("for any purpose, not named", Direct, purpose, |_, it| {
            it.leaf.replace(Extension::purposes(&[ANY]));
        }),
        animal("purposes that name none", Direct, Refused(CERTIFICATE_UNKNOWN, "EmptyEku"), |_, it| {
            it.leaf.replace(Extension::purposes(&[]));
        }),
        // RFC 5280, 4.2.1.12: without the extension nothing is restricted.
        animal("no purposes", Direct, Owner, |_, it| it.leaf.remove(&Extension::purposes(&[CLIENT]))),
        animal("for servers and clients", Direct, Owner, |_, it| {
            it.leaf.replace(Extension::purposes(&[SERVER, CLIENT]));
        }),
        animal(
            "key usage without signatures",
            Direct,
            Refused(CERTIFICATE_UNKNOWN, "NoSignatures"),
            |_, it| {
                it.leaf.replace(Extension::key_usage(KEY_ENCIPHERMENT));
            },
        ),
        animal("no key usage", Direct, Owner, |_, it| {
            it.leaf.remove(&Extension::key_usage(DIGITAL_SIGNATURE));
        }),
        animal(
            "a person that is a CA",
            Direct,
            Refused(CERTIFICATE_UNKNOWN, "CaUsedAsEndEntity"),
            |_, it| {
                it.leaf.extensions.push(Extension::authority(None));
            },
        ),
        animal("a person that says to be no CA", Direct, Owner, |_, it| {
            it.leaf.extensions.push(Extension::no_authority());
        }),
        animal("intermediate for servers only", Through, purpose, |_, it| {
            it.above[0].0.extensions.push(Extension::purposes(&[SERVER]));
        }),
        animal(
            "intermediate that is no CA",
            Through,
            Refused(CERTIFICATE_UNKNOWN, "EndEntityUsedAsCa"),
            |_, it| {
                it.above[0].0.replace(Extension::no_authority());
            },
        ),
        animal(
            "intermediate without constraints",
            Through,
            Refused(CERTIFICATE_UNKNOWN, "EndEntityUsedAsCa"),
            |_, it| {
                it.above[0].0.remove(&Extension::no_authority());
            },
        ),
        animal(
            "intermediate that may not sign certificates",
            Through,
            Refused(CERTIFICATE_UNKNOWN, "NoCertificates"),
            |_, it| {
                it.above[0].0.replace(Extension::key_usage(DIGITAL_SIGNATURE | LIST_SIGN));
            },
        ),
        animal(
            "intermediate that may not sign lists",
            Through,
            Refused(HANDSHAKE_FAILURE, "IssuerInvalidForCrl"),
            |_, it| {
                it.above[0].0.replace(Extension::key_usage(CERTIFICATE_SIGN));
            },
        ),
    ]
}

fn paths() -> Vec<Animal> {
    let unknown = Refused(UNKNOWN_CA, "UnknownIssuer");
    let too_many = Refused(CERTIFICATE_UNKNOWN, "TooManyCertificates");
    vec![
        animal("deeper than the path may be", Deep, Refused(CERTIFICATE_UNKNOWN, "PathLen"), |_, it| {
            it.above[1].0.replace(Extension::authority(Some(0)));
        }),
        animal("the intermediate is missing", Through, unknown, |_, it| it.above.clear()),
        animal("the upper intermediate is missing", Deep, unknown, |_, it| {
            it.above.pop();
        }),
        // RFC 8446, 4.4.2: any order behind the first must be taken.
        animal("intermediates in another order", Deep, Owner, |_, it| it.above.reverse()),
        animal("the root is sent along", Through, Owner, |world, it| {
            it.above.push((world.root.form.clone(), Arc::clone(&world.root.key)));
        }),
        animal(
            "the intermediate comes first",
            Through,
            Refused(CERTIFICATE_UNKNOWN, "CaUsedAsEndEntity"),
            |_, it| {
                it.afterwards = |_, chain| chain.reverse();
            },
        ),
        animal("the person's own twice", Direct, Refused(CERTIFICATE_UNKNOWN, "NoCertificates"), |_, it| {
            it.afterwards = |_, chain| chain.push(chain[0].clone());
        }),
        animal("four others are sent along", Direct, Owner, |world, it| strangers(world, it, 4)),
        animal("five others are sent along", Direct, too_many, |world, it| strangers(world, it, 5)),
        animal("more levels than the bound", Through, too_many, |world, it| levels(world, it, 5)),
        // The search for a path through these takes a hundred times as long as
        // any other refusal.
        animal("a hundred and twenty of one name", Direct, too_many, |world, it| {
            it.leaf.issuer = common("loop");
            it.signer = Arc::clone(&world.rogue.key);
            it.above = (0..120).map(|serial| of_one_name(world, serial)).collect();
        }),
    ]
}

fn strangers(world: &World, it: &mut Specimen, count: u32) {
    it.above.extend((0..count).map(|serial| {
        let other = Authority::new(serial + 1, "other", common("rogue root"), None);
        (other.form, Arc::clone(&world.rogue.key))
    }));
}

/// Puts so many authorities between the leaf and the issuing one.
fn levels(world: &World, it: &mut Specimen, count: u32) {
    let mut upper = Authority { form: it.above[0].0.clone(), key: Arc::clone(&world.issuing.key) };
    for serial in 1..=count {
        let lower = Authority::new(serial, &format!("level {serial}"), upper.name(), None);
        it.above.insert(0, (lower.form.clone(), upper.key));
        upper = lower;
    }
    it.leaf.issuer = upper.name();
    it.signer = upper.key;
}

fn of_one_name(world: &World, serial: u32) -> (Form, Arc<KeyPair>) {
    let one = Authority::new(serial + 1, "loop", common("loop"), None);
    (one.form, Arc::clone(&world.rogue.key))
}

fn signatures() -> Vec<Animal> {
    let unknown = Refused(UNKNOWN_CA, "UnknownIssuer");
    let forged = Refused(DECRYPT_ERROR, "BadSignature");
    let unsupported = Refused(DECRYPT_ERROR, "UnsupportedSignatureAlgorithm");
    vec![
        animal("another CA", Direct, unknown, |world, it| {
            it.leaf.issuer = world.rogue.name();
            it.signer = Arc::clone(&world.rogue.key);
        }),
        animal("another CA, sent along", Direct, unknown, |world, it| {
            it.leaf.issuer = world.rogue.name();
            it.signer = Arc::clone(&world.rogue.key);
            it.above.push((world.rogue.form.clone(), Arc::clone(&world.rogue.key)));
        }),
        animal("another CA of the same name", Direct, forged, |world, it| {
            it.signer = Arc::clone(&world.rogue.key);
        }),
        animal("a self-signed clone of the CA, sent along", Direct, forged, |world, it| {
            let clone = Authority::new(1, "zoo root", world.root.name(), None);
            it.signer = Arc::clone(&clone.key);
            it.above.push((clone.form, clone.key));
        }),
        animal("a self-issued clone of the intermediate", Through, forged, |world, it| {
            let clone = Authority::new(2, "zoo issuing", world.root.name(), Some(1));
            it.signer = Arc::clone(&clone.key);
            it.above = vec![(clone.form, Arc::clone(&world.rogue.key))];
        }),
        animal("signed by itself", Direct, unknown, |_, it| {
            it.leaf.issuer = it.leaf.subject.clone();
            it.signer = Arc::clone(&it.key);
        }),
        animal("signed by itself in the CA's name", Direct, forged, |_, it| {
            it.signer = Arc::clone(&it.key);
        }),
        animal("named like the CA that issued it", Direct, Owner, |world, it| {
            it.leaf.subject = world.root.name();
        }),
        animal(
            "issued by a person",
            Direct,
            Refused(CERTIFICATE_UNKNOWN, "EndEntityUsedAsCa"),
            |world, it| {
                let person = fresh();
                let upper = world.specimen(Direct, 77, "colleague", &person);
                it.leaf.issuer = common("colleague");
                it.signer = person;
                it.above.push((upper.leaf, upper.signer));
            },
        ),
        animal("a changed signature", Direct, forged, |_, it| {
            it.afterwards = |_, chain| *chain[0].last_mut().unwrap() ^= 1;
        }),
        animal("a changed name", Direct, forged, |_, it| {
            it.afterwards = |_, chain| {
                let at = chain[0].windows(4).position(|word| word == b"zoo-").unwrap();
                chain[0][at] = b'Z';
            };
        }),
        animal("a changed intermediate", Through, forged, |_, it| {
            it.afterwards = |_, chain| *chain[1].last_mut().unwrap() ^= 1;
        }),
        animal("no signature", Direct, forged, |_, it| {
            it.signature = Some(Vec::new());
        }),
        animal(
            "two algorithms",
            Direct,
            Refused(CERTIFICATE_UNKNOWN, "SignatureAlgorithmMismatch"),
            |_, it| {
                it.leaf.outer_algorithm = algorithm(der::RSA_SHA256);
            },
        ),
        animal("an algorithm that nobody knows", Direct, unsupported, |_, it| {
            it.leaf.algorithm = algorithm(&[0x2A, 3, 4]);
            it.leaf.outer_algorithm = it.leaf.algorithm.clone();
        }),
        animal("an algorithm of another kind of key", Direct, unsupported, |_, it| {
            it.leaf.algorithm = algorithm(der::RSA_SHA256);
            it.leaf.outer_algorithm = it.leaf.algorithm.clone();
        }),
        animal("the CA's name in another kind of string", Direct, unknown, |_, it| {
            it.leaf.issuer = name(&[(COMMON_NAME, PRINTABLE, b"zoo root")]);
        }),
        animal("the CA's name in capitals", Direct, unknown, |_, it| it.leaf.issuer = common("Zoo Root")),
    ]
}

fn revocations() -> Vec<Animal> {
    let revoked = Refused(CERTIFICATE_REVOKED, "Revoked");
    vec![
        animal("revoked", Direct, revoked, |_, it| it.leaf.serial = two(REVOKED_BY_ROOT)),
        animal("revoked by the intermediate", Through, revoked, |_, it| {
            it.leaf.serial = two(REVOKED_BY_ISSUING);
        }),
        animal("intermediate revoked", Through, revoked, |_, it| {
            it.above[0].0.serial = two(REVOKED_BY_ROOT);
        }),
        animal("revoked under a huge number", Direct, revoked, |_, it| {
            it.leaf.serial = REVOKED_HUGE.to_vec()
        }),
        animal(
            "revoked under a number with a needless zero",
            Direct,
            Refused(BAD_CERTIFICATE, "BadEncoding"),
            |_, it| {
                it.leaf.serial = [vec![0], two(REVOKED_BY_ROOT)].concat();
            },
        ),
        animal("the number is another issuer's revoked one", Through, Owner, |_, it| {
            it.leaf.serial = two(REVOKED_BY_ROOT);
        }),
        animal(
            "an intermediate without a list",
            Through,
            Refused(UNKNOWN_CA, "UnknownRevocationStatus"),
            |world, it| {
                levels(world, it, 1);
            },
        ),
    ]
}

fn two(serial: u32) -> Vec<u8> {
    serial.to_be_bytes()[2..].to_vec()
}

fn extensions() -> Vec<Animal> {
    let critical = Refused(CERTIFICATE_UNKNOWN, "UnsupportedCriticalExtension");
    let violated = Refused(CERTIFICATE_UNKNOWN, "NameConstraint");
    vec![
        animal("an unknown critical extension", Direct, critical, |_, it| {
            it.leaf.extensions.push(Extension::new(&[0x2A, 3, 4], Critical::Yes, vec![5, 0]));
        }),
        animal("an unknown critical extension of the intermediate", Through, critical, |_, it| {
            it.above[0].0.extensions.push(Extension::new(&[0x2A, 3, 4], Critical::Yes, vec![5, 0]));
        }),
        animal("an unknown extension", Direct, Owner, |_, it| {
            it.leaf.extensions.push(Extension::new(&[0x2A, 3, 4], Critical::No, vec![5, 0]));
        }),
        animal("purposes twice", Direct, Refused(CERTIFICATE_UNKNOWN, "ExtensionValueInvalid"), |_, it| {
            it.leaf.extensions.push(Extension::purposes(&[CLIENT]));
        }),
        animal(
            "for servers and, again, for clients",
            Direct,
            Refused(CERTIFICATE_UNKNOWN, "ExtensionValueInvalid"),
            |_, it| {
                it.leaf.extensions.insert(0, Extension::purposes(&[SERVER]));
            },
        ),
        animal("an unknown extension twice", Direct, Refused(BAD_CERTIFICATE, "BadEncoding"), |_, it| {
            let one = Extension::new(&[0x2A, 3, 4], Critical::No, vec![5, 0]);
            it.leaf.extensions.extend([one.clone(), one]);
        }),
        animal("constraints that are no DER", Direct, Refused(BAD_CERTIFICATE, "BadEncoding"), |_, it| {
            let mut broken = Extension::no_authority();
            broken.content = vec![0x30, 5, 1];
            it.leaf.extensions.push(broken);
        }),
        animal("key usage that is no DER", Direct, Refused(CERTIFICATE_UNKNOWN, "NoSignatures"), |_, it| {
            let mut broken = Extension::key_usage(DIGITAL_SIGNATURE);
            broken.content = vec![3, 9, 7];
            it.leaf.replace(broken);
        }),
        animal("a host of another domain than the intermediate may name", Through, violated, |_, it| {
            it.above[0].0.extensions.push(Extension::only_hosts_of(b"vendor-a.example"));
            it.leaf.extensions.push(Extension::host(b"pc1.vendor-b.example"));
        }),
        animal("a host of the domain that the intermediate may name", Through, Owner, |_, it| {
            it.above[0].0.extensions.push(Extension::only_hosts_of(b"vendor-a.example"));
            it.leaf.extensions.push(Extension::host(b"pc1.vendor-a.example"));
        }),
        animal(
            "a host with a zero byte under a constraint",
            Through,
            Refused(CERTIFICATE_UNKNOWN, "MalformedDnsIdentifier"),
            |_, it| {
                it.above[0].0.extensions.push(Extension::only_hosts_of(b"vendor-a.example"));
                it.leaf.extensions.push(Extension::host(b"pc1.vendor-a.example\0.vendor-b.example"));
            },
        ),
    ]
}

fn forms() -> Vec<Animal> {
    let broken = Refused(BAD_CERTIFICATE, "BadEncoding");
    vec![
        animal("no DER at all", Direct, broken, |_, it| {
            it.afterwards = |_, chain| chain[0] = b"not a certificate".to_vec();
        }),
        animal("cut short", Direct, broken, |_, it| {
            it.afterwards = |_, chain| {
                chain[0].pop();
            };
        }),
        animal("bytes behind it", Direct, broken, |_, it| it.afterwards = |_, chain| chain[0].push(0)),
        animal("no certificate beside it", Direct, broken, |_, it| {
            it.afterwards = |_, chain| chain.push(b"not a certificate".to_vec());
        }),
        animal("a length without an end", Direct, broken, |_, it| {
            it.afterwards = |_, chain| {
                // BER's indefinite form: 80, the content, two zeros.
                let content = chain[0].split_off(4);
                chain[0] = [vec![0x30, 0x80], content, vec![0, 0]].concat();
            };
        }),
        animal("version 1", Direct, Refused(CERTIFICATE_UNKNOWN, "UnsupportedCertVersion"), |_, it| {
            it.leaf.version = Vec::new();
        }),
        animal("version 4", Direct, Refused(CERTIFICATE_UNKNOWN, "UnsupportedCertVersion"), |_, it| {
            it.leaf.version = explicit(0, &der::integer(&[3]));
        }),
        animal("unique identifiers", Direct, broken, |_, it| it.leaf.unique = der::value(0x81, &[0, 1])),
        animal("a negative number", Direct, Owner, |_, it| it.leaf.serial = vec![0x9A, 1]),
        animal("the number zero", Direct, Owner, |_, it| it.leaf.serial = vec![0]),
        animal("a huge number", Direct, Owner, |_, it| it.leaf.serial = vec![0x41; 200]),
        animal("an empty number", Direct, broken, |_, it| it.leaf.serial = vec![]),
        animal("as large as one may be", Direct, Owner, |_, it| {
            it.leaf.extensions.push(Extension::new(&[0x2A, 3, 4], Critical::No, vec![0; 40_000]));
        }),
    ]
}

fn names() -> Vec<Animal> {
    vec![
        animal("a comma and another name", Direct, Owner, |_, it| {
            it.leaf.subject = common("zoo,CN=operator-1");
        }),
        animal("separators", Direct, Owner, |_, it| it.leaf.subject = common("a;b/CN=c+d=\"e\"\\f#<g>")),
        animal("a new line", Direct, Owner, |_, it| {
            it.leaf.subject = common("zoo\r\n{\"event\":\"signed_in\",\"person\":\"operator-1\"}");
        }),
        animal("a zero byte behind another's handle", Direct, Owner, |_, it| {
            it.leaf.subject = common("operator-1\0.example");
        }),
        animal("what moves a terminal's cursor", Direct, Owner, |_, it| {
            it.leaf.subject = common("\u{1b}[2J\u{1b}]0;operator-1\u{7}");
        }),
        animal("what writes from right to left", Direct, Owner, |_, it| {
            it.leaf.subject = common("\u{202e}1-rotarepo\u{200b}");
        }),
        animal("no name", Direct, Owner, |_, it| it.leaf.subject = name(&[])),
        animal("an organisation only", Direct, Owner, |_, it| {
            it.leaf.subject = name(&[(ORGANISATION, UTF8, b"vendor-a")]);
        }),
        animal("another's handle", Direct, Owner, |_, it| it.leaf.subject = common("operator-1")),
        animal("two common names, another's first", Direct, Owner, |_, it| {
            it.leaf.subject =
                name(&[(COMMON_NAME, UTF8, b"operator-1"), (COMMON_NAME, UTF8, b"tech-1@vendor-a")]);
        }),
        animal("two names in one part", Direct, Owner, |_, it| {
            let one = der::attribute(&(COMMON_NAME, UTF8, b"operator-1"));
            let two = der::attribute(&(ORGANISATION, UTF8, b"vendor-a"));
            it.leaf.subject = der::sequence(&[der::set(&[one, two])]);
        }),
        animal("a very long name", Direct, Owner, |_, it| it.leaf.subject = common(&"n".repeat(20_000))),
        animal("three thousand names", Direct, Owner, |_, it| {
            it.leaf.subject = name(&vec![(COMMON_NAME, UTF8, b"n".as_slice()); 3_000]);
        }),
        animal("a name that is no UTF-8", Direct, Owner, |_, it| {
            it.leaf.subject = name(&[(COMMON_NAME, UTF8, &[0xC3, 0x28, 0xFF])]);
        }),
        animal("a printable string that is not", Direct, Owner, |_, it| {
            it.leaf.subject = name(&[(COMMON_NAME, PRINTABLE, b"operator-1\x07*@")]);
        }),
        animal("a name of two bytes a letter", Direct, Owner, |_, it| {
            it.leaf.subject = name(&[(COMMON_NAME, BMP, b"\0o\0p\xD8\0\0x")]);
        }),
        animal("a name in an old alphabet", Direct, Owner, |_, it| {
            it.leaf.subject = name(&[(COMMON_NAME, TELETEX, b"op\xE9rator\x9B")]);
        }),
        animal("hosts and addresses of others", Direct, Owner, |_, it| {
            it.leaf.extensions.push(Extension::host(b"gateway.plant.example\0evil"));
        }),
    ]
}

fn keys() -> Vec<Animal> {
    vec![
        animal("the person's name over another key", Direct, Nobody, |_, it| {
            it.key = fresh();
            it.leaf.public_key = it.key.subject_public_key_info();
        }),
        animal(
            "the person's certificate without its key",
            Direct,
            Refused(DECRYPT_ERROR, "BadSignature"),
            |_, it| {
                it.key = fresh();
            },
        ),
        animal("a key of another curve", Direct, Nobody, |_, it| {
            it.key = Arc::new(KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap());
            it.leaf.public_key = it.key.subject_public_key_info();
        }),
        animal("a key of another kind", Direct, Nobody, |_, it| {
            it.key = Arc::new(KeyPair::generate_for(&PKCS_ED25519).unwrap());
            it.leaf.public_key = it.key.subject_public_key_info();
        }),
        animal("an RSA key of 2048 bits", Direct, Nobody, |_, it| {
            it.key = Arc::new(KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap());
            it.leaf.public_key = it.key.subject_public_key_info();
        }),
    ]
}
