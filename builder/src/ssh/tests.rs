use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes as Packet;
use tokio::net::TcpListener;

use super::simulator::{Cut, Proxy, Side, Simulator};
use super::*;
use crate::diagnostic::chain;
use crate::hetzner::{HetznerError, Operation, Stop};
use crate::units::Bytes;

/// Longer than anything here takes, for tests that hang.
const LONG: Duration = Duration::from_mins(5);

fn pace() -> Pace {
    Pace {
        attempt: Duration::from_secs(20),
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(50),
        ..Pace::default()
    }
}

fn operation() -> Operation {
    Operation::new("testing", LONG, &Stop::never())
}

fn usual_programs() -> PathBuf {
    PathBuf::from("/usr/bin:/bin")
}

async fn simulator(seed: u8, key: &Key) -> Simulator {
    Simulator::start(seed, &key.public_line().unwrap(), usual_programs()).await
}

fn command(script: &str) -> Command<'_> {
    Command { what: "testing", script, limit: Bytes(1 << 20) }
}

async fn connected() -> (Simulator, Host, Connection) {
    let key = Key::generate().unwrap();
    let simulator = simulator(1, &key).await;
    let host = Host::new(simulator.address, key, pace());
    let connection = host.connect(&operation()).await.unwrap();
    (simulator, host, connection)
}

#[tokio::test]
async fn a_command_gets_its_input_and_gives_its_output() {
    let (_simulator, _host, connection) = connected().await;
    let operation = operation();
    let said = connection.run(&operation, &command("echo 'it'\\''s \"me\" $((1+1))'; cat")).await.unwrap();
    assert_eq!(said, b"it's \"me\" $((1+1))\n");
    // More than fits into a window, there and back, by two commands at once.
    let packets = |byte: u8| (0..96).map(move |_| Packet::from(vec![byte; 32 << 10]));
    let cat = command("cat");
    let feed = |byte| connection.feed(&operation, &cat, futures_util::stream::iter(packets(byte)));
    let count =
        connection.feed(&operation, &command("wc -c"), futures_util::stream::iter(packets(7))).await.unwrap();
    assert_eq!(String::from_utf8(count).unwrap().trim(), (96 << 15).to_string());
    // `cat` says more than the limit.
    let (one, other) = tokio::join!(feed(1), feed(2));
    for said in [one, other] {
        assert!(matches!(said, Err(SshError::TooLong { .. })), "{said:?}");
    }
}

#[tokio::test]
async fn says_how_a_command_ended_and_what_it_said_last() {
    let (_simulator, _host, connection) = connected().await;
    let operation = operation();
    let run = async |script: &str| connection.run(&operation, &command(script)).await.unwrap_err();
    let script = "for ((i = 0; i < 999; i++)); do echo $i >&2; done; printf '\\033[2Jwhy\\n' >&2; exit 7";
    let said = run(script).await.to_string();
    assert!(said.starts_with("testing failed there with status 7:\n"), "{said}");
    assert!(said.ends_with("998\n\\u{1b}[2Jwhy") && said.len() < 1100, "{said}");
    assert_eq!(run("kill -KILL $$").await.to_string(), "testing failed there with signal KILL");
    // The rest of the input does not hold it up.
    let endless = futures_util::stream::repeat(Packet::from(vec![0; 32 << 10]));
    let error = connection.feed(&operation, &command("exit 4"), endless).await.unwrap_err();
    assert_eq!(error.to_string(), "testing failed there with status 4");
    assert!(connection.run(&operation, &command("exit 0")).await.unwrap().is_empty());
}

#[tokio::test]
async fn waits_for_a_machine_that_boots() {
    let key = Key::generate().unwrap();
    let line = key.public_line().unwrap();
    // Nobody listens there yet, and then somebody who hangs up.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let host = Host::new(address, key, pace());
    let machine = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let listener = TcpListener::bind(address).await.unwrap();
        for _ in 0..3 {
            drop(listener.accept().await.unwrap());
        }
        Simulator::start_on(listener, 1, &line, usual_programs())
    };
    let operation = operation();
    let (simulator, connection) = tokio::join!(machine, host.connect(&operation));
    connection.unwrap().run(&operation, &command("true")).await.unwrap();
    assert_eq!(simulator.commands(), 1);
}

#[tokio::test]
async fn a_silent_machine_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let short = Duration::from_millis(30);
    let host = Host::new(address, Key::generate().unwrap(), Pace { attempt: short, boot: short, ..pace() });
    let error = host.connect(&operation()).await.unwrap_err();
    let expected = format!("no SSH connection to {address} within 0s: {address} was silent for 30ms");
    assert_eq!(chain(&error), expected);
    assert!(error.hint().unwrap().contains("firewall"));
    // The operation's own deadline says the same.
    let host = Host::new(address, Key::generate().unwrap(), pace());
    let operation = Operation::new("testing", short, &Stop::never());
    let error = host.connect(&operation).await.unwrap_err();
    assert!(matches!(error, SshError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn who_does_not_let_the_key_in_is_named() {
    let key = Key::generate().unwrap();
    let simulator = simulator(1, &Key::generate().unwrap()).await;
    let host = Host::new(simulator.address, key, pace());
    let error = host.connect(&operation()).await.unwrap_err();
    assert!(matches!(error, SshError::Refused { .. }), "{error:?}");
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn something_else_than_ssh_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let other = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let page = [b'x'; 4096];
        tokio::io::AsyncWriteExt::write_all(&mut stream, &page).await.unwrap();
        stream
    });
    let host = Host::new(address, Key::generate().unwrap(), pace());
    let error = host.connect(&operation()).await.unwrap_err();
    assert!(matches!(error, SshError::Handshake { .. }), "{error:?}");
    drop(other.await.unwrap());
}

