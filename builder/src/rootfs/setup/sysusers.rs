//! sysusers.d(5): which system users and groups packages ask for, and which numbers they get.
//!
//! Follows systemd-sysusers 257: files sorted by name, the first line for a name wins, groups before
//! users, numbers without a wish are handed out downwards from 999. What differs is on purpose: a
//! number in the lock is used for its name and for no other, ever.

mod line;

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::accounts::{Accounts, Group, Origin, User};
pub use line::{Fault, Line, parse};
use line::{Id, Item};

/// The highest number of a system account (systemd's `SYSTEM_UID_MAX` as Debian builds it).
const SYSTEM_MAX: u32 = 999;

/// Why accounts cannot be made.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum SysusersError {
    /// A line is not sysusers.d(5).
    #[error("line {line} of `{file}`: {fault}")]
    Line {
        /// File name or origin of the line.
        file: String,
        /// Line number from 1.
        line: usize,
        /// What is wrong with it.
        fault: Fault,
    },
    /// A group that a line names exists nowhere.
    #[error("user `{user}` wants group `{group}`, which no line and no master has")]
    UnknownGroup {
        /// User of the line.
        user: String,
        /// Group it names.
        group: String,
    },
    /// The lock and a package disagree about a number.
    #[error("`{name}` has number {locked} in the lock, but a package asks for {wanted}")]
    Locked {
        /// User or group.
        name: String,
        /// Number in the lock.
        locked: u32,
        /// Number a line or master wants.
        wanted: u32,
    },
    /// A number in the lock belongs to another account.
    #[error("`{name}` has number {number} in the lock, which belongs to `{owner}`")]
    Taken {
        /// User or group.
        name: String,
        /// Number in the lock.
        number: u32,
        /// Who has it.
        owner: String,
    },
    /// All numbers of the system range are used.
    #[error("no number below {SYSTEM_MAX} is left for `{name}`")]
    Exhausted {
        /// User or group.
        name: String,
    },
}

/// Numbers by name, as the lock holds them and as new ones are handed back.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Numbers {
    /// Users.
    pub users: BTreeMap<String, u32>,
    /// Groups.
    pub groups: BTreeMap<String, u32>,
}

/// Adds what `lines` ask for to `accounts`; returns the numbers that are not in `locked` yet.
///
/// Only numbers that were handed out appear in the result: those that a line or a master fixes need
/// no lock.
pub fn evaluate(accounts: &mut Accounts, lines: &[Line], locked: &Numbers) -> Result<Numbers, SysusersError> {
    let wishes = Wishes::collect(lines);
    let mut evaluation =
        Evaluation { accounts, locked, added: Numbers::default(), next: SYSTEM_MAX, wishes: &wishes };
    for (name, id) in &wishes.groups {
        evaluation.add_group(name, *id)?;
    }
    for (name, wish) in &wishes.users {
        evaluation.add_user(name, wish)?;
    }
    for (user, group) in &wishes.members {
        evaluation.add_member(user, group);
    }
    Ok(evaluation.added)
}

struct UserWish<'lines> {
    id: &'lines Id,
    gecos: &'lines str,
    home: &'lines str,
    shell: &'lines str,
    is_locked: bool,
}

/// What is asked for, once per name, in the order of the first line that asks.
#[derive(Default)]
struct Wishes<'lines> {
    users: Vec<(&'lines str, UserWish<'lines>)>,
    groups: Vec<(&'lines str, Option<u32>)>,
    members: Vec<(&'lines str, &'lines str)>,
    /// Allowed numbers from `r` lines; empty means the whole system range.
    ranges: Vec<(u32, u32)>,
}

impl<'lines> Wishes<'lines> {
    fn collect(lines: &'lines [Line]) -> Self {
        let mut wishes = Self::default();
        for line in lines {
            match &line.item {
                Item::User { id, gecos, home, shell, is_locked } => {
                    if !wishes.has_user(&line.name) {
                        let wish = UserWish { id, gecos, home, shell, is_locked: *is_locked };
                        wishes.users.push((&line.name, wish));
                    }
                }
                Item::Group { gid } => {
                    if !wishes.has_group(&line.name) {
                        wishes.groups.push((&line.name, *gid));
                    }
                }
                Item::Member { group } => wishes.members.push((&line.name, group)),
                Item::Range { low, high } => wishes.ranges.push((*low, *high)),
            }
        }
        wishes.add_implicit();
        wishes
    }

    /// A membership asks for its user and its group too.
    fn add_implicit(&mut self) {
        for (user, group) in self.members.clone() {
            if !self.has_user(user) {
                let wish = UserWish { id: &Id::Any, gecos: "", home: "", shell: "", is_locked: false };
                self.users.push((user, wish));
            }
            if !self.has_group(group) {
                self.groups.push((group, None));
            }
        }
    }

    fn has_user(&self, name: &str) -> bool {
        self.users.iter().any(|(known, _)| *known == name)
    }

    fn has_group(&self, name: &str) -> bool {
        self.groups.iter().any(|(known, _)| *known == name)
    }

    fn allows(&self, number: u32) -> bool {
        self.ranges.is_empty() || self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&number))
    }
}

struct Evaluation<'run> {
    accounts: &'run mut Accounts,
    locked: &'run Numbers,
    added: Numbers,
    /// The next number to try; users and groups share it, as in systemd-sysusers.
    next: u32,
    wishes: &'run Wishes<'run>,
}

