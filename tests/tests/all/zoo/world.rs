//! The plant's certificate authorities, and the chains that they would issue.

use super::der;
use super::form::{Authority, CLIENT, DIGITAL_SIGNATURE, Extension, Form, List, pem};
use rcgen::KeyPair;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use tests::{visitor::Papers, workshop::Workshop};

/// Serials that the lists revoke.
pub(super) const REVOKED_BY_ROOT: u32 = 0x0666;
pub(super) const REVOKED_BY_ISSUING: u32 = 0x0777;
/// What no standard allows and no list minds: twice as long as RFC 5280 has it.
pub(super) const REVOKED_HUGE: [u8; 40] = [0x42; 40];

/// Three authorities below each other, and one that nobody trusts.
pub(super) struct World {
    pub(super) root: Authority,
    pub(super) issuing: Authority,
    pub(super) sub: Authority,
    pub(super) rogue: Authority,
}

/// By whom a leaf is issued.
#[derive(Debug, Clone, Copy)]
pub(super) enum Base {
    /// By the root itself.
    Direct,
    /// By the authority below it.
    Through,
    /// By one further down.
    Deep,
}

/// One chain, not signed yet.
pub(super) struct Specimen {
    pub(super) leaf: Form,
    /// Who signs the leaf.
    pub(super) signer: Arc<KeyPair>,
    /// What is sent with the leaf, and who signs it.
    pub(super) above: Vec<(Form, Arc<KeyPair>)>,
    /// Who signs the handshake.
    pub(super) key: Arc<KeyPair>,
    /// What stands where the leaf's signature should.
    pub(super) signature: Option<Vec<u8>>,
    /// What happens to the chain after it was signed.
    pub(super) afterwards: fn(&World, &mut Vec<Vec<u8>>),
}

impl World {
    pub(super) fn new() -> Self {
        let root = Authority::new(1, "zoo root", der::common("zoo root"), None);
        let issuing = Authority::new(2, "zoo issuing", root.name(), Some(1));
        let sub = Authority::new(3, "zoo sub", issuing.name(), None);
        let rogue = Authority::new(4, "rogue root", der::common("rogue root"), None);
        Self { root, issuing, sub, rogue }
    }

    /// Makes the workshop's gateway trust this world.
    pub(super) fn furnish(&self, workshop: &Workshop, lists: &[String]) {
        workshop.write("zoo-ca.pem", &pem("CERTIFICATE", &self.root.form.sign(&self.root.key))).unwrap();
        workshop.write("zoo-crl.pem", &lists.concat()).unwrap();
        workshop.edit("gateway.toml", "pki/ca.pem", "zoo-ca.pem").unwrap();
        workshop.edit("gateway.toml", "pki/crl.pem", "zoo-crl.pem").unwrap();
    }

    /// The lists of all three authorities.
    pub(super) fn lists(&self) -> [String; 3] {
        [self.root_list().pem(&self.root.key), self.issuing_list().pem(&self.issuing.key), self.sub_list()]
    }

    pub(super) fn root_list(&self) -> List {
        let mut list = List::new(self.root.name());
        list.revoked = vec![REVOKED_BY_ROOT.to_be_bytes()[2..].to_vec(), REVOKED_HUGE.to_vec()];
        list
    }

    pub(super) fn issuing_list(&self) -> List {
        let mut list = List::new(self.issuing.name());
        list.revoked = vec![REVOKED_BY_ISSUING.to_be_bytes()[2..].to_vec()];
        list
    }

    pub(super) fn sub_list(&self) -> String {
        List::new(self.sub.name()).pem(&self.sub.key)
    }

    /// A chain as it should be, for the holder of `key`.
    pub(super) fn specimen(&self, base: Base, serial: u32, handle: &str, key: &Arc<KeyPair>) -> Specimen {
        let issuing = (self.issuing.form.clone(), Arc::clone(&self.root.key));
        let sub = (self.sub.form.clone(), Arc::clone(&self.issuing.key));
        let (issuer, above) = match base {
            Base::Direct => (&self.root, vec![]),
            Base::Through => (&self.issuing, vec![issuing]),
            Base::Deep => (&self.sub, vec![sub, issuing]),
        };
        let leaf = Form::new(serial, issuer.name(), der::common(handle), key)
            .with(Extension::key_usage(DIGITAL_SIGNATURE))
            .with(Extension::purposes(&[CLIENT]));
        let signer = Arc::clone(&issuer.key);
        Specimen { leaf, signer, above, key: Arc::clone(key), signature: None, afterwards: |_, _| {} }
    }
}

impl Specimen {
    /// Signed, in the order in which it is sent.
    pub(super) fn chain(&self, world: &World) -> Vec<Vec<u8>> {
        let mut chain = vec![match &self.signature {
            Some(signature) => self.leaf.with_signature(signature),
            None => self.leaf.sign(&self.signer),
        }];
        chain.extend(self.above.iter().map(|(form, key)| form.sign(key)));
        (self.afterwards)(world, &mut chain);
        chain
    }

    /// What is shown in the handshake with that chain.
    pub(super) fn papers(&self, chain: Vec<Vec<u8>>) -> Papers {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        Papers::new(chain, &key).unwrap()
    }
}
