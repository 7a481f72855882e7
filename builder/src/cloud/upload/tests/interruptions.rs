//! Connections that break, and people who change their minds.

use super::machine::{Kind, Machine, assert_equal, image, noise, operation, password, warnings};
use crate::cloud::upload::{Event, Trust, UploadError, write};
use crate::hetzner::{HetznerError, Operation, Stop};
use crate::ssh::SshError;
use crate::ssh::simulator::{Cut, Side};

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_goes_on_wherever_its_connection_breaks() {
    let image = image(2 * MIB + 100, &[(0, noise(1_500_000, 1)), (2 * MIB, noise(100, 2))]);
    let client = (0..24_u64).map(|step| Cut::after(Side::Client, step * 70_001 + 10));
    let host = (0..24_u64).map(|step| Cut::after(Side::Host, step * 301 + 10));
    for cut in client.chain(host) {
        let machine = Machine::start(Kind::default(), vec![cut]).await;
        let (written, events) = machine.write(image.path()).await;
        let written = written.unwrap_or_else(|error| panic!("{cut:?}: {error:?}"));
        assert_equal(&machine, image.path(), &written);
        assert!(machine.proxy.connections() <= 2 && warnings(&events).len() <= 1, "{cut:?} {events:?}");
        // What was acknowledged is not sent again: all but what was on its way.
        assert!(written.sent.0 < 1_502_000 + 3 * 256 * 1024, "{cut:?} {}", written.sent);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_may_break_as_long_as_something_gets_through() {
    let image = image(4 * MIB, &[(0, noise(4 << 20, 1))]);
    let cuts = vec![Cut::after(Side::Client, 700_000); 99];
    let machine = Machine::start(Kind::default(), cuts).await;
    let (written, events) = machine.write(image.path()).await;
    assert_equal(&machine, image.path(), &written.unwrap());
    assert!(warnings(&events).len() >= 5, "{events:?}");
    assert!(warnings(&events)[0].ends_with("; it goes on over another one"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_given_up_when_nothing_gets_through() {
    let image = image(4 * MIB, &[(0, noise(4 << 20, 1))]);
    let cuts = vec![Cut::after(Side::Client, 100_000); 99];
    let machine = Machine::start(Kind::default(), cuts).await;
    let (written, _) = machine.write(image.path()).await;
    let error = written.unwrap_err();
    assert!(matches!(error, UploadError::Unstable { losses: 5, .. }), "{error:?}");
    assert_eq!(error.to_string(), "5 connections in a row were lost before anything was done over them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_be_interrupted_and_begun_anew() {
    let machine = Machine::start(Kind::default(), Vec::new()).await;
    let image = image(4 * MIB, &[(0, noise(4 << 20, 1))]);
    let rescue = machine.rescue(Trust::ByPassword(password()));
    for after in [0, MIB, 3 * MIB, 4 * MIB] {
        let (stopper, stop) = Stop::new();
        let operation = Operation::new("writing the image", operation().left(), &stop);
        let tell = &mut |event| {
            if let Event::Progress(progress) = event
                && progress.done.0 >= after
            {
                stopper.stop();
            }
        };
        let error = write(&operation, &rescue, image.path(), tell).await.unwrap_err();
        let is_stopped = matches!(error, UploadError::Ssh(SshError::Operation(HetznerError::Stopped { .. })));
        assert!(is_stopped, "{error:?}");
    }
    let (written, _) = machine.write(image.path()).await;
    assert_equal(&machine, image.path(), &written.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_at_its_deadline() {
    let cut = Cut { side: Side::Client, after: 500_000, is_frozen: true };
    let machine = Machine::start(Kind::default(), vec![cut]).await;
    let image = image(4 * MIB, &[(0, noise(4 << 20, 1))]);
    let rescue = machine.rescue(Trust::OnFirstUse);
    let operation = Operation::new("writing the image", std::time::Duration::from_secs(3), &Stop::never());
    let error = write(&operation, &rescue, image.path(), &mut |_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "writing the image took longer than 3s");
}