impl Evaluation<'_> {
    fn add_group(&mut self, name: &str, wanted: Option<u32>) -> Result<u32, SysusersError> {
        if let Some(group) = self.accounts.group(name) {
            return agree(name, self.locked.groups.get(name), group.gid);
        }
        let owner = |number| self.accounts.group_by_number(number).map(|group| group.name.as_str());
        let gid = if let Some(number) = locked_number(name, &self.locked.groups, wanted, owner)? {
            number
        } else if let Some(number) = wanted.filter(|number| self.is_group_free(*number, name)) {
            number
        } else {
            let number = self.allocate(name, Self::is_group_free)?;
            self.added.groups.insert(name.to_owned(), number);
            number
        };
        self.accounts.groups.push(Group {
            name: name.to_owned(),
            gid,
            members: Vec::new(),
            is_master: false,
        });
        Ok(gid)
    }

    fn add_user(&mut self, name: &str, wish: &UserWish<'_>) -> Result<(), SysusersError> {
        if let Some(user) = self.accounts.user(name) {
            return agree(name, self.locked.users.get(name), user.uid).map(drop);
        }
        let gid = self.primary_group(name, wish.id)?;
        let uid = self.user_number(name, wish.id.uid(), gid)?;
        let or =
            |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
        self.accounts.users.push(User {
            name: name.to_owned(),
            uid,
            gid,
            gecos: wish.gecos.to_owned(),
            home: or(wish.home, "/"),
            shell: or(wish.shell, "/usr/sbin/nologin"),
            origin: if wish.is_locked { Origin::Locked } else { Origin::System },
        });
        Ok(())
    }

    fn primary_group(&mut self, name: &str, id: &Id) -> Result<u32, SysusersError> {
        match id {
            Id::WithGroupNumber { gid, .. } => Ok(*gid),
            Id::WithGroup { group, .. } => match self.accounts.group(group) {
                Some(group) => Ok(group.gid),
                None => Err(SysusersError::UnknownGroup { user: name.to_owned(), group: group.clone() }),
            },
            Id::Any | Id::Number(_) => self.add_group(name, id.uid()),
        }
    }

    fn user_number(&mut self, name: &str, wanted: Option<u32>, gid: u32) -> Result<u32, SysusersError> {
        let owner = |number| self.accounts.user_by_number(number).map(|user| user.name.as_str());
        if let Some(number) = locked_number(name, &self.locked.users, wanted, owner)? {
            return Ok(number);
        }
        if let Some(number) = wanted.filter(|number| self.is_user_free(*number, name)) {
            return Ok(number);
        }
        let number =
            if self.is_user_free(gid, name) { gid } else { self.allocate(name, Self::is_user_free)? };
        self.added.users.insert(name.to_owned(), number);
        Ok(number)
    }

    fn allocate(&mut self, name: &str, is_free: fn(&Self, u32, &str) -> bool) -> Result<u32, SysusersError> {
        while self.next > 0 {
            let number = self.next;
            self.next -= 1;
            if self.wishes.allows(number) && is_free(self, number, name) {
                return Ok(number);
            }
        }
        Err(SysusersError::Exhausted { name: name.to_owned() })
    }

    /// Whether user number `number` may go to `name`: nobody has it, the lock keeps it for nobody
    /// else, and a group of that number has the same name.
    fn is_user_free(&self, number: u32, name: &str) -> bool {
        self.accounts.user_by_number(number).is_none()
            && self.accounts.group_by_number(number).is_none_or(|group| group.name == name)
            && self.is_unlocked(number, name)
    }

    fn is_group_free(&self, number: u32, name: &str) -> bool {
        self.accounts.group_by_number(number).is_none()
            && self.accounts.user_by_number(number).is_none_or(|user| user.name == name)
            && self.is_unlocked(number, name)
    }

    fn is_unlocked(&self, number: u32, name: &str) -> bool {
        let others = |numbers: &BTreeMap<String, u32>| {
            numbers.iter().any(|(owner, kept)| *kept == number && owner != name)
        };
        !others(&self.locked.users) && !others(&self.locked.groups)
    }

    fn add_member(&mut self, user: &str, group: &str) {
        if let Some(group) = self.accounts.groups.iter_mut().find(|known| known.name == group) {
            let members: BTreeSet<String> =
                group.members.drain(..).chain(std::iter::once(user.to_owned())).collect();
            group.members = members.into_iter().collect();
        }
    }
}

/// The number that is locked for `name`, unless another is wanted or it has an owner.
fn locked_number<'a>(
    name: &str,
    locked: &BTreeMap<String, u32>,
    wanted: Option<u32>,
    owner: impl FnOnce(u32) -> Option<&'a str>,
) -> Result<Option<u32>, SysusersError> {
    let Some(&number) = locked.get(name) else { return Ok(None) };
    if let Some(wanted) = wanted.filter(|wanted| *wanted != number) {
        return Err(SysusersError::Locked { name: name.to_owned(), locked: number, wanted });
    }
    match owner(number) {
        Some(owner) => Err(SysusersError::Taken { name: name.to_owned(), number, owner: owner.to_owned() }),
        None => Ok(Some(number)),
    }
}

fn agree(name: &str, locked: Option<&u32>, number: u32) -> Result<u32, SysusersError> {
    match locked {
        Some(&locked) if locked != number => {
            Err(SysusersError::Locked { name: name.to_owned(), locked, wanted: number })
        }
        _ => Ok(number),
    }
}

#[cfg(test)]
mod tests;
