//! The user and group databases: passwd(5), group(5), shadow(5), gshadow(5).
//!
//! Starts from base-passwd's masters; `sysusers` adds to it. Order of entries is kept.

use thiserror::Error;

use super::words;

/// One line of passwd(5).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User number.
    pub uid: u32,
    /// Number of the primary group.
    pub gid: u32,
    /// Comment field.
    pub gecos: String,
    /// Home directory, absolute.
    pub home: String,
    /// Login shell, absolute.
    pub shell: String,
    /// Where the account comes from, which decides its line in shadow(5).
    pub origin: Origin,
}

/// Where an account comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// base-passwd's masters: no password, default ageing, as `shadowconfig on` writes it.
    Master,
    /// sysusers.d `u`: locked password.
    System,
    /// sysusers.d `u!`: locked password and expired account.
    Locked,
}

/// One line of group(5).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Group {
    /// Group name.
    pub name: String,
    /// Group number.
    pub gid: u32,
    /// Names of members beyond those whose primary group it is.
    pub members: Vec<String>,
    /// Whether it comes from base-passwd's master.
    pub is_master: bool,
}

/// Why a database cannot be read.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum AccountsError {
    /// A line has the wrong number of fields.
    #[error("line {line} of `{database}` has {found} fields, not {expected}")]
    Fields {
        /// `passwd` or `group`.
        database: &'static str,
        /// Line number from 1.
        line: usize,
        /// Fields that are there.
        found: usize,
        /// Fields the format has.
        expected: usize,
    },
    /// A number is none.
    #[error("line {line} of `{database}` has `{found}` in place of a number")]
    Number {
        /// `passwd` or `group`.
        database: &'static str,
        /// Line number from 1.
        line: usize,
        /// What is there.
        found: String,
    },
}

/// Users and groups of an image.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Accounts {
    /// Users in the order of their lines.
    pub users: Vec<User>,
    /// Groups in the order of their lines.
    pub groups: Vec<Group>,
}

impl Accounts {
    /// Reads the texts of a passwd(5) and a group(5) file.
    pub fn parse(passwd: &str, group: &str) -> Result<Self, AccountsError> {
        let mut accounts = Self::default();
        for (line, fields) in records(passwd) {
            let [name, _, uid, gid, gecos, home, shell] = fields[..] else {
                let found = fields.len();
                return Err(AccountsError::Fields { database: "passwd", line, found, expected: 7 });
            };
            accounts.users.push(User {
                name: name.to_owned(),
                uid: number("passwd", line, uid)?,
                gid: number("passwd", line, gid)?,
                gecos: gecos.to_owned(),
                home: home.to_owned(),
                shell: shell.to_owned(),
                origin: Origin::Master,
            });
        }
        for (line, fields) in records(group) {
            let [name, _, gid, members] = fields[..] else {
                let found = fields.len();
                return Err(AccountsError::Fields { database: "group", line, found, expected: 4 });
            };
            accounts.groups.push(Group {
                name: name.to_owned(),
                gid: number("group", line, gid)?,
                members: members.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
                is_master: true,
            });
        }
        Ok(accounts)
    }

    /// The user called `name`.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// The group called `name`.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The first user with number `uid`.
    pub fn user_by_number(&self, uid: u32) -> Option<&User> {
        self.users.iter().find(|user| user.uid == uid)
    }

    /// The first group with number `gid`.
    pub fn group_by_number(&self, gid: u32) -> Option<&Group> {
        self.groups.iter().find(|group| group.gid == gid)
    }

    /// Text of `/etc/passwd`; passwords are in shadow.
    pub fn passwd(&self) -> String {
        let line = |user: &User| {
            let User { name, uid, gid, gecos, home, shell, .. } = user;
            format!("{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}")
        };
        words::lines(self.users.iter().map(line))
    }

    /// Text of `/etc/group`.
    pub fn group_file(&self) -> String {
        let line = |group: &Group| format!("{}:x:{}:{}", group.name, group.gid, group.members.join(","));
        words::lines(self.groups.iter().map(line))
    }

    /// Text of `/etc/shadow`; `day` is the day of the last change, counted from 1970-01-01.
    /// No account has a password.
    pub fn shadow(&self, day: u64) -> String {
        let line = |user: &User| match user.origin {
            Origin::Master => format!("{}:*:{day}:0:99999:7:::", user.name),
            Origin::System => format!("{}:!*:{day}::::::", user.name),
            Origin::Locked => format!("{}:!*:{day}:::::1:", user.name),
        };
        words::lines(self.users.iter().map(line))
    }

    /// Text of `/etc/gshadow`.
    pub fn gshadow(&self) -> String {
        let line = |group: &Group| {
            let password = if group.is_master { "*" } else { "!*" };
            format!("{}:{password}::{}", group.name, group.members.join(","))
        };
        words::lines(self.groups.iter().map(line))
    }
}

fn records(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| (index + 1, line.split(':').collect()))
}

fn number(database: &'static str, line: usize, text: &str) -> Result<u32, AccountsError> {
    text.parse().map_err(|_| AccountsError::Number { database, line, found: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:*:0:0:root:/root:/bin/bash\n_apt:*:42:65534::/nonexistent:/usr/sbin/nologin\n";
    const GROUP: &str = "root:*:0:\nadm:*:4:syslog,root\n";

    #[test]
    fn moves_passwords_to_shadow() {
        let accounts = Accounts::parse(PASSWD, GROUP).unwrap();
        assert_eq!(accounts.passwd(), PASSWD.replace(":*:", ":x:"));
        assert_eq!(accounts.group_file(), GROUP.replace(":*:", ":x:"));
        assert_eq!(accounts.shadow(20000), "root:*:20000:0:99999:7:::\n_apt:*:20000:0:99999:7:::\n");
        assert_eq!(accounts.gshadow(), "root:*::\nadm:*::syslog,root\n");
    }

    #[test]
    fn names_the_line_that_is_no_record() {
        let cases = [
            ("root:*:0\n", GROUP, "line 1 of `passwd` has 3 fields, not 7"),
            ("root:*:zero:0:::\n", GROUP, "line 1 of `passwd` has `zero` in place of a number"),
            (PASSWD, "root:*:0:\nadm:*:4:a:b\n", "line 2 of `group` has 5 fields, not 4"),
        ];
        for (passwd, group, message) in cases {
            assert_eq!(Accounts::parse(passwd, group).unwrap_err().to_string(), message);
        }
    }
}
