use std::fs;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::place::{GOOD, Place};

/// What a whole build folder holds.
const WHOLE: [&str; 7] = [
    "out",
    "out/build.json",
    "out/disk.raw",
    "out/manifest.json",
    "out/os.efi",
    "out/root.erofs",
    "out/root.verity",
];

/// Sends SIGINT so long after the start; whether that ended the build.
fn interrupt_after(place: &Place, delay: Duration) -> bool {
    let mut command = place.command(env!("CARGO_BIN_EXE_imgbuild"));
    let mut child = command.args(["--quiet", "build", "cloud", "-o", "out"]).spawn().unwrap();
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
fn ctrl_c_at_any_time_leaves_nothing_half_made() {
    const INSTANTS: u32 = 20;
    let place = Place::new();
    let mut interrupted = 0;
    for instant in 0..INSTANTS {
        // Ten times without a lock and an older build, ten times with both.
        let is_anew = instant.is_multiple_of(2);
        let _ = fs::remove_dir_all(place.path("out"));
        if is_anew {
            let _ = fs::remove_file(place.path("imgbuild.lock"));
        } else {
            place.write("imgbuild.lock", &GOOD.lock);
            assert_eq!(place.build(&[]), (0, String::new()));
            // Without it, the folder is built again.
            fs::remove_file(place.path("out/build.json")).unwrap();
        }
        let is_interrupted = interrupt_after(&place, GOOD.duration * instant / INSTANTS);
        interrupted += u32::from(is_interrupted);
        let made = place.made();
        match (is_interrupted, is_anew) {
            (true, true) => assert_eq!(made, Vec::<String>::new(), "instant {instant}"),
            (true, false) if !made.contains(&"out/build.json".to_owned()) => {
                assert!(made.len() == WHOLE.len() - 1, "instant {instant}: {made:?}");
            }
            _ => assert_eq!(made, WHOLE, "instant {instant}"),
        }
    }
    assert!(interrupted >= INSTANTS / 2, "{interrupted} builds were interrupted");
    let _ = fs::remove_dir_all(place.path("out"));
    assert_eq!(place.build(&[]), (0, String::new()));
    assert_eq!(place.read("out/manifest.json"), GOOD.manifest);
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
