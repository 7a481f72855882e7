//! The way to the S3 service that `[backup]` of a cluster file names.

use std::path::PathBuf;

use clap::Args;

use super::{Context, Note as _};
use crate::cloud::wanted;
use crate::environment;
use crate::s3::{Client, Endpoint, KeyError, Keys, S3Error, Storage};

/// Arguments of commands that ask an S3 service.
#[derive(Debug, Args)]
pub(super) struct StorageAccess {
    /// File with access key and secret key of the S3 service, a line each; without it, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`
    #[arg(long, value_name = "FILE")]
    s3_key_file: Option<PathBuf>,
}

impl StorageAccess {
    /// What leads to the buckets of a cluster that has some; fails without keys, and says what can be done `otherwise`.
    pub(super) fn open(
        &self,
        wanted: Option<&wanted::Storage>,
        context: &Context,
        otherwise: &str,
    ) -> anyhow::Result<Option<Storage>> {
        let opened = wanted.map(|wanted| self.open_one(wanted, context)).transpose();
        opened.map_err(|fault| fault.into_error(otherwise))
    }

    /// The same where nothing but a look depends on it: without keys, nobody looks.
    pub(super) fn open_to_look(
        &self,
        wanted: Option<&wanted::Storage>,
        context: &Context,
    ) -> anyhow::Result<Option<Storage>> {
        let Some(wanted) = wanted else { return Ok(None) };
        match self.open_one(wanted, context) {
            Err(Fault::Keys(KeyError::Absent)) => Ok(None),
            opened => opened
                .map(Some)
                .map_err(|fault| fault.into_error("; `--without-buckets` does not look at them")),
        }
    }

    /// Fails before anything is asked where something is missing here.
    fn open_one(&self, wanted: &wanted::Storage, context: &Context) -> Result<Storage, Fault> {
        let file = self.s3_key_file.as_deref();
        let keys = Keys::choose(file).map_err(Fault::Keys)?;
        if let Some(warning) = file.and_then(Keys::warning) {
            context.printer.warn(&warning);
        }
        let endpoint = Endpoint::choose(&wanted.endpoint, &wanted.region).map_err(|fault| {
            let hint = format!(
                "it is of `{}`, or of `[backup]` where that is not set",
                environment::AWS_ENDPOINT_URL_S3
            );
            Fault::Other(anyhow::Error::from(fault).input().hint(hint))
        })?;
        let client = Client::new(endpoint, keys).map_err(|fault| Fault::Other(of_s3(fault)))?;
        Ok(Storage::new(client, wanted.buckets.clone()))
    }
}

/// Why there is no way to the service.
enum Fault {
    Keys(KeyError),
    Other(anyhow::Error),
}

impl Fault {
    fn into_error(self, otherwise: &str) -> anyhow::Error {
        match self {
            Self::Keys(fault) => {
                let hint = format!("{}{otherwise}", fault.hint());
                anyhow::Error::from(fault).input().hint(hint)
            }
            Self::Other(error) => error,
        }
    }
}

/// With what there is to do about it.
pub(super) fn of_s3(fault: S3Error) -> anyhow::Error {
    let hint = fault.hint();
    anyhow::Error::from(fault).maybe_hint(hint)
}
