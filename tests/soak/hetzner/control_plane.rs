//! A control plane that has its bundle already: it answers claims, whoever asks at any address of this computer.

use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use ed25519_dalek::SigningKey;
use firstboot::claim::challenge::Challenger;
use firstboot::http::Answer;
use firstboot::{exchange, tls};

/// For one exchange.
const LIMITS: (Duration, usize) = (Duration::from_secs(10), 1 << 20);

/// Answers at `port` from now on, until this program ends.
pub(super) fn answer(port: u16, membership_key: &SigningKey) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).context("listening for claims")?;
    let (challenger, config) = (Challenger::new(membership_key), tls::server(membership_key)?);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let challenge = challenger.make(SystemTime::now()).to_string();
            // Who pushes looks for another key, and goes away.
            drop(exchange::serve(stream, &config, LIMITS, |_| Answer::text(200, &challenge)));
        }
    });
    Ok(())
}
