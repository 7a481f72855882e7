//! The way to a project of Hetzner Cloud: token, client, one operation with its deadline and Ctrl-C.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Mutex;

use super::interrupt::{self, Flag};
use super::{Context, Note as _};
use crate::cloud::observed::Observed;
use crate::cloud::plan::{Plan, Step};
use crate::cloud::wanted::{CLUSTER_LABEL, Wanted};
use crate::cluster::{Cluster, Hetzner};
use crate::environment;
use crate::hetzner::carry_out::Site;
use crate::hetzner::{
    Client, ClusterLock, Endpoint, HetznerError, Operation, Run, Selector, Stop, Stopper, Token,
};
use crate::s3::Storage;

/// For all questions of a look together.
const LOOKING: Duration = Duration::from_mins(2);
/// For removing what was made, and giving back the lock.
const CLEAN_UP: Duration = Duration::from_mins(10);
/// Between two looks at the flag while somebody is asked.
const LOOK: Duration = Duration::from_millis(50);
/// Between two looks at the lock while something takes long.
const KEEP: Duration = Duration::from_mins(1);

/// Arguments of commands that ask Hetzner.
#[derive(Debug, Args)]
pub(super) struct Access {
    /// File with the API token of the project; without it, `HCLOUD_TOKEN`
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// A project that can be asked.
pub(super) struct Project {
    pub(super) client: Client,
    /// The S3 service of the cluster's buckets, where it is asked too.
    pub(super) storage: Option<Storage>,
    runtime: Background,
    stop: Stop,
    interrupted: Flag,
}

/// A runtime whose threads are not waited for: one may ask somebody who never answers.
struct Background(Option<Runtime>);

impl Background {
    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        let runtime = self.0.as_ref().expect("it is there until it is dropped");
        runtime.block_on(work)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Access {
    /// Fails before anything is asked where something is missing here.
    pub(super) fn open(&self, context: &Context) -> anyhow::Result<Project> {
        let file = self.token_file.as_deref();
        let token = Token::choose(file).map_err(|fault| {
            let hint = fault.hint();
            anyhow::Error::from(fault).input().hint(hint)
        })?;
        if let Some(warning) = file.and_then(Token::warning) {
            context.printer.warn(&warning);
        }
        let endpoint = Endpoint::choose().map_err(|fault| anyhow::Error::from(fault).input())?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let (stopper, stop) = Stop::new();
        let printer = context.printer.clone();
        // A clean-up may take minutes, and somebody may not have them.
        let again = move || printer.warn("ended in the middle of it: `imgbuild orphans` shows what is left");
        let interrupted = interrupt::flag_and(move || stopper.stop(), again)?;
        Ok(Project {
            client: Client::new(endpoint, token)?,
            storage: None,
            runtime: Background(Some(runtime.context("starting to talk to Hetzner")?)),
            stop,
            interrupted,
        })
    }
}

/// What works on a cluster alone: while it lives, no other run does.
pub(super) struct Exclusive<'a> {
    pub(super) client: &'a Client,
    pub(super) storage: Option<&'a Storage>,
    pub(super) run: Run,
    lock: Mutex<ClusterLock>,
    /// Whether there is something now that must not be undone.
    has_begun: AtomicBool,
}

impl Exclusive<'_> {
    /// All that a plan for `wanted` depends on.
    pub(super) async fn observe(&self, operation: &Operation, wanted: &Wanted) -> anyhow::Result<Observed> {
        observe(self.client, self.storage, operation, wanted).await.map_err(of_hetzner)
    }

    /// Takes what marks it as this run's from all that the cluster has: it is whole, and stays.
    pub(super) async fn settle(&self, operation: &Operation, cluster: &str) -> Result<(), HetznerError> {
        let own = Selector::equals(CLUSTER_LABEL, cluster);
        // Buckets first: last of all comes where the cluster has begun.
        if let Some(storage) = self.storage {
            storage.settle(operation, cluster).await?;
        }
        self.client.settle(operation, &own).await
    }

    /// From here on nothing is undone, whatever fails.
    pub(super) fn undo_nothing(&self) {
        self.has_begun.store(true, Ordering::SeqCst);
    }

