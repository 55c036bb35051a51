//! What the gateway understood of each request, held against what Wireshark's
//! dissectors say of the same bytes, over sessions of real tools.
//!
//! For each request of a recording: the classes and places of its JSON row on
//! one side, the fields that tshark finds in the packet of the exported pcapng
//! that ends it on the other. The places are put together here from tshark's
//! numbers, by nothing of the product.

use serde_json::Value;
use std::{collections::BTreeMap, net::SocketAddr, path::Path};
use tests::{
    plant::Auditor,
    wireshark::{self, Capture, Spoken},
    workshop::Workshop,
};

/// What a request does, and where.
type Access = (String, Option<String>);

/// The fields of one packet, by name; each may be there several times.
struct Packet(BTreeMap<&'static str, Vec<String>>);

impl Packet {
    fn all(&self, field: &str) -> &[String] {
        self.0.get(field).map_or(&[], Vec::as_slice)
    }

    fn numbers(&self, field: &str) -> Vec<u32> {
        let number = |text: &String| match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).unwrap(),
            None => text.parse().unwrap(),
        };
        self.all(field).iter().map(number).collect()
    }

    fn number(&self, field: &str) -> Option<u32> {
        self.numbers(field).first().copied()
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.all(field).first().map(String::as_str)
    }
}

/// Holds both against each other; gives how many requests were compared.
fn compare(
    workshop: &Workshop,
    (recording, device): (&Path, SocketAddr),
    spoken: Spoken,
    fields: &[&'static str],
    agrees: impl Fn(&Packet, &[Access]) -> Result<(), String>,
) -> usize {
    if !wireshark::is_there() {
        return usize::MAX;
    }
    let auditor = Auditor::of(workshop);
    let (packets, rows) = (workshop.path("agreement.pcapng"), workshop.path("agreement.jsonl"));
    auditor.export_all(recording, "pcapng", &packets).unwrap().expect_code(0).unwrap();
    auditor.export_all(recording, "jsonl", &rows).unwrap().expect_code(0).unwrap();
    let rows = std::fs::read_to_string(rows).unwrap();
    let rows: BTreeMap<u64, Value> = rows
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|row| (row["request"].as_u64().unwrap(), row))
        .collect();
    let capture = Capture::speaking(&packets, device.port(), spoken);
    let filter = format!(
        "frame.interface_name == \"channel-1-client\" and tcp.dstport == {} and frame.comment",
        device.port()
    );
    let mut wanted = fields.to_vec();
    wanted.push("frame.comment");
    let mut compared = 0;
    for line in capture.fields(&filter, &wanted).unwrap() {
        let found: Vec<&str> = line.splitn(wanted.len(), '|').collect();
        let (comment, found) = found.split_last().unwrap();
        let Some(rest) = comment.strip_prefix("request ") else { continue };
        let number: u64 = rest.split(':').next().unwrap().parse().unwrap();
        let values =
            |text: &&str| text.split(',').filter(|text| !text.is_empty()).map(str::to_owned).collect();
        let packet = Packet(fields.iter().copied().zip(found.iter().map(values)).collect());
        let accesses: Vec<Access> = rows[&number]["accesses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|access| {
                (access["class"].as_str().unwrap().to_owned(), access["place"].as_str().map(str::to_owned))
            })
            .collect();
        if let Err(other) = agrees(&packet, &accesses) {
            panic!("request {number}: {accesses:?}, but tshark: {other}\n{line}");
        }
        compared += 1;
    }
    assert_eq!(compared, rows.len(), "each request has its packet");
    compared
}

fn equal(ours: &[Access], theirs: &[Access]) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{theirs:?}")) }
}

fn only(class: &str) -> Vec<Access> {
    vec![(class.to_owned(), None)]
}

/// `name[3]`, `name[3-5]`.
fn run(name: &str, first: u32, count: u32) -> String {
    match first + count - 1 {
        last if last == first => format!("{name}[{first}]"),
        last => format!("{name}[{first}-{last}]"),
    }
}

const MODBUS: [&str; 9] = [
    "modbus.func_code",
    "modbus.reference_num",
    "modbus.word_cnt",
    "modbus.bit_cnt",
    "modbus.read_reference_num",
    "modbus.read_word_cnt",
    "modbus.write_reference_num",
    "modbus.write_word_cnt",
    "modbus.diagnostic_code",
];

