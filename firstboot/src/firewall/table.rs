//! A table as nft reads it, marked so that it can be told from every other.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::TABLE;

/// A table of nftables. Every chain ends with [`Table::digest`] in a comment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Table {
    text: String,
    digest: String,
    chains: usize,
}

impl Table {
    pub(super) fn new(chains: &[(&str, String)]) -> Self {
        let digest = format!("{:x}", Sha256::digest(text(chains, "")));
        Self { text: text(chains, &mark(&digest)), digest, chains: chains.len() }
    }

    /// The table, as `nft -f` reads it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What tells these rules from all others: SHA-256 of their text, in hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// How many chains there are, each with a mark.
    pub(super) const fn chains(&self) -> usize {
        self.chains
    }
}

fn text(chains: &[(&str, String)], mark: &str) -> String {
    let mut text = format!("table {TABLE} {{\n");
    for (name, rules) in chains {
        let _ = writeln!(text, "\tchain {name} {{");
        for line in rules.lines() {
            let _ = writeln!(text, "\t\t{line}");
        }
        let _ = writeln!(text, "{mark}\t}}");
    }
    text + "}\n"
}

/// The last rule of a chain; it says and does nothing but to be there until somebody flushes the chain.
fn mark(digest: &str) -> String {
    format!("\t\tcontinue comment \"{digest}\"\n")
}
