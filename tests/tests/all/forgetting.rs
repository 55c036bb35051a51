//! What a gateway that is taken over can still read: its disk, its
//! configuration, its keys and all of its memory, while a session runs.

#[allow(dead_code, reason = "the attacker's tool of the recording's own tests; not all of it is used here")]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a test may panic")]
#[path = "../../../recording/tests/main/format.rs"]
mod format;

use format::Keys;
use std::{
    collections::HashMap,
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
};
use tests::{
    modbus::{Answer, Tool},
    plant::Gateway,
    plc::{Manners, Plc},
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};

/// Finds 32-byte keys anywhere.
struct Search {
    /// Whether any key begins with these two bytes.
    begins: Vec<bool>,
    keys: HashMap<[u8; 8], (Vec<u8>, String)>,
}

impl Search {
    fn new(keys: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let mut search = Self { begins: vec![false; 65_536], keys: HashMap::new() };
        for (name, key) in keys {
            search.begins[usize::from(u16::from_be_bytes([key[0], key[1]]))] = true;
            search.keys.insert(key[..8].try_into().unwrap(), (key, name));
        }
        search
    }

    fn within(&self, memory: &[u8], found: &mut Vec<String>) {
        for (at, pair) in memory.windows(2).enumerate() {
            if !self.begins[usize::from(u16::from_be_bytes([pair[0], pair[1]]))] {
                continue;
            }
            let Some(begin) = memory.get(at..at + 8) else { break };
            if let Some((key, name)) = self.keys.get(begin)
                && memory[at..].starts_with(key)
            {
                found.push(name.clone());
            }
        }
    }
}

/// All memory of a process that it can write to, region by region.
fn memory(pid: u32, mut take: impl FnMut(&[u8])) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut count = 0;
    for line in
        maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw")))
    {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut region = vec![0; usize::try_from(to - from).unwrap()];
        // A region of the kernel's own can't be read.
        if memory.read_exact_at(&mut region, from).is_ok() {
            count += region.len();
            take(&region);
        }
    }
    count
}

/// Every file of the gateway that could hold a way into its recordings.
fn files(workshop: &Workshop, folder: &Path, all: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        // The auditor's side of the folder is not on the gateway's disk.
        let auditor = ["pki/auditor.age", "pki/recovery.age"].iter().any(|name| path == workshop.path(name));
        if path.is_dir() {
            files(workshop, &path, all);
        } else if !auditor && path.is_file() {
            all.push(fs::read(&path).unwrap());
        }
    }
}

#[test]
fn a_gateway_that_is_taken_over_can_not_read_what_came_before() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let mut gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    // Each write is signed, so each begins an epoch.
    for value in 0..30 {
        assert!(matches!(tool.write_holding(100, value).unwrap(), Answer::Data(_)));
    }
    gateway.process().signal(rustix::process::Signal::STOP).unwrap();
    let [path] = workshop.recordings().unwrap().try_into().unwrap();
    let recording = fs::read(&path).unwrap();
    let identity = fs::read_to_string(workshop.path("pki/auditor.age")).unwrap();
    let keys = Keys::unwrap(&recording, identity.lines().last().unwrap());
    let frames = format::frames(&recording);
    let now = frames.iter().filter(|frame| format::kind(&recording[(*frame).clone()]) == 2).count();
    assert!(now > 30, "{now} epochs");

    let past = (0..now).map(|epoch| (format!("frame key of epoch {epoch}"), keys.frame_key(epoch)));
    let secrets = (0..=now).map(|epoch| (format!("secret of epoch {epoch}"), keys.secret(epoch)));
    let whole = ("file key".to_owned(), keys.file_key.clone());
    let lost = Search::new(past.chain(secrets).chain([whole]));
    let held = Search::new([("the next secret".to_owned(), keys.secret(now + 1))]);
    let (mut found, mut present) = (Vec::new(), Vec::new());
    let searched = memory(gateway.process().id(), |region| {
        lost.within(region, &mut found);
        held.within(region, &mut present);
    });
    assert!(searched > 1 << 20 && !present.is_empty(), "{searched} bytes: the search finds nothing at all");
    assert_eq!(found, Vec::<String>::new(), "of {now} epochs, in {searched} bytes");

    let mut disk = Vec::new();
    files(&workshop, &workshop.path(""), &mut disk);
    for content in &disk {
        lost.within(content, &mut found);
        assert!(!String::from_utf8_lossy(content).to_uppercase().contains("AGE-SECRET-KEY"));
    }
    assert_eq!(found, Vec::<String>::new());

    // With what is there, nothing of an earlier epoch opens, and what is sealed
    // anew for one is refused by its reader.
    for frame in frames.into_iter().filter(|frame| format::kind(&recording[frame.clone()]) != 2) {
        let bytes = &recording[frame];
        let epoch = usize::try_from(u32::from_le_bytes(bytes[5..9].try_into().unwrap())).unwrap();
        assert!(keys.open(bytes).is_some(), "the auditor reads it");
        for at_hand in [now, now + 1] {
            assert_eq!(keys.open_by(bytes, at_hand).is_some(), epoch == at_hand, "epoch {epoch} of {now}");
            let mut forged = bytes.to_vec();
            keys.reseal(&mut forged, at_hand);
            assert_eq!(keys.open(&forged).is_some(), epoch == at_hand, "a forged frame of epoch {epoch}");
        }
    }
    gateway.process().signal(rustix::process::Signal::CONT).unwrap();
    connection.end().unwrap();
    gateway.terminate().unwrap().expect_code(0).unwrap();
}
