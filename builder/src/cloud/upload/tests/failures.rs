//! Machines and images that are not as they should be: each is one clear error.

use std::path::Path;

use super::machine::{Kind, Machine, assert_equal, host, image, noise, operation, password};
use crate::cloud::upload::{Event, Trust, UploadError, write};
use crate::diagnostic::chain;
use crate::ssh::SshError;

const MIB: u64 = 1 << 20;

/// What comes of writing a usual image, as a text.
async fn fault(kind: Kind) -> (String, UploadError, Machine) {
    let machine = Machine::start(kind, Vec::new()).await;
    let image = image(2 * MIB, &[(0, noise(1 << 20, 1))]);
    let (written, _) = machine.write(image.path()).await;
    let error = written.unwrap_err();
    let dev = machine.path("dev");
    (chain(&error).replace(dev.to_str().unwrap(), "/dev"), error, machine)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_in_between_is_sent_nothing() {
    for (hash, expected) in [
        // Of another password.
        (
            "$6$saltsalt$r4j7z8gOqxO9zYH/VSQ4MPgAu/GTg0.tIK5o0K3dXowoILt/JRmXmiqFa26mKioMH3Fwhg6qaU0XTibPpoJ8z.",
            "its password of `root` is not the one that the provider told",
        ),
        ("$2b$05$abcdefghijklmnopqrstuu", "its password of `root` is hashed by the unknown scheme `2b`"),
        ("!", "its `root` has no password"),
        ("$y$j9T$abcdefgh$dPf6", "the hash of its password of `root` is malformed or too costly to check"),
    ] {
        let (said, error, machine) = fault(Kind { hash, ..Kind::default() }).await;
        let start = "the host at the server's address has not proved that it is the server: ";
        assert_eq!(said, format!("{start}{expected}"));
        assert!(error.hint().is_some());
        assert_eq!(machine.simulator.commands(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_changes_its_key_when_it_is_asked_again() {
    let machine = Machine::start(Kind::default(), Vec::new()).await;
    let kind = Kind { seed: 2, ..Kind::default() };
    let (_folder, other) = host(&kind, &machine.key).await;
    for trust in [Trust::ByPassword(password()), Trust::OnFirstUse] {
        let rescue = machine.rescue(trust);
        machine.proxy.redirect(machine.simulator.address);
        rescue.connect(&operation()).await.unwrap();
        machine.proxy.redirect(other.address);
        let image = image(2 * MIB, &[(0, noise(1 << 20, 1))]);
        let error = write(&operation(), &rescue, image.path(), &mut |_| {}).await.unwrap_err();
        assert!(matches!(error, UploadError::Ssh(SshError::HostKey { .. })), "{error:?}");
        assert!(error.hint().unwrap().contains("somebody stands between"));
        assert_eq!(other.commands(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_keep_what_it_is_given() {
    let flush = "printf x | dd of=\"$disk\" bs=1 seek=$RANDOM conv=notrunc status=none";
    let (said, error, _machine) = fault(Kind { flush, ..Kind::default() }).await;
    assert_eq!(
        said,
        "disk `/dev/sda` differs from the image, written twice: 1 of 1 parts of 64 MiB were wrong"
    );
    assert!(error.hint().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disks_that_cannot_be_written_to() {
    for (kind, expected) in [
        (
            Kind { disk: 2 * MIB - 1, ..Kind::default() },
            "the image of 2 MiB does not fit on the server's disk `/dev/sda` of 1.9 MiB",
        ),
        (
            Kind { disks: &["sda", "sdb"], ..Kind::default() },
            "the server has more than one disk: /dev/sda, /dev/sdb",
        ),
        (Kind { disks: &[], ..Kind::default() }, "the server has no disk"),
        (Kind { disk: 0, ..Kind::default() }, "the server has no disk"),
    ] {
        let (said, _, machine) = fault(kind).await;
        assert_eq!(said, expected);
        assert_eq!(machine.simulator.commands(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_disk_of_any_usual_name_will_do() {
    for name in ["sdb", "vda", "nvme0n1"] {
        let disks = vec![name].leak();
        let machine = Machine::start(Kind { disks, ..Kind::default() }, Vec::new()).await;
        let image = image(2 * MIB, &[(0, noise(1 << 20, 1))]);
        let (written, _) = machine.write(image.path()).await;
        std::fs::rename(machine.path("dev").join(name), machine.path("dev/sda")).unwrap();
        assert_equal(&machine, image.path(), &written.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_are_missing_or_fail() {
    for missing in ["zstd", "blkdiscard", "blockdev"] {
        let (said, _, _) = fault(Kind { missing, ..Kind::default() }).await;
        assert_eq!(said, format!("the rescue system has no {missing}"));
    }
    let zstd = Some("cat >/dev/null; echo out of memory >&2; exit 3");
    let (said, _, _) = fault(Kind { zstd, ..Kind::default() }).await;
    assert_eq!(said, "writing the image failed there with status 3:\nout of memory");
    // Who reads no input is not waited for.
    let zstd = Some("echo no >&2; exit 4");
    let (said, _, _) = fault(Kind { zstd, ..Kind::default() }).await;
    assert_eq!(said, "writing the image failed there with status 4:\nno");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_that_are_none() {
    let machine = Machine::start(Kind::default(), Vec::new()).await;
    let (written, _) = machine.write(Path::new("/dev/null")).await;
    let said = chain(&written.unwrap_err());
    assert_eq!(said, "reading disk image `/dev/null`: it is no regular file");
    let (written, events) = machine.write(image(0, &[]).path()).await;
    assert!(matches!(written, Err(UploadError::Empty { .. })));
    assert_eq!((machine.simulator.commands(), events.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_becomes_shorter_meanwhile() {
    let machine = Machine::start(Kind::default(), Vec::new()).await;
    let image = image(6 * MIB, &[(0, noise(6 << 20, 1))]);
    let rescue = machine.rescue(Trust::OnFirstUse);
    let tell = &mut |event| {
        if let Event::Progress(progress) = event
            && progress.done.0 > 0
        {
            image.as_file().set_len(MIB).unwrap();
        }
    };
    let error = write(&operation(), &rescue, image.path(), tell).await.unwrap_err();
    assert!(matches!(error, UploadError::Image { .. }), "{error:?}");
}