    /// To be called before anything that changes the cluster: fails once another run may work on it.
    pub(super) async fn keep(&self, operation: &Operation) -> Result<(), HetznerError> {
        let mut lock = self.lock.lock().await;
        lock.check()?;
        match lock.renew_if_due(self.client, operation).await {
            // The next time will do, as long as there is one.
            Err(error) if !matches!(error, HetznerError::LockLost { .. }) && lock.check().is_ok() => Ok(()),
            renewed => renewed,
        }
    }

    /// Does `work` of an operation and keeps the lock meanwhile. What a request has begun is not dropped: the loss of the
    /// lock stops the work, and both faults are told.
    pub(super) async fn while_kept<T>(
        &self,
        operation: &Operation,
        work: impl AsyncFnOnce(&Operation, &Stopper) -> T,
    ) -> (T, Result<(), HetznerError>) {
        let (part, stopper) = operation.part();
        let working = async {
            let done = work(&part, &stopper).await;
            stopper.stop();
            done
        };
        let keeping = async {
            let kept = self.keep_until(&part).await;
            stopper.stop();
            kept
        };
        futures_util::future::join(working, keeping).await
    }

    /// Carries out all steps of a plan; `done` is told of each that is.
    pub(super) async fn carry_out(
        &self,
        operation: &Operation,
        site: &Site<'_>,
        plan: &Plan,
        done: &(impl Fn(&Step) + Sync),
    ) -> Result<(), HetznerError> {
        let work = async |part: &Operation, _: &Stopper| {
            site.carry_out(part, plan, async || self.keep(part).await, done).await
        };
        let (made, kept) = self.while_kept(operation, work).await;
        // The loss of the lock is why the rest was stopped.
        kept.and(made)
    }

    /// Keeps it again and again, until the operation is stopped, which is no fault.
    async fn keep_until(&self, operation: &Operation) -> Result<(), HetznerError> {
        let keeping = async {
            loop {
                self.keep(operation).await?;
                operation.pause(KEEP, None).await?;
            }
        };
        match keeping.await {
            Err(HetznerError::Stopped { .. }) => Ok(()),
            ended => ended,
        }
    }

    /// Removes all that this run has made; how much is told. Who has lost the lock leaves it: another run may go on with it.
    async fn undo(&self, operation: &Operation) -> Result<usize, HetznerError> {
        if let Err(lost @ HetznerError::LockLost { .. }) =
            self.lock.lock().await.renew(self.client, operation).await
        {
            return Err(lost);
        }
        let (removed, kept) = self
            .while_kept(operation, async |part, _| {
                // What one service says does not keep the other.
                let buckets = async {
                    match self.storage {
                        Some(storage) => storage.clean_up(part).await,
                        None => Ok(0),
                    }
                };
                let servers = Box::pin(self.client.clean_up(part, &self.run));
                let (removed, buckets) = tokio::join!(servers, Box::pin(buckets));
                Ok(removed? + buckets?)
            })
            .await;
        kept?;
        removed
    }
}

impl Project {
    /// The same with an S3 service.
    pub(super) fn with_storage(self, storage: Option<Storage>) -> Self {
        Self { storage, ..self }
    }

