//! A plant without any PKI: the gateway's own authority is the only one.

use tests::{
    evidence::Evidence,
    modbus::{Answer, Tool},
    plant::{Auditor, Gateway, Technician, gateway_command},
    plc::{Manners, Plc},
    process::run,
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};

fn check(workshop: &Workshop) -> tests::process::Finished {
    let mut command = std::process::Command::new(&tests::binaries::binaries().gateway);
    command.arg("check").arg("--config").arg(workshop.path("gateway.toml"));
    run("gatehouse-gateway check", &mut command).unwrap()
}

#[test]
fn from_no_pki_at_all_to_a_session_and_a_revocation_that_ends_it() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    workshop.enrolling().unwrap();
    workshop.without_pki().unwrap();
    let checked = check(&workshop).expect_code(0).unwrap();
    assert!(
        checked.out.contains("certificates of people are issued by the gateway itself ([ca])\n"),
        "{checked}"
    );
    assert!(checked.out.contains("the gateway's certificate ([tls] cert): until "), "{checked}");

    let gateway = Gateway::ready(&workshop).unwrap();
    let invitation = gateway.invite(TECHNICIAN).unwrap();
    let technician = Technician::new(&workshop, "mine");
    run("gatehouse enroll", &mut technician.enroll(&invitation, &[])).unwrap().expect_code(0).unwrap();
    let read = |name: &str| std::fs::read_to_string(workshop.path(name)).unwrap();
    let bare = |pem: &str| pem.split_whitespace().collect::<String>();
    assert_eq!(
        bare(&read("mine-ca.pem")),
        bare(&read("gateway.pem")),
        "the gateway is known by itself alone"
    );

    let connection = technician.connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert!(matches!(tool.write_holding(100, 731).unwrap(), Answer::Data(_)));
    let list = gateway.admin(&["ca", "list", "--json"]).unwrap().expect_code(0).unwrap();
    let list: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    let serial = list[0]["serial"].as_str().unwrap();
    gateway.admin(&["ca", "revoke", serial]).unwrap().expect_code(0).unwrap();
    let ended = connection.finish().unwrap().expect_code(6).unwrap();
    assert!(ended.err.contains("the certificate was revoked"), "{ended}");
    let refused = technician.run(&["targets"]).unwrap().expect_code(6).unwrap();
    assert!(refused.err.contains("revoked"), "{refused}");
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    Auditor::of(&workshop).verify(&recording).unwrap().expect_code(0).unwrap();
    let recorded = Evidence::open(&workshop, &recording).unwrap();
    assert_eq!(recorded.channels()[0].to_device, plc.log().connections[0].received);

    // Nobody of another CA is known here, whatever the state says.
    let stranger = gateway.import("operator-1").unwrap_err().to_string();
    assert!(stranger.contains("not one of this gateway's"), "{stranger}");
    let status = gateway.admin(&["ca", "status"]).unwrap().expect_code(0).unwrap();
    assert!(status.out.contains("the issuing authority ([ca])"), "{status}");
    assert!(!status.out.contains("[tls] ca"), "{status}");
}

#[test]
fn a_gateway_that_could_let_nobody_in_does_not_start() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    workshop.edit("gateway.toml", "ca = \"pki/ca.pem\"\ncrl = \"pki/crl.pem\"\n", "").unwrap();
    let told = "[tls] ca: nobody could sign in: there is neither [tls] ca nor [ca]";
    let checked = check(&workshop).expect_code(5).unwrap();
    assert!(checked.err.contains(told), "{checked}");
    let started = run("gatehouse-gateway", &mut gateway_command(&workshop)).unwrap().expect_code(5).unwrap();
    assert!(started.err.contains(told), "{started}");
}

#[test]
fn without_an_authority_of_its_own_the_status_tells_what_ends() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    tests::pki::replace_crl(&workshop, std::time::Duration::from_secs(2 * 24 * 60 * 60)).unwrap();
    let checked = check(&workshop).expect_code(0).unwrap();
    let warning = "warning: the CRL ([tls] crl) lapses within 3 days, and then sign-ins are refused";
    assert!(checked.out.contains(warning), "{checked}");
    let gateway = Gateway::ready(&workshop).unwrap();
    gateway.wait_for_event(&["crl_expiry", "lapses within 3 days"]).unwrap();
    let status = gateway.admin(&["ca", "status"]).unwrap().expect_code(0).unwrap();
    assert!(status.out.contains("there is no [ca]") && status.out.contains(warning), "{status}");
}
