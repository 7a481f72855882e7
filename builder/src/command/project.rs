//! The way to a project of Hetzner Cloud: token, client, one operation with its deadline and Ctrl-C.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::runtime::{Builder, Runtime};

use super::interrupt::{self, Flag};
use super::{Context, Note as _};
use crate::cluster::{Cluster, Hetzner};
use crate::hetzner::{Client, Endpoint, Operation, Stop, Token};

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
    runtime: Runtime,
    stop: Stop,
    interrupted: Flag,
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
        let interrupted = interrupt::flag_and(move || stopper.stop())?;
        Ok(Project {
            client: Client::new(endpoint, token)?,
            runtime: runtime.context("starting to talk to Hetzner")?,
            stop,
            interrupted,
        })
    }
}

impl Project {
    /// Runs something that has so much time.
    pub(super) fn run<T>(
        &self,
        name: &str,
        allowed: Duration,
        work: impl AsyncFnOnce(&Operation) -> Result<T, crate::hetzner::HetznerError>,
    ) -> anyhow::Result<T> {
        let operation = Operation::new(name, allowed, &self.stop);
        let done = self.runtime.block_on(work(&operation));
        // Whatever fails then fails because of that.
        self.interrupted.check()?;
        done.map_err(|fault| {
            let hint = fault.hint();
            let fault = anyhow::Error::from(fault);
            match hint {
                Some(hint) => fault.hint(hint),
                None => fault,
            }
        })
    }
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
