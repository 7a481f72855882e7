//! `/etc/passwd` and its kin: base-passwd's masters, then every sysusers.d line of the tree.

use super::accounts::Accounts;
use super::sysusers::{self, Numbers, SysusersError};
use super::{SetupError, Work, configuration, declared, text, write_new};
use crate::tree::{Metadata, Tree};

const STEP: &str = "users";
const SECONDS_PER_DAY: u64 = 86400;

pub(super) fn make(tree: &mut Tree, work: &mut Work<'_>) -> Result<(), SetupError> {
    let mut accounts = Accounts::parse(
        text(tree, "usr/share/base-passwd/passwd.master", STEP)?,
        text(tree, "usr/share/base-passwd/group.master", STEP)?,
    )?;
    let mut lines = Vec::new();
    for (path, content) in configuration(tree, "sysusers.d", ".conf") {
        lines.extend(parse(path, content)?);
    }
    for review in declared::reviews(work) {
        lines.extend(parse(&format!("review of {}", review.name), &review.setup.sysusers.join("\n"))?);
    }
    let locked = Numbers { users: work.context.users.clone(), groups: work.context.groups.clone() };
    work.added = sysusers::evaluate(&mut accounts, &lines, &locked)?;
    write(tree, &accounts, work.context.date.0 / SECONDS_PER_DAY)?;
    work.accounts = accounts;
    Ok(())
}

fn parse(file: &str, content: &str) -> Result<Vec<sysusers::Line>, SysusersError> {
    sysusers::parse(content).map_err(|(line, fault)| SysusersError::Line {
        file: file.to_owned(),
        line,
        fault,
    })
}

fn write(tree: &mut Tree, accounts: &Accounts, day: u64) -> Result<(), SetupError> {
    let gid = accounts.group("shadow").map_or(0, |group| group.gid);
    let secret = Metadata { mode: 0o640, uid: 0, gid };
    tree.write("etc/passwd", Metadata::FILE, accounts.passwd())?;
    tree.write("etc/group", Metadata::FILE, accounts.group_file())?;
    tree.write("etc/shadow", secret, accounts.shadow(day))?;
    tree.write("etc/gshadow", secret, accounts.gshadow())?;
    write_new(tree, "etc/subuid", "")?;
    write_new(tree, "etc/subgid", "")?;
    Ok(())
}
