//! The buckets of a cluster at the test server.

use std::time::Duration;

use s3_server::{KEYS, Options, S3Server};

use crate::hetzner::{Operation, Pace, Run, Stop};
use crate::s3::{Client, Endpoint, Keys, S3Error, Storage};

pub(super) const NAMES: [&str; 2] = ["lab-etcd", "lab-longhorn"];

pub(super) struct Scene {
    pub(super) server: S3Server,
    pub(super) client: Client,
    pub(super) storage: Storage,
}

pub(super) fn operation() -> Operation {
    Operation::new("testing", Duration::from_mins(2), &Stop::never())
}

pub(crate) fn keys(keys: [&str; 2]) -> Keys {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), keys.join("\n")).unwrap();
    Keys::load(file.path()).unwrap()
}

pub(crate) fn client(endpoint: Endpoint, keys: Keys) -> Client {
    Client::new(endpoint, keys).unwrap().with_pace(Pace {
        request: Duration::from_secs(5),
        retries: 2,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(4),
        longest_poll: Duration::from_millis(4),
        ..Pace::default()
    })
}

impl Scene {
    pub(super) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(super) async fn with(options: Options) -> Self {
        // On a thread of its own, for it waits in a runtime of its own.
        let start = tokio::task::spawn_blocking(|| S3Server::start(options).unwrap());
        let server = start.await.unwrap();
        let client = client(Endpoint::parse(&server.url(), "fsn1").unwrap(), keys(KEYS));
        let storage = Storage::new(client.clone(), NAMES.map(str::to_owned).into());
        Self { server, client, storage }
    }

    /// What `up` does with them before it is done.
    pub(super) async fn make(&self, run: &Run) -> Result<(), S3Error> {
        self.make_in(&operation(), run).await
    }

    pub(super) async fn make_in(&self, operation: &Operation, run: &Run) -> Result<(), S3Error> {
        self.storage.observe(operation).await?;
        for name in NAMES {
            self.storage.create(operation, name).await?;
            self.storage.mark_run(operation, name, run).await?;
            self.storage.mark(operation, name, "lab").await?;
        }
        Ok(())
    }
}
