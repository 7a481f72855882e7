//! Runs what README and guide tell people to type, in order, each page in an empty folder and home.
//!
//! A block that begins with three backticks and `sh` is run by bash; one marked `sh make` holds targets of this
//! checkout, which are only checked for being there: `make test` is what runs this test.

use std::fs;
use std::path::{Path, PathBuf};
#[expect(clippy::disallowed_types, reason = "types what a reader types")]
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// For a whole page, with its machines emulated.
const DEADLINE: Duration = Duration::from_mins(20);
/// Lines of a page's output that a failure shows.
const LAST_LINES: usize = 60;

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Contents of the blocks whose info string is `info`.
fn blocks(page: &str, info: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(found) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if found == info {
            blocks.push(block.join("\n"));
        }
    }
    blocks
}

#[expect(clippy::disallowed_types, reason = "types what a reader types")]
fn run(page: &str) {
    let text = fs::read_to_string(checkout().join(page)).unwrap();
    let blocks = blocks(&text, "sh");
    assert!(!blocks.is_empty(), "{page} has no commands");
    let place = tempfile::tempdir().unwrap();
    let (home, work, output) =
        (place.path().join("home"), place.path().join("work"), place.path().join("output"));
    fs::create_dir(&home).unwrap();
    fs::create_dir(&work).unwrap();
    // Each line is shown before it runs, so that a failure says where the page went wrong.
    let script = format!("set -euvo pipefail\n{}\n", blocks.join("\n"));
    fs::write(place.path().join("page.sh"), script).unwrap();
    let log = fs::File::create(&output).unwrap();

    let started = Instant::now();
    let mut bash = Command::new("bash");
    bash.arg("../page.sh")
        .current_dir(&work)
        .env("HOME", &home)
        .env("PATH", path())
        .env("IMGBUILD_CACHE", cache());
    bash.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    // Its machines go with it.
    std::os::unix::process::CommandExt::process_group(&mut bash, 0);
    let mut bash = bash.spawn().unwrap();
    let group = Pid::from_raw(i32::try_from(bash.id()).unwrap()).unwrap();
    let status = loop {
        match bash.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if started.elapsed() > DEADLINE => break None,
            None => std::thread::sleep(Duration::from_millis(200)),
        }
    };
    // Nothing of the group is left where all went well.
    let _ = kill_process_group(group, Signal::TERM);
    let _ = bash.wait();
    let shown = String::from_utf8_lossy(&fs::read(&output).unwrap()).into_owned();
    let lines: Vec<&str> = shown.lines().collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
    let status = status.unwrap_or_else(|| panic!("{page} took longer than {DEADLINE:?}:\n{last}"));
    assert!(status.success(), "{page}: {status}\n{last}");
    println!("{page}: {} s", started.elapsed().as_secs());
}

/// The programs that were just built go before all others.
fn path() -> String {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).unwrap();
    assert!(
        built.join("imgbuild").is_file(),
        "`cargo build --release` makes {}",
        built.join("imgbuild").display()
    );
    format!("{}:{}", built.display(), std::env::var("PATH").unwrap())
}

/// The user's own cache: packages are downloaded once, not for every test.
fn cache() -> PathBuf {
    let given = std::env::var_os("IMGBUILD_CACHE").map(PathBuf::from);
    given.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/imgbuild"))
}

#[test]
fn the_readme_works_as_it_stands() {
    run("README.md");
}

#[test]
fn the_guide_works_as_it_stands() {
    run("docs/guide/your-first-image.md");
}

#[test]
fn the_page_on_secure_boot_works_as_it_stands() {
    run("docs/guide/secure-boot.md");
}

#[test]
fn the_page_on_updates_works_as_it_stands() {
    run("docs/guide/update-offline.md");
}

#[test]
fn the_page_on_sticks_works_as_it_stands() {
    run("docs/guide/stick.md");
}

#[test]
#[expect(clippy::disallowed_types, reason = "types what a reader types")]
fn an_installed_imgbuild_needs_nothing_of_this_checkout() {
    let place = tempfile::tempdir().unwrap();
    let prefix = place.path().join("prefix");
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(place.path())
            .env_clear()
            .env("HOME", place.path())
            .env("PATH", path())
            .env("IMGBUILD_CACHE", cache())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    };
    run("imgbuild", &["install", "--prefix", "prefix"]);
    let pages = ["imgbuild.1", "imgbuild-build.1"].map(|page| format!("share/man/man1/{page}"));
    for file in ["bin/imgbuild", "lib/imgbuild/amd64/firstboot", "lib/imgbuild/amd64/stage0"]
        .into_iter()
        .chain(pages.iter().map(String::as_str))
        .chain(["share/bash-completion/completions/imgbuild"])
    {
        assert!(prefix.join(file).is_file(), "`{file}` is not installed");
    }
    let installed = prefix.join("bin/imgbuild");
    run(installed.to_str().unwrap(), &["init", "lab"]);
    run(installed.to_str().unwrap(), &["-f", "lab/cluster.toml", "build", "cloud", "--without-artifacts"]);
    assert!(place.path().join("lab/out/cloud-amd64/disk.raw").is_file());
}

#[test]
fn the_readme_names_targets_that_exist() {
    let makefile = fs::read_to_string(checkout().join("Makefile")).unwrap();
    let text = fs::read_to_string(checkout().join("README.md")).unwrap();
    let commands = blocks(&text, "sh make").join("\n");
    assert!(!commands.is_empty());
    for command in commands.lines() {
        let target = command.strip_prefix("make ").unwrap_or_else(|| panic!("no make: {command}"));
        assert!(makefile.contains(&format!("\n{target}:")), "the Makefile has no `{target}`");
    }
}

/// As far as it gets without the servers that k3s comes from.
#[test]
#[expect(clippy::disallowed_types, reason = "types what a reader types")]
fn the_demo_with_the_real_k3s_takes_nothing_in_its_place() {
    let place = tempfile::tempdir().unwrap();
    let mut demo = Command::new("tests/setup/demo.sh");
    demo.current_dir(checkout())
        .env("K3S", "real")
        .env("DEMO_DIR", place.path().join("demo"))
        .env("IMGBUILD_CACHE", cache())
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .env("https_proxy", "http://127.0.0.1:9");
    // Of this test's package: crates that look at them would be compiled once more.
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            demo.env_remove(name);
        }
    }
    let output = demo.output().unwrap();
    let (said, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{said}{stderr}");
    assert!(said.contains("4/5 building the image") && !said.contains("5/5"), "{said}{stderr}");
    assert!(
        stderr.contains("k3s") && stderr.contains("`--artifact "),
        "it does not say what to do: {stderr}"
    );
    assert!(!said.contains("stand-in"), "{said}");
}

/// The names that a page's headings have in links.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|&letter| letter.is_alphanumeric() || letter == '-' || letter == '_').collect()
    })
}

#[test]
fn links_between_pages_lead_somewhere() {
    let folders = ["docs", "docs/guide", "docs/concepts", "docs/reference"];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(checkout().join(folder)).unwrap());
    let pages = entries.map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    for path in ["README.md", "CONTRIBUTING.md"].map(|page| checkout().join(page)).into_iter().chain(pages) {
        let page = path.display();
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) =
                link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{page}: `{link}` leads nowhere");
            if let Some(heading) = heading {
                let there = headings(&fs::read_to_string(&target).unwrap()).any(|found| found == heading);
                assert!(there, "{page}: `{link}` names no heading of that page");
            }
        }
    }
}