/// Modbus: function, area and addresses.
pub(crate) fn modbus(workshop: &Workshop, session: (&Path, SocketAddr)) -> usize {
    compare(workshop, session, Spoken::Modbus, &MODBUS, |packet, ours| {
        let function = packet.number("modbus.func_code").ok_or("no function")?;
        let first = packet.number("modbus.reference_num");
        let count = packet.number("modbus.word_cnt").or_else(|| packet.number("modbus.bit_cnt")).unwrap_or(1);
        let at = |class: &str, area: &str, count: u32| {
            let first = first.ok_or("no address")?;
            Ok::<_, String>(vec![(class.to_owned(), Some(run(area, first, count)))])
        };
        let theirs = match function {
            1 => at("read", "coil", count)?,
            2 => at("read", "discrete", count)?,
            3 => at("read", "holding", count)?,
            4 => at("read", "input", count)?,
            5 => at("write", "coil", 1)?,
            6 | 22 => at("write", "holding", 1)?,
            15 => at("write", "coil", count)?,
            16 => at("write", "holding", count)?,
            // The register of the count, and what it may count.
            24 => at("read", "holding", 32)?,
            23 => [("read", "modbus.read"), ("write", "modbus.write")]
                .into_iter()
                .map(|(class, half)| {
                    let first = packet.number(&format!("{half}_reference_num")).unwrap();
                    let count = packet.number(&format!("{half}_word_cnt")).unwrap();
                    (class.to_owned(), Some(run("holding", first, count)))
                })
                .collect(),
            8 if matches!(packet.number("modbus.diagnostic_code"), Some(1 | 4)) => only("control"),
            7 | 8 | 11 | 12 => only("diagnostic"),
            17 | 43 => only("identify"),
            // tshark does not take file records apart.
            20 | 21 => {
                let class = if function == 20 { "file-read" } else { "file-write" };
                let alike = !ours.is_empty() && ours.iter().all(|access| access.0 == class);
                return if alike { Ok(()) } else { Err(class.to_owned()) };
            }
            other => return Err(format!("function {other}")),
        };
        equal(ours, &theirs)
    })
}

const S7: [&str; 13] = [
    "cotp.type",
    "s7comm.header.rosctr",
    "s7comm.param.func",
    "s7comm.param.item.area",
    "s7comm.param.item.db",
    "s7comm.param.item.address",
    "s7comm.param.item.transp_size",
    "s7comm.param.item.length",
    "s7comm.param.userdata.funcgroup",
    "s7comm.param.userdata.subfunc",
    "s7comm.param.pistart.servicename",
    "s7comm.data.userdata.szl_id",
    "_ws.malformed",
];

/// S7 communication: function, and of each item area, data block and bytes.
pub(crate) fn s7(workshop: &Workshop, session: (&Path, SocketAddr)) -> usize {
    compare(workshop, session, Spoken::S7, &S7, |packet, ours| {
        let function = packet.number("s7comm.param.func");
        // A deletion by python-snap7 says no length of its service's name.
        if ours.is_empty() || packet.text("_ws.malformed").is_some() {
            let both = ours.is_empty() && packet.text("_ws.malformed").is_some();
            return if both { Ok(()) } else { Err(format!("malformed: {:?}", packet.text("_ws.malformed"))) };
        }
        let theirs = match (packet.number("s7comm.header.rosctr"), function) {
            (None, _) => match packet.number("cotp.type") {
                Some(0x0E | 0x08) => only("housekeeping"),
                other => return Err(format!("transport unit {other:?}")),
            },
            (Some(1), Some(4)) => s7_items("read", packet)?,
            (Some(1), Some(5)) => s7_items("write", packet)?,
            (Some(1), Some(0xF0)) => only("housekeeping"),
            (Some(1), Some(0x1A)) => only("program-write"),
            (Some(1), Some(0x1D..=0x1F)) => only("program-read"),
            (Some(1), Some(0x29)) => only("control"),
            (Some(1), Some(0x28)) => match packet.text("s7comm.param.pistart.servicename") {
                Some("P_PROGRAM") => only("control"),
                Some("_GARB" | "_MODU" | "_INSE" | "_DELE") => only("program-write"),
                other => return Err(format!("invocation {other:?}")),
            },
            // What the client acknowledges within a download.
            (Some(3), Some(0x1B | 0x1C)) => only("housekeeping"),
            (Some(7), _) => {
                let service = ["funcgroup", "subfunc"]
                    .map(|part| packet.number(&format!("s7comm.param.userdata.{part}")).unwrap_or(0));
                match service {
                    // The lists that say what a module is.
                    [4, 1] => match packet.number("s7comm.data.userdata.szl_id").map(|list| list & 0xFF) {
                        Some(0x11 | 0x1C) => only("identify"),
                        _ => only("read"),
                    },
                    [3, _] | [7, 1 | 3] => only("read"),
                    [7, 2 | 4] => only("time-set"),
                    [5, _] => only("security"),
                    other => return Err(format!("userdata {other:?}")),
                }
            }
            other => return Err(format!("{other:?}")),
        };
        equal(ours, &theirs)
    })
}

