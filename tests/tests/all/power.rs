//! The power of the recordings' disk is cut while a technician works.

use std::time::Duration;
use tests::{
    evidence::Evidence,
    faults::{Volume, needed},
    modbus::{Answer, Tool},
    plant::{Auditor, Gateway},
    plc::{Manners, Plc},
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};

/// Where the last request that changed the device ends in what it had got.
fn end_of_last_write(received: &[u8]) -> usize {
    let frames = received.chunks(12).enumerate();
    frames
        .filter(|(_, frame)| frame.get(7) == Some(&6))
        .map(|(number, _)| 12 * number + 12)
        .next_back()
        .unwrap()
}

#[test]
fn what_changed_the_device_is_still_recorded_after_a_power_cut() {
    for requests in [30, 61, 200] {
        let plc = Plc::start(Manners::Proper);
        let workshop = Workshop::new(plc.address());
        workshop
            .edit("gateway.toml", "recovery_recipient", "reserve = \"4 MiB\"\nrecovery_recipient")
            .unwrap();
        let volume = Volume::mount(&workshop.path("disk.img"), &workshop.path("recordings"));
        let Some(volume) = needed("power", volume) else { return };
        let gateway = Gateway::ready(&workshop).unwrap();
        let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
        let mut tool = Tool::connect(connection.address()).unwrap();
        let work = std::thread::spawn(move || {
            for value in 0.. {
                let answered = match value % 4 {
                    0 => tool
                        .write_holding(100, value % 900)
                        .is_ok_and(|answer| matches!(answer, Answer::Data(_))),
                    _ => tool.read_holding(100, 1).is_ok(),
                };
                if !answered {
                    return;
                }
            }
        });
        assert!(plc.wait_until(Duration::from_secs(60), |log| log.requests().len() > requests));
        // What counts is what the device had when the power went: a sync that
        // is under way meanwhile may be told by this kernel that it is done.
        let before = plc.log().connections[0].received.clone();
        volume.cut_power().unwrap();
        assert!(plc.wait_until(Duration::from_secs(60), |log| log.connections.iter().all(|one| one.ended)));
        work.join().unwrap();
        gateway.wait_for_event(&["recorder_failed"]).unwrap();
        let finished = connection.finish().unwrap();
        assert!(finished.all().contains("recording failed"), "{finished}");
        // The process lives and ends in good order, although its disk is gone.
        gateway.terminate().unwrap().expect_code(0).unwrap();
        volume.power_up().unwrap();
        let [recording] = workshop.recordings().unwrap().try_into().unwrap();
        let verified = Auditor::of(&workshop).verify(&recording).unwrap();
        assert_eq!(verified.code, Some(3), "{verified}");
        let evidence = Evidence::open(&workshop, &recording).unwrap();
        let received = plc.log().connections[0].received.clone();
        let recorded = &evidence.channels()[0].to_device;
        let common = recorded.len().min(received.len());
        assert_eq!(recorded[..common], received[..common]);
        let waited = end_of_last_write(&before);
        assert!(recorded.len() >= waited, "{} of {} bytes, {waited} waited", recorded.len(), before.len());
    }
}
