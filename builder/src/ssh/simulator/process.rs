//! What the host runs: a program between the three pipes of a channel. Threads move the bytes, as pipes block.

#![expect(clippy::disallowed_types, reason = "a host for tests runs what it is told, on pipes")]

use std::ffi::OsStr;
use std::io::{Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use bytes::Bytes as Packet;
use russh::server::Handle;
use russh::{ChannelId, Disconnect, Sig};
use tokio::sync::mpsc;

use super::State;

/// Starts a command; what is sent to the result is its standard input, until it is dropped.
pub(super) fn start(
    state: Arc<State>,
    command: &[u8],
    channel: ChannelId,
    session: Handle,
) -> mpsc::UnboundedSender<Packet> {
    let runtime = tokio::runtime::Handle::current();
    let mut child = Command::new("/bin/bash")
        .arg("-c")
        .arg(OsStr::from_bytes(command))
        .env_clear()
        .env("PATH", &state.programs)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that echoes would wait for its reader, which would wait for this: OpenSSH keeps it in memory, too.
    let (sender, mut receiver) = mpsc::unbounded_channel::<Packet>();
    let mut input = child.stdin.take().unwrap();
    thread::spawn(move || {
        while let Some(packet) = receiver.blocking_recv() {
            if input.write_all(&packet).is_err() {
                break;
            }
        }
    });
    let (output, complaints) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let send = {
        let (runtime, session) = (runtime.clone(), session.clone());
        move |packet| runtime.block_on(session.data(channel, packet)).is_ok()
    };
    let complain = {
        let (runtime, session) = (runtime.clone(), session.clone());
        move |packet| runtime.block_on(session.extended_data(channel, 1, packet)).is_ok()
    };
    let readers =
        [thread::spawn(move || relay(output, send)), thread::spawn(move || relay(complaints, complain))];
    thread::spawn(move || {
        let status = wait(&mut child, &state);
        for reader in readers {
            reader.join().unwrap();
        }
        // A client that is gone asks no more how it ended.
        let _ = runtime.block_on(async {
            if state.off.as_ref().is_some_and(|off| off.exists()) {
                let why = "off".to_owned();
                return session
                    .disconnect(Disconnect::ByApplication, why, String::new())
                    .await
                    .map_err(|_| ());
            }
            match (status.code(), status.signal()) {
                (Some(code), _) => session.exit_status_request(channel, u32::try_from(code).unwrap()).await?,
                (None, number) => {
                    let signal = if number == Some(9) { Sig::KILL } else { Sig::TERM };
                    session.exit_signal_request(channel, signal, false, String::new(), String::new()).await?;
                }
            }
            session.eof(channel).await?;
            session.close(channel).await
        });
    });
    sender
}

/// Its end, which comes with the simulator's at the latest.
fn wait(child: &mut Child, state: &State) -> std::process::ExitStatus {
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if state.is_over.load(Ordering::SeqCst) {
            let _ = child.kill();
            return child.wait().unwrap();
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn relay(mut from: impl Read, send: impl Fn(Vec<u8>) -> bool) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !send(buffer[..length].to_vec()) {
            break;
        }
    }
}
