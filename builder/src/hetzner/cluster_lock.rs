//! One run per cluster: a lock with an owner and an expiry, kept at Hetzner, where every run comes by.
//!
//! It is a firewall without rules that is applied to nothing. Of all that costs nothing, it is the one whose names the
//! API promises to be unique in a project, so that of two creations one fails; placement groups and networks do not say
//! so, Primary IPs are billed, and SSH keys would be offered to people who make servers. Its labels say whose it is, and
//! it bears no label of the cluster's, so that whoever lists a cluster's firewalls does not meet it.
//!
//! A run renews it long before it expires, and stops when it cannot. An expired one is taken over: removed *by the
//! number that was looked at*, then made anew, so that of two who take over, one meets the other's new lock, and nobody
//! removes that. One whose process was killed is expired at once for whoever runs on the same computer. Clocks of
//! operators may differ by two minutes. What the API cannot give is a fence: a run that sleeps past
//! its expiry between [`ClusterLock::check`] and a request still sends that request.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::firewall::{CreateFirewall, Firewall};
use super::label::{RUN, near_value};
use super::process;
use super::{Client, ErrorCode, FirewallId, HetznerError, Labels, Operation, Query, Run, Selector};
use crate::printable;
use crate::units::Timestamp;

/// Label of a lock; its value is the cluster's name.
pub const LOCK: &str = "imgbuild.org/lock";
/// Label that says whose it is.
const OWNER: &str = "imgbuild.org/owner";
/// Label that says by which process.
const PROCESS: &str = "imgbuild.org/process";
/// Label that says since when, in seconds of Unix: no label holds a colon.
const SINCE: &str = "imgbuild.org/since";
/// Label that says until when, likewise.
const EXPIRES: &str = "imgbuild.org/expires";

/// How long a lock is good without being renewed: a run that was killed keeps others away for so long.
pub const VALID: Duration = Duration::from_mins(15);
/// By so much the clocks of two operators may differ.
const SKEW: Duration = Duration::from_mins(2);
/// A lock may go while it is looked at, and another come.
const TRIES: u32 = 3;

/// A lock that this run holds.
#[derive(Debug)]
pub struct ClusterLock {
    id: FirewallId,
    cluster: String,
    labels: Labels,
    expires: Timestamp,
}

/// Who holds the lock of a cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holder {
    /// Name of the firewall that is the lock.
    pub lock: String,
    /// Who, as a label has it.
    pub owner: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Until when, unless it is renewed.
    pub expires: Option<Timestamp>,
    /// Number of the run.
    pub run: Option<String>,
    /// Name of the cluster.
    pub cluster: Option<String>,
    /// Name of its process.
    process: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.owner.as_deref().unwrap_or("unknown");
        write!(formatter, "`{}`", printable::text(owner))?;
        if let Some(since) = self.since {
            write!(formatter, " since {since}")?;
        }
        match self.expires {
            Some(expires) => write!(formatter, ", until {expires} unless renewed"),
            None => formatter.write_str(", without an end"),
        }
    }
}

impl Holder {
    fn of(firewall: &Firewall) -> Self {
        let label = |key| firewall.labels.get(key);
        let time = |key| label(key)?.parse().ok().map(Timestamp);
        let owner = label(OWNER).filter(|owner| !owner.is_empty()).map(str::to_owned);
        let text = |key| label(key).map(str::to_owned);
        Self {
            lock: firewall.name.clone(),
            owner,
            since: time(SINCE),
            expires: time(EXPIRES),
            run: text(RUN),
            cluster: text(LOCK),
            process: text(PROCESS),
        }
    }

    /// Without an end that can be read, somebody else has changed it, and only people know.
    fn is_expired(&self, now: Timestamp) -> bool {
        self.process.as_deref().is_some_and(process::is_gone)
            || self.expires.is_some_and(|expires| expires.0.saturating_add(SKEW.as_secs()) < now.0)
    }

    /// What to do.
    pub fn hint(&self) -> String {
        format!(
            "where no such run is left, delete the firewall `{}` in the project's console",
            printable::text(&self.lock)
        )
    }
}

