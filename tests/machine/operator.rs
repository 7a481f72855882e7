//! `imgbuild` where programs run it in the network of the Hetzner simulator's machines.

use std::ffi::OsString;

use anyhow::Context as _;
use imgbuild::process::Program;

/// The operator of a cluster.
#[derive(Clone, Debug)]
pub struct Operator {
    program: OsString,
    cluster: OsString,
    cache: OsString,
}

impl Operator {
    /// By the first arguments of such a program: `imgbuild`, its cluster file, its cache.
    pub fn of_arguments(arguments: &mut impl Iterator<Item = OsString>) -> anyhow::Result<Self> {
        let mut next = || arguments.next().context("an argument is missing");
        Ok(Self { program: next()?, cluster: next()?, cache: next()? })
    }

    /// `imgbuild` with these words.
    pub fn imgbuild(&self, words: &[&str]) -> Program {
        Program::new("testing imgbuild", &self.program)
            .argument("--file")
            .argument(&self.cluster)
            .argument("--cache")
            .argument(&self.cache)
            .arguments(words)
    }
}