#[tokio::test]
async fn a_trusted_host_cannot_be_exchanged() {
    let key = Key::generate().unwrap();
    let (one, other) = (simulator(1, &key).await, simulator(2, &key).await);
    let proxy = Proxy::start(one.address, Vec::new()).await;
    let host = Host::new(proxy.address, key, pace());
    let operation = operation();
    // Without trust there is nothing to compare with.
    let first = host.connect(&operation).await.unwrap();
    proxy.redirect(other.address);
    let second = host.connect(&operation).await.unwrap();
    assert_ne!(first.host_key(), second.host_key());
    host.trust(&first);
    let error = host.connect(&operation).await.unwrap_err();
    let expected = format!(
        "{} has another host key than before: {}, not {}",
        proxy.address,
        second.host_key(),
        first.host_key()
    );
    assert_eq!(error.to_string(), expected);
    proxy.redirect(one.address);
    host.connect(&operation).await.unwrap().run(&operation, &command("true")).await.unwrap();
}

#[tokio::test]
async fn a_broken_handshake_is_begun_anew_wherever_it_broke() {
    let key = Key::generate().unwrap();
    let simulator = simulator(1, &key).await;
    // The version lines, the key exchange, the authentication.
    let cuts = (0..60).flat_map(|step| {
        let after = step * 37;
        [Cut::after(Side::Client, after), Cut::after(Side::Host, after)]
    });
    let proxy = Proxy::start(simulator.address, cuts.collect()).await;
    let operation = operation();
    let host = Host::new(proxy.address, key, pace());
    // The last ones let a connection come about, which breaks then.
    for _ in 0..120 {
        let connection = host.connect(&operation).await.unwrap();
        match connection.run(&operation, &command("true")).await {
            Ok(_) => break,
            Err(error) => assert!(error.is_lost(), "{error:?}"),
        }
    }
    assert_eq!(proxy.connections(), 121);
}

#[tokio::test]
async fn a_machine_that_hangs_is_noticed() {
    for side in [Side::Client, Side::Host] {
        let key = Key::generate().unwrap();
        let simulator = simulator(1, &key).await;
        let cut = Cut { side, after: 6000, is_frozen: true };
        let proxy = Proxy::start(simulator.address, vec![cut; 99]).await;
        let pace = Pace { keepalive: Duration::from_millis(200), ..pace() };
        let host = Host::new(proxy.address, key, pace);
        let connection = host.connect(&operation()).await.unwrap();
        let endless = futures_util::stream::repeat(Packet::from(vec![0; 1 << 10]));
        let error =
            connection.feed(&operation(), &command("while cat; do :; done"), endless).await.unwrap_err();
        assert!(error.is_lost(), "{error:?}");
    }
}

#[tokio::test]
async fn a_command_can_be_interrupted() {
    let (_simulator, _host, connection) = connected().await;
    let (stopper, stop) = Stop::new();
    let operation = Operation::new("testing", LONG, &stop);
    let endless = futures_util::stream::repeat(Packet::from(vec![0; 1 << 10])).enumerate_then_stop(stopper);
    let error = connection.feed(&operation, &command("cat >/dev/null"), endless).await.unwrap_err();
    assert!(matches!(error, SshError::Operation(HetznerError::Stopped { .. })), "{error:?}");
}

/// An input that interrupts once some of it was sent.
trait Interrupting: futures_util::Stream<Item = Packet> + Sized {
    fn enumerate_then_stop(
        self,
        stopper: crate::hetzner::Stopper,
    ) -> impl futures_util::Stream<Item = Packet> {
        use futures_util::StreamExt as _;
        self.enumerate().map(move |(index, packet)| {
            if index == 100 {
                stopper.stop();
            }
            packet
        })
    }
}

impl<S: futures_util::Stream<Item = Packet>> Interrupting for S {}

#[tokio::test]
async fn a_machine_that_goes_in_the_middle_is_a_lost_connection() {
    let (simulator, _host, connection) = connected().await;
    let address: SocketAddr = simulator.address;
    let proxy = Proxy::start(address, vec![Cut::after(Side::Host, 20_000)]).await;
    let key = Key::generate().unwrap();
    drop((simulator, connection));
    let simulator = self::simulator(1, &key).await;
    proxy.redirect(simulator.address);
    let host = Host::new(proxy.address, key, pace());
    let connection = host.connect(&operation()).await.unwrap();
    let error =
        connection.run(&operation(), &command("while echo 0123456789; do :; done")).await.unwrap_err();
    assert!(error.is_lost(), "{error:?}");
    let start = format!("the connection to {} was lost while testing", proxy.address);
    assert!(error.to_string().starts_with(&start), "{error}");
}
