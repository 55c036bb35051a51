//! A press line's controller in a process of its own, whose log is the ground
//! truth of crash tests: each byte that arrives is on stable storage before
//! it is looked at.
//!
//! ```text
//! device FOLDER
//! ```
//!
//! prints `listening ADDRESS` and serves until it is killed. Connection *n*,
//! counted from 0, is logged to `FOLDER/n.received`; `FOLDER/n.ended` appears
//! when it is over.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tests::{modbus, press_line::PressLine};

/// Bytes of a frame before its unit and PDU.
const PREFIX: usize = 6;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| anyhow::anyhow!("usage: device FOLDER"))?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut out = io::stdout();
    writeln!(out, "listening {}", listener.local_addr()?)?;
    out.flush()?;
    let line = Arc::new(Mutex::new(PressLine::default()));
    for (number, stream) in listener.incoming().enumerate() {
        let (stream, folder, line) = (stream?, folder.clone(), Arc::clone(&line));
        std::thread::spawn(move || {
            // A gateway that dies resets its connection: that is what is tested.
            let _reset = serve(stream, &folder.join(format!("{number}.received")), &line);
            File::create(folder.join(format!("{number}.ended"))).expect("a mark of the end");
        });
    }
    Ok(())
}

fn serve(mut stream: TcpStream, log: &Path, line: &Mutex<PressLine>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut log = OpenOptions::new().create_new(true).append(true).open(log).expect("a log of its own");
    let (mut waiting, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Ok(());
        }
        log.write_all(&chunk[..count]).and_then(|()| log.sync_data()).expect("the truth is written down");
        waiting.extend_from_slice(&chunk[..count]);
        while let Some(request) = next_frame(&mut waiting) {
            let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
            let answer = line.answer(&request[PREFIX + 1..]);
            let transaction = u16::from_be_bytes([request[0], request[1]]);
            stream.write_all(&modbus::frame(transaction, request[PREFIX], &answer))?;
        }
    }
}

/// Takes the next whole frame; the gateway in front sends no others.
fn next_frame(waiting: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = usize::from(u16::from_be_bytes([*waiting.get(4)?, *waiting.get(5)?]));
    let end = PREFIX + length;
    (length >= 2 && waiting.len() >= end).then(|| waiting.drain(..end).collect())
}
