//! The command line itself.

use super::program::Place;

#[test]
fn shows_help() {
    insta::assert_snapshot!(Place::new().run(&["--help"]), @"
    exit code 0
    --- stdout
    Builds immutable node images that become a Kubernetes edge-cloud cluster by
    being booted

    Usage: imgbuild [OPTIONS] <COMMAND>

    Commands:
      init        Make a folder with a cluster file that is valid as it stands
      check       Show every fault of the cluster file, or what it describes
      lock        Choose packages by exact version and digest
      build       Build a bootable disk image from a profile
      boot        Boot a built image in QEMU
      identity    The cluster's secrets: one encrypted file beside the cluster file
      verify      Check a build against its manifest, root hash and signature
      slot        The two slots of a disk: put an update on trial
      diff        Show how two builds differ
      size        Show what takes the room in a build
      clean       Remove builds, and the cache if asked to
      deployment  The GitOps tree: what ArgoCD syncs
      record      Print the record that a node is configured by
      ticket      Mint a ticket: a permission to join as a node, good once
      status      Show every node, why it is not Ready, and who waits to be let in
      node        Say what becomes of a machine that waits, or of a node
      plan        Show what would be done at Hetzner, each call and its price
      cloud       Upload images to Hetzner, as snapshots that servers are made of
      up          Make the servers of a cluster at Hetzner, and wait until they are
                  its nodes
      down        Remove all that a cluster has at Hetzner
      snapshots   The snapshots at Hetzner that servers are made of
      orphans     Show what interrupted runs have left at Hetzner
      usb         Write a stick or a card for each node
      flash       Write a disk image to a stick or a card
      kubeconfig  Mint a way to the Kubernetes API for kubectl and its like
      admin       The people who may do everything
      install     Install programs, man pages and completions below a prefix

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Everywhere:
      -f, --file <FILE>
              Cluster file; without it, the next cluster.toml here or above

          --json
              Write one JSON document to standard output

      -q, --quiet
              Say only what needs attention

      -v, --verbose
              Say more

          --color <WHEN>
              When to use colour

              Possible values:
              - auto:   On a terminal, unless `NO_COLOR` is set or the terminal is
                `dumb`
              - always: Always
              - never:  Never
              
              [default: auto]

          --mirror <URL>
              Debian mirror to fetch packages from [env: IMGBUILD_MIRROR]

          --offline
              Fetch nothing: use what the cache holds

          --cache <DIR>
              Folder of the cache; without it, imgbuild in the user's cache folder
              
              [env: IMGBUILD_CACHE=]

      -y, --yes
              Don't ask before changing things
    ");
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