fn s7_items(class: &str, packet: &Packet) -> Result<Vec<Access>, String> {
    let item = |field: &str| packet.numbers(&format!("s7comm.param.item.{field}"));
    let (areas, blocks, addresses) = (item("area"), item("db"), item("address"));
    let (sizes, lengths) = (item("transp_size"), item("length"));
    let mut accesses = Vec::new();
    for (index, area) in areas.iter().enumerate() {
        let area = match area {
            0x81 => "i".to_owned(),
            0x82 => "q".to_owned(),
            0x83 => "m".to_owned(),
            0x84 => format!("db{}", blocks[index]),
            other => return Err(format!("area {other:#x}")),
        };
        let (byte, bit) = (addresses[index] / 8, addresses[index] % 8);
        let place = match sizes[index] {
            1 => format!("{area}[{byte}.{bit}]"),
            size => {
                let width = match size {
                    2 | 3 => 1,
                    4 | 5 => 2,
                    6..=8 => 4,
                    other => return Err(format!("transport size {other}")),
                };
                run(&area, byte, width * lengths[index])
            }
        };
        accesses.push((class.to_owned(), Some(place)));
    }
    Ok(accesses)
}

const ENIP: [&str; 14] = [
    "enip.command",
    "enip.cpf.cai.connid",
    "cip.sc",
    "cip.cm.sc",
    "cip.class",
    "cip.instance",
    "cip.attribute",
    "cip.symbol",
    "cip.member",
    "cip.port",
    "cip.linkaddress.byte",
    "cip.pccc.fnc.code_0f",
    "cip.pccc.file.num",
    "cip.pccc.element.num",
];

/// EtherNet/IP: command, services, tags or objects with their first element,
/// route. `tags` are the device's tags by their instances.
pub(crate) fn enip(workshop: &Workshop, session: (&Path, SocketAddr), tags: &[(u32, &str)]) -> usize {
    compare(workshop, session, Spoken::Enip, &ENIP, |packet, ours| {
        match packet.number("enip.command") {
            Some(0x65 | 0x66) => return equal(ours, &only("housekeeping")),
            Some(0x04 | 0x63 | 0x64) => return equal(ours, &only("identify")),
            Some(0x6F | 0x70) => {}
            other => return Err(format!("command {other:?}")),
        }
        let (mut ours, routes): (Vec<Access>, Vec<Access>) =
            ours.iter().cloned().partition(|access| access.0 != "route");
        let way: Vec<u32> = [packet.numbers("cip.port"), packet.numbers("cip.linkaddress.byte")].concat();
        let route = match way[..] {
            [] | [1, 0] => None,
            [port, link] => Some(format!("path[{port}.{link}]")),
            _ => return Err(format!("a route {way:?}")),
        };
        // A message on a connection has no route of its own.
        if packet.number("enip.command") == Some(0x6F)
            && routes.first().map(|access| access.1.clone()) != route.map(Some)
        {
            return Err(format!("a route {way:?}"));
        }
        let mut theirs = cip(packet, tags)?;
        // tshark does not say how many elements, so only the first is compared.
        for (ours, theirs) in ours.iter_mut().zip(&mut theirs) {
            let (Some(place), Some(wanted)) = (&mut ours.1, &mut theirs.1) else { continue };
            // A tag that the device had not listed is judged by its number.
            if ours.0 == "unknown"
                && packet
                    .number("cip.instance")
                    .is_some_and(|number| *place == format!("class[107.{number}]"))
            {
                theirs.0.clone_from(&ours.0);
                wanted.clone_from(place);
                continue;
            }
            let (lower, prefix) = (place.to_lowercase(), wanted.to_lowercase());
            let rest = lower.strip_prefix(&prefix).ok_or_else(|| format!("{place} is not {wanted}"))?;
            if !(rest.is_empty() || prefix.ends_with("table[") || rest.starts_with(['[', ']', '-', '.'])) {
                return Err(format!("{place} is not {wanted}"));
            }
            place.clone_from(wanted);
        }
        equal(&ours, &theirs)
    })
}

