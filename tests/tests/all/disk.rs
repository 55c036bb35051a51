//! Recordings on a disk that fills up: the session ends, the device hears no
//! more, the gateway lives and says why.

use std::{path::Path, process::Command, time::Duration};
use tests::{
    evidence::Evidence,
    modbus::{Answer, Tool},
    plant::{Auditor, Gateway, gateway_command},
    plc::{Manners, Plc},
    process::run,
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};

/// A small file system in memory, unmounted when dropped.
pub(crate) struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// `None` after having said so, where mounting is not permitted.
    pub(crate) fn mount(folder: &'a Path, size: &str) -> Option<Self> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "tmpfs"]).arg(folder);
        let mounted = run("mount", &mut command).is_ok_and(|finished| finished.code == Some(0));
        if !mounted {
            use std::io::Write;
            // Past the capture of the test harness, so that it is seen.
            let _written = writeln!(std::io::stderr(), "disk: SKIPPED, no permission to mount a tmpfs");
        }
        mounted.then_some(Self(folder))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily: a killed gateway may still hold a file for a moment.
        let _unmounted = run("umount", Command::new("umount").arg("-l").arg(self.0));
    }
}

#[test]
fn a_full_disk_ends_the_session_and_not_the_gateway() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    workshop
        .edit(
            "gateway.toml",
            "recovery_recipient",
            "reserve = \"4 KiB\"\ncut_below = \"0 B\"\nrecovery_recipient",
        )
        .unwrap();
    let folder = workshop.path("recordings");
    let Some(_disk) = SmallDisk::mount(&folder, "1200k") else { return };
    let mut gateway = Gateway::start_with(&workshop, &mut gateway_command(&workshop)).unwrap();
    gateway.apply_policy().unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    let mut answered = 0_usize;
    while let Ok(Answer::Data(_)) = tool.write_holding(100, 731) {
        answered += 1;
        assert!(answered < 100_000, "a disk of 1.2 MiB took {answered} writes");
    }
    assert!(plc.wait_until(Duration::from_secs(20), |log| log.connections.iter().all(|one| one.ended)));
    let finished = connection.finish().unwrap();
    assert_eq!(finished.code, Some(6), "{finished}");
    assert!(finished.all().contains("recording failed"), "{finished}");
    gateway.wait_for_event(&["recorder"]).unwrap();
    assert!(gateway.process().alive());
    // No byte reached the device that the recording does not have.
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    // Sealed if the end still fitted, broken off if not; altered in no case.
    let verified = Auditor::of(&workshop).verify(&recording).unwrap();
    assert!(matches!(verified.code, Some(0 | 2 | 3)), "{verified}");
    let evidence = Evidence::open(&workshop, &recording).unwrap();
    let received = plc.log().connections[0].received.clone();
    assert!(evidence.channels()[0].to_device.starts_with(&received));
    assert!(received.len() >= 12 * answered);
    gateway.terminate().unwrap().expect_code(0).unwrap();
}