impl ClusterLock {
    /// Takes the lock of `cluster`, for `owner`: `alice@laptop`.
    pub async fn acquire(
        client: &Client,
        operation: &Operation,
        run: &Run,
        cluster: &str,
        owner: &str,
    ) -> Result<Self, HetznerError> {
        let name = format!("imgbuild-lock-{cluster}");
        let mut tries = 0;
        loop {
            let now = now();
            let expires = Timestamp(now.0.saturating_add(VALID.as_secs()));
            let mut labels = Labels::default()
                .with(LOCK, cluster)?
                .with(OWNER, &near_value(owner))?
                .with(SINCE, &now.0.to_string())?
                .with(EXPIRES, &expires.0.to_string())?;
            if let Some(process) = process::own() {
                labels = labels.with(PROCESS, &process)?;
            }
            let (rules, apply_to) = (Vec::new(), Vec::new());
            let wanted = CreateFirewall { name: name.clone(), rules, apply_to, labels: labels.clone() };
            let error = match client.create(operation, run, wanted).await {
                Ok(created) => {
                    labels.mark(run);
                    return Ok(Self { id: created.made.id, cluster: cluster.to_owned(), labels, expires });
                }
                Err(error) if error.is(&ErrorCode::UniquenessError) => error,
                Err(error) => return Err(error),
            };
            tries += 1;
            if let Some(found) = client.by_name::<Firewall>(operation, &name).await? {
                let holder = Holder::of(&found);
                if !holder.is_expired(now) {
                    return Err(HetznerError::Held { cluster: cluster.to_owned(), holder: Box::new(holder) });
                }
                client.delete::<Firewall>(operation, found.id).await?;
            }
            if tries >= TRIES {
                return Err(error);
            }
        }
    }

    /// Fails once the lock has expired: whatever is done now, another run may do, too.
    pub fn check(&self) -> Result<(), HetznerError> {
        if now() < self.expires { Ok(()) } else { Err(self.lost()) }
    }

    /// Renews it when half of its time is over. To be called now and then, before anything that changes the cluster.
    pub async fn renew_if_due(&mut self, client: &Client, operation: &Operation) -> Result<(), HetznerError> {
        let half = Timestamp(now().0.saturating_add(VALID.as_secs() / 2));
        if half < self.expires { Ok(()) } else { self.renew(client, operation).await }
    }

    /// Moves its end. One that has expired is not renewed: another run may have seen that.
    pub async fn renew(&mut self, client: &Client, operation: &Operation) -> Result<(), HetznerError> {
        self.check()?;
        let expires = Timestamp(now().0.saturating_add(VALID.as_secs()));
        let labels = self.labels.clone().with(EXPIRES, &expires.0.to_string())?;
        match client.set_labels::<Firewall>(operation, self.id, &labels).await {
            Ok(_) => {
                self.expires = expires;
                self.labels = labels;
                Ok(())
            }
            Err(error) if error.is_not_found() => Err(self.lost()),
            Err(error) => Err(error),
        }
    }

    /// Gives it back. What another run has made since is another firewall, and stays.
    pub async fn release(self, client: &Client, operation: &Operation) -> Result<(), HetznerError> {
        let actions = client.delete::<Firewall>(operation, self.id).await?;
        client.wait(operation, actions).await
    }

    /// Removes what an [`ClusterLock::acquire`] that failed may have made all the same.
    pub async fn forget(client: &Client, operation: &Operation, run: &Run) -> Result<(), HetznerError> {
        let query = Query::default().label(&Selector::exists(LOCK).and(&run.selector()));
        for found in client.list::<Firewall>(operation, &query).await? {
            client.delete::<Firewall>(operation, found.id).await?;
        }
        Ok(())
    }

    /// All locks of the project, each with whether its time is over.
    pub async fn all(
        client: &Client,
        operation: &Operation,
    ) -> Result<Vec<(FirewallId, Holder, bool)>, HetznerError> {
        let query = Query::default().label(&Selector::exists(LOCK));
        let found: Vec<Firewall> = client.list(operation, &query).await?;
        let now = now();
        let lock = |found: &Firewall| {
            let holder = Holder::of(found);
            let is_expired = holder.is_expired(now);
            (found.id, holder, is_expired)
        };
        Ok(found.iter().map(lock).collect())
    }

    fn lost(&self) -> HetznerError {
        HetznerError::LockLost { cluster: self.cluster.clone() }
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp(since.unwrap_or_default().as_secs())
}
