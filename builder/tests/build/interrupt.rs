use std::fs;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::place::{GOOD, Place};

/// How many instants of a build a signal is sent at.
const INSTANTS: u32 = 10;
/// What a whole build folder holds.
const WHOLE: [&str; 10] = [
    "out",
    "out/build.json",
    "out/disk.raw",
    "out/manifest.json",
    "out/os.efi",
    "out/provenance.json",
    "out/root.erofs",
    "out/root.verity",
    "out/sbom.cdx.json",
    "out/sbom.spdx.json",
];

/// Sends SIGINT so long after the start; whether that ended the build.
fn interrupt_after(place: &Place, delay: Duration) -> bool {
    let mut command = place.command(env!("CARGO_BIN_EXE_imgbuild"));
    let mut child =
        command.args(["--quiet", "build", "cloud", "-o", "out", "--without-artifacts"]).spawn().unwrap();
    thread::sleep(delay);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut words = String::new();
    child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(words, "", "after {delay:?}: {status}");
    // Before the program watches for it, the signal ends it by itself.
    let is_interrupted = status.code() == Some(130) || status.signal() == Some(Signal::INT.as_raw());
    assert!(is_interrupted || status.success(), "after {delay:?}: {status}");
    is_interrupted
}

#[test]
fn ctrl_c_while_locking_or_building_leaves_nothing() {
    let place = Place::new();
    let mut interrupted = 0;
    for instant in 0..INSTANTS {
        let _ = fs::remove_file(place.path("imgbuild.lock"));
        if interrupt_after(&place, GOOD.duration * instant / INSTANTS) {
            interrupted += 1;
            assert_eq!(place.made(), Vec::<String>::new(), "instant {instant}");
        } else {
            assert_eq!(place.made(), WHOLE, "instant {instant}");
            fs::remove_dir_all(place.path("out")).unwrap();
        }
    }
    assert!(interrupted >= INSTANTS / 2, "{interrupted} builds were interrupted");
    assert_eq!(place.build(&[]), (0, String::new()));
    assert_eq!(place.read("out/manifest.json"), GOOD.manifest);
}

#[test]
fn the_exit_code_says_which_signal_it_was() {
    let place = Place::new();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut command = place.command(env!("CARGO_BIN_EXE_imgbuild"));
        let mut child = command.args(["build", "cloud", "-o", "out", "--without-artifacts"]).spawn().unwrap();
        let mut words = child.stderr.take().unwrap();
        // Once it says anything, it watches for signals.
        words.read_exact(&mut [0]).unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        std::io::copy(&mut words, &mut std::io::sink()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert_eq!(place.made(), Vec::<String>::new());
    }
}

#[test]
fn ctrl_c_leaves_the_older_build_or_the_new_one() {
    let place = Place::new();
    assert_eq!(place.build(&[]), (0, String::new()));
    for instant in 0..INSTANTS {
        // Without it, the folder is built again.
        fs::remove_file(place.path("out/build.json")).unwrap();
        let mut left: Vec<_> = WHOLE.into_iter().collect();
        if interrupt_after(&place, GOOD.duration * instant / INSTANTS) {
            left.retain(|name| *name != "out/build.json");
        }
        let made = place.made();
        assert!(made == left || made == WHOLE, "instant {instant}: {made:?}");
        assert_eq!(place.read("out/manifest.json"), GOOD.manifest);
        place.write("out/build.json", "");
    }
}

#[test]
fn two_builds_into_one_folder_do_not_meet() {
    let place = Place::new();
    let build = || place.build(&[]);
    let results = thread::scope(|scope| {
        let builds = [scope.spawn(build), scope.spawn(build)];
        builds.map(|build| build.join().unwrap())
    });
    let busy = (1, "error: another build into `out` is under way\n".to_owned());
    for result in &results {
        assert!(*result == (0, String::new()) || *result == busy, "{results:?}");
    }
    assert!(results.iter().any(|result| result.0 == 0), "{results:?}");
    assert_eq!(place.made(), WHOLE);
    assert_eq!(place.read("out/manifest.json"), GOOD.manifest);
}

#[test]
fn what_a_killed_build_left_is_no_hindrance() {
    let place = Place::new();
    fs::create_dir_all(place.path("out.partial/folder")).unwrap();
    place.write("out.partial/disk.raw", "half");
    assert_eq!(place.build(&[]), (0, String::new()));
    assert_eq!(place.made(), WHOLE);
}
