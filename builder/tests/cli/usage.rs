//! The command line itself.

use super::program::Place;

#[test]
fn shows_help() {
    insta::assert_snapshot!(Place::new().run(&["--help"]), @"");
}

#[test]
fn refuses_wrong_command_lines() {
    let place = Place::new();
    for (arguments, message) in [
        (&[][..], "Usage: imgbuild"),
        (&["chekc"], "a similar subcommand exists: 'check'"),
        (&["check", "--jsno"], "a similar argument exists: '--json'"),
        (&["check", "-q", "-v"], "cannot be used with '--verbose'"),
        (&["record"], "<NODE>"),
    ] {
        let (code, stdout, stderr) = place.output(arguments, &place.path());
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.contains(message), "{arguments:?}: {stderr}");
    }
}

#[test]
fn colours_only_when_told_to_where_nobody_looks() {
    let place = Place::new();
    for (color, is_colored) in [("always", true), ("never", false), ("auto", false)] {
        let (_, _, stderr) = place.output(&["check", "--color", color], &place.path());
        assert_eq!(stderr.contains("\u{1b}["), is_colored, "{color}: {stderr}");
    }
}