    /// Fails unless the user lets it happen, or once they want to end.
    pub(super) fn ask(&self, context: &Context, question: &str) -> anyhow::Result<()> {
        let (told, answer) = mpsc::channel();
        let (context, question) = (context.clone(), question.to_owned());
        // The terminal is read elsewhere, for a signal does not end a read that is begun anew.
        thread::spawn(move || told.send(context.ask(&question)));
        loop {
            self.interrupted.check()?;
            match answer.recv_timeout(LOOK) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => anyhow::bail!("nobody can be asked"),
            }
        }
    }

    /// Runs something that changes what `cluster` has, alone. Where it fails or is interrupted, all that it has made is
    /// removed, unless [nothing may be undone](Exclusive::undo_nothing).
    pub(super) fn exclusively<T>(
        &self,
        context: &Context,
        cluster: &str,
        (name, allowed): (&str, Duration),
        work: impl AsyncFnOnce(&Operation, &Exclusive<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let run = Run::new().context("numbering the run")?;
        let operation = Operation::new(name, allowed, &self.stop);
        let client = &self.client;
        self.runtime.block_on(async {
            let lock = match ClusterLock::acquire(client, &operation, &run, cluster, &owner()).await {
                Ok(lock) => lock,
                Err(error) => {
                    let is_anothers = matches!(error, HetznerError::Held { .. });
                    if !is_anothers {
                        self.after(context, async |after| ClusterLock::forget(client, after, &run).await)
                            .await;
                    }
                    return Err(of_hetzner(error));
                }
            };
            let has_begun = AtomicBool::new(false);
            let storage = self.storage.as_ref();
            let exclusive = Exclusive { client, storage, run, lock: Mutex::new(lock), has_begun };
            let done = work(&operation, &exclusive).await;
            // Whatever failed by now failed because of that; what comes later has another reason.
            let done =
                if done.is_err() { self.interrupted.check().map_err(Into::into).and(done) } else { done };
            if done.is_err() && !exclusive.has_begun.load(Ordering::SeqCst) {
                let once_more =
                    if self.interrupted.check().is_err() { "; Ctrl-C once more leaves it" } else { "" };
                context.printer.note(&format!("removing what this run has made{once_more}"));
                self.after(context, async |after| {
                    let removed = exclusive.undo(after).await?;
                    if removed > 0 {
                        let things = if removed == 1 { "thing" } else { "things" };
                        context.printer.note(&format!("removed what this run had made: {removed} {things}"));
                    }
                    Ok(())
                })
                .await;
            }
            let lock = exclusive.lock.into_inner();
            self.after(context, async |after| lock.release(client, after).await).await;
            done
        })
    }

    /// What has to be done whatever happens, and is told where it fails.
    async fn after(&self, context: &Context, work: impl AsyncFnOnce(&Operation) -> Result<(), HetznerError>) {
        let operation = Operation::new("cleaning up", CLEAN_UP, &Stop::never());
        if let Err(error) = work(&operation).await {
            let error = anyhow::Error::from(error);
            context.printer.warn(&format!(
                "something may be left that costs money: {error:#}\n`imgbuild orphans` shows what, and `imgbuild orphans --remove` removes it"
            ));
        }
    }

    /// All that a plan for `wanted` depends on.
    pub(super) fn observe(&self, wanted: &Wanted) -> anyhow::Result<Observed> {
        self.run("looking at the project", LOOKING, async |operation| {
            observe(&self.client, self.storage.as_ref(), operation, wanted).await
        })
    }

    /// Runs something that has so much time.
    pub(super) fn run<T>(
        &self,
        name: &str,
        allowed: Duration,
        work: impl AsyncFnOnce(&Operation) -> Result<T, HetznerError>,
    ) -> anyhow::Result<T> {
        let operation = Operation::new(name, allowed, &self.stop);
        let done = self.runtime.block_on(work(&operation));
        // Whatever fails then fails because of that.
        self.interrupted.check()?;
        done.map_err(of_hetzner)
    }
}

async fn observe(
    client: &Client,
    storage: Option<&Storage>,
    operation: &Operation,
    wanted: &Wanted,
) -> Result<Observed, HetznerError> {
    let observed = client.observe(operation, wanted).await?;
    let storage = match storage {
        Some(storage) => Some(storage.observe(operation).await?),
        None => None,
    };
    Ok(Observed { storage, ..observed })
}

/// Fails unless what would be done `now` is what was shown.
pub(super) fn must_be_shown<T: PartialEq>(now: &T, shown: &T) -> anyhow::Result<()> {
    if now == shown {
        return Ok(());
    }
    let fault = anyhow::anyhow!("the project has changed since the plan was shown; nothing was done");
    Err(fault.hint("look at the plan once more"))
}

/// With what there is to do about it.
pub(super) fn of_hetzner(fault: HetznerError) -> anyhow::Error {
    let is_of_keys = matches!(&fault, HetznerError::Storage(error) if error.is_of_keys());
    let (hint, is_input) = (fault.hint(), fault.is_of_token() || is_of_keys);
    let fault = anyhow::Error::from(fault).maybe_hint(hint);
    if is_input { fault.input() } else { fault }
}

/// `alice@laptop`, for others who find the cluster locked.
fn owner() -> String {
    let user = std::env::var(environment::USER).unwrap_or_default();
    let host = rustix::system::uname();
    format!("{user}@{}", host.nodename().to_string_lossy())
}

/// The table of the cluster file without which there is nothing to ask for.
pub(super) fn of(cluster: &Cluster) -> anyhow::Result<&Hetzner> {
    cluster.hetzner.as_ref().ok_or_else(|| {
        let fault = anyhow::anyhow!("the cluster `{}` has no servers at Hetzner", cluster.name);
        fault
            .input()
            .hint("a table `[hetzner]` in the cluster file says where they stand, and of which type they are")
    })
}