/// The requests that tshark sees in a message, the innermost ones: each with
/// its class, and the beginning of its place.
fn cip(packet: &Packet, tags: &[(u32, &str)]) -> Result<Vec<Access>, String> {
    let mut services = packet.numbers("cip.sc");
    let (mut classes, mut instances) = (packet.numbers("cip.class"), packet.numbers("cip.instance"));
    let unwrap = |services: &mut Vec<u32>, classes: &mut Vec<u32>, instances: &mut Vec<u32>| {
        services.remove(0);
        classes.remove(0);
        instances.remove(0);
    };
    match packet.number("cip.cm.sc") {
        Some(0x52) => unwrap(&mut services, &mut classes, &mut instances),
        // Opening and closing a connection; the rest is where it leads.
        Some(0x54 | 0x5B | 0x4E) => return Ok(only("housekeeping")),
        Some(other) => return Err(format!("connection manager service {other:#x}")),
        None => {}
    }
    if services.first() == Some(&0x0A) {
        unwrap(&mut services, &mut classes, &mut instances);
    }
    if packet.number("cip.class") == Some(0x67) {
        let table = || {
            let (file, element) =
                (packet.number("cip.pccc.file.num")?, packet.number("cip.pccc.element.num")?);
            Some(format!("table[{file}[{element}"))
        };
        return Ok(match packet.number("cip.pccc.fnc.code_0f") {
            Some(0xA2) => vec![("read".to_owned(), table())],
            // tshark does not take the address of a masked write apart.
            Some(0xAB) => vec![("write".to_owned(), Some("table[".to_owned()))],
            _ => only("unknown"),
        });
    }
    let (symbols, members) = (packet.all("cip.symbol"), packet.numbers("cip.member"));
    // Which of several has an index is not said, unless each has one.
    let is_certain = services.len() == 1 || members.len() == services.len();
    let mut members = members.into_iter().filter(|_| is_certain);
    let mut attributes = packet.numbers("cip.attribute").into_iter();
    let mut accesses = Vec::new();
    for (index, service) in services.iter().enumerate() {
        let object = classes.get(index).copied();
        let name = match object {
            None if services.len() == 1 => Some(symbols.join(".")),
            None => symbols.get(index).cloned(),
            Some(0x6B) if *service != 0x55 => {
                let instance = instances[index];
                Some(tags.iter().find(|(number, _)| *number == instance).ok_or("no such tag")?.1.to_owned())
            }
            Some(_) => None,
        };
        let place = match (&name, object) {
            (Some(name), _) => {
                let index = members.next().map_or(String::new(), |member| format!("[{member}"));
                format!("symbol[{name}{index}")
            }
            (None, Some(class)) => {
                // A list of attributes to set is judged as the whole instance.
                let attribute = attributes.next().filter(|_| *service != 0x04);
                let attribute = attribute.map_or(String::new(), |number| format!(".{number}"));
                // A listing begins at any instance and is about the class.
                let instance = if class == 0x6B { String::new() } else { format!(".{}", instances[index]) };
                format!("class[{class}{instance}{attribute}")
            }
            (None, None) => return Err("neither symbol nor class".to_owned()),
        };
        let class = match (service, object) {
            (0x01 | 0x0E, Some(1)) => "identify",
            (0x4C | 0x52 | 0x55 | 0x01 | 0x03 | 0x0E, _) => "read",
            (0x04, Some(0x8B)) => "time-set",
            (0x4D | 0x4E | 0x53 | 0x04 | 0x10, _) => "write",
            (0x05..=0x07, _) => "control",
            (other, _) => return Err(format!("service {other:#x}")),
        };
        accesses.push((class.to_owned(), Some(place)));
    }
    Ok(accesses)
}
