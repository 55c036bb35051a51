//! A gateway is lost, and put back elsewhere from its backup.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};
use tests::{
    binaries::binaries,
    modbus::{Answer, Tool},
    plant::{Auditor, Gateway},
    plc::{Manners, Plc},
    process::{Finished, run},
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};

fn restore(lost: &Workshop, from: &Path, config: &Path) -> Finished {
    let mut command = Command::new(&binaries().gateway);
    command.arg("restore").arg("--from").arg(from).arg("--config").arg(config);
    command.arg("--identity").arg(lost.path("pki/recovery.age"));
    command.arg("--key").arg(lost.path("pki/signing.pub"));
    run("gatehouse-gateway restore", &mut command).unwrap()
}

#[test]
fn a_lost_gateway_goes_on_elsewhere_and_its_past_still_verifies() {
    let plc = Plc::start(Manners::Proper);
    let lost = Workshop::new(plc.address());
    let gateway = Gateway::ready(&lost).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let connection = technician.connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert!(matches!(tool.write_holding(100, 731).unwrap(), Answer::Data(_)));
    // While a session runs and the state is written to.
    let backup = lost.path("gateway.backup");
    let (to, recipient) = (backup.to_str().unwrap(), lost.path("pki/recovery.pub"));
    let words = ["backup", "--to", to, "--recipient", recipient.to_str().unwrap()];
    let told = gateway.admin(&words).unwrap().expect_code(0).unwrap();
    assert!(told.out.contains("copy their folders"), "{told}");
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    gateway.wait_for_event(&["backed_up", "for age1"]).unwrap();
    let again = gateway.admin(&words).unwrap();
    assert_eq!(again.code, Some(4), "it is never overwritten: {again}");
    drop(tool);
    connection.end().unwrap().expect_code(0).unwrap();
    gateway.kill().unwrap();

    let host = Workshop::bare().unwrap();
    let config = host.path("gateway.toml");
    let restored = restore(&lost, &backup, &config).expect_code(0).unwrap();
    assert!(
        restored.out.contains("1 people") && restored.out.contains("it signs as gatehouse+"),
        "{restored}"
    );
    let twice = restore(&lost, &backup, &config);
    assert_eq!(twice.code, Some(4), "{twice}");
    assert!(twice.err.contains("nothing is overwritten"), "{twice}");

    let gateway = Gateway::start(&host).unwrap();
    gateway.wait_for_event(&["restored", "from a backup of"]).unwrap();
    let listed = gateway.admin(&["user", "list"]).unwrap().expect_code(0).unwrap();
    assert!(listed.out.contains(TECHNICIAN), "{listed}");
    // The technician has the old key and seed. Codes of before count no more:
    // the client waits for new ones, and perhaps has to be asked again.
    lost.profile(TECHNICIAN, gateway.address()).unwrap();
    let signed_in = (0..4).any(|_| technician.run(&["targets"]).unwrap().code == Some(0));
    assert!(signed_in, "nobody gets in any more");
    let connection = loop {
        // The code of `targets` is used up; the client waits by itself.
        match technician.connect(&[PRESS_LINE]) {
            Ok(connection) => break connection,
            Err(error) => assert!(error.to_string().contains("not accepted"), "{error:#}"),
        }
    };
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert!(matches!(tool.write_holding(100, 732).unwrap(), Answer::Data(_)));
    assert_eq!(tool.write_holding(200, 1).unwrap(), Answer::Exception(2), "the applied policy");
    drop(tool);
    connection.end().unwrap().expect_code(0).unwrap();

    // One key signed before and after.
    let auditor = Auditor::of(&lost);
    for recording in [lost.recordings().unwrap(), host.recordings().unwrap()].concat() {
        auditor.verify(&recording).unwrap().expect_code(0).unwrap();
    }
    assert_eq!((lost.recordings().unwrap().len(), host.recordings().unwrap().len()), (1, 1));
    assert!(auditor.show(&host.recordings().unwrap()[0]).unwrap().out.contains(TECHNICIAN));
}

#[test]
fn a_backup_of_another_gateway_is_not_put_in_its_place() {
    let plc = Plc::start(Manners::Proper);
    let (one, other, host) =
        (Workshop::new(plc.address()), Workshop::new(plc.address()), Workshop::bare().unwrap());
    let gateway = Gateway::ready(&one).unwrap();
    let backup = one.path("gateway.backup");
    // Encrypted to the other plant's identity, as anybody could.
    let recipient = other.path("pki/recovery.pub");
    let words = ["backup", "--to", backup.to_str().unwrap(), "--recipient", recipient.to_str().unwrap()];
    gateway.admin(&words).unwrap().expect_code(0).unwrap();
    let refused = restore(&other, &backup, &host.path("gateway.toml"));
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.err.contains("is not of the gateway whose key was given"), "{refused}");
    assert!(!host.path("gateway.toml").exists());
}
