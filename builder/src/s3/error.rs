//! What can go wrong at an S3 service, with what there is to do about it.

use std::fmt;

use reqwest::Method;
use thiserror::Error;

use crate::hetzner::HetznerError;
use crate::units::Bytes;

/// What to do about a name that cannot be had.
pub const NAMES_OTHERS: &str = "`etcd-bucket` and `longhorn-bucket` of `[backup]` name others";

/// Which request it was, and whom it went to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestLine {
    /// Its method.
    pub method: Method,
    /// Its URL, with parameters.
    pub url: String,
}

impl fmt::Display for RequestLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{} {}`", self.method, self.url)
    }
}

/// The service says no.
#[derive(Debug, Error)]
#[error("{request} is answered with `{code}` ({status}){}", said(.message))]
pub struct Refusal {
    /// The request.
    pub request: RequestLine,
    /// HTTP status.
    pub status: u16,
    /// What it is (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>), printable.
    pub code: String,
    /// In the service's words, printable.
    pub message: String,
    /// Where a bucket is, of one that was asked for elsewhere.
    pub region: Option<String>,
}

/// Why something did not come about.
#[derive(Debug, Error)]
pub enum S3Error {
    /// The operation's time is over, or it was stopped.
    #[error(transparent)]
    Operation(#[from] HetznerError),
    /// The HTTP client cannot be set up.
    #[error("setting up HTTP")]
    Http {
        /// Why.
        source: reqwest::Error,
    },
    /// The service says no.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// Something else than the service answers, or it gives no reason.
    #[error("{request} is answered with HTTP status {status} and no error of S3")]
    Status {
        /// The request.
        request: RequestLine,
        /// HTTP status.
        status: u16,
    },
    /// No answer, or half of one.
    #[error("{request} {}", if *is_sent { "got no complete answer" } else { "was not sent" })]
    Transport {
        /// The request.
        request: RequestLine,
        /// Whether it may have been acted upon.
        is_sent: bool,
        /// Whether the service has answered before.
        is_known: bool,
        /// Why.
        source: reqwest::Error,
    },
    /// The answer is no document of S3.
    #[error("the answer to {request} is no {expected} of S3: {fault}")]
    Reply {
        /// The request.
        request: RequestLine,
        /// What it should be.
        expected: &'static str,
        /// Why not.
        fault: String,
    },
    /// The answer has no end.
    #[error("the answer to {request} is longer than {limit}, the most that is read")]
    TooLong {
        /// The request.
        request: RequestLine,
        /// The limit.
        limit: Bytes,
    },
    /// A list of more pages than there can be.
    #[error("the answer to {request} has no last page within {pages} pages")]
    Endless {
        /// The request.
        request: RequestLine,
        /// How many were read.
        pages: u32,
    },
    /// A name that another account has, or this one elsewhere: names are unique among all.
    #[error("the bucket name `{bucket}` is taken, by another account or in another region")]
    Taken {
        /// The name.
        bucket: String,
    },
    /// Somebody has made it since the plan.
    #[error("the bucket `{bucket}` was not there when the plan was shown, and is now")]
    Appeared {
        /// Its name.
        bucket: String,
    },
    /// What is to go has something in it that stays.
    #[error("the bucket `{bucket}` is not empty")]
    Full {
        /// Its name.
        bucket: String,
    },
    /// An object cannot be removed.
    #[error("removing `{key}` from the bucket `{bucket}` is answered with `{code}`{}", said(.message))]
    Object {
        /// The bucket.
        bucket: String,
        /// The object, printable.
        key: String,
        /// Why not.
        code: String,
        /// In the service's words, printable.
        message: String,
    },
}

/// Not every service says more than the code.
fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl From<Refusal> for S3Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// Errors of an operation stay what they are.
impl From<S3Error> for HetznerError {
    fn from(error: S3Error) -> Self {
        match error {
            S3Error::Operation(error) => error,
            error => Self::Storage(Box::new(error)),
        }
    }
}

impl S3Error {
    /// What the service has called it.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(&refusal.code),
            Self::Object { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether the service calls it so.
    pub fn is(&self, code: &str) -> bool {
        self.code() == Some(code)
    }

    /// Whether no keys like these get any further.
    pub fn is_of_keys(&self) -> bool {
        matches!(
            self.code(),
            Some("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "AccessDenied" | "RequestTimeTooSkewed")
        )
    }

    /// The region of a bucket that was asked for elsewhere, where that is what it says.
    pub fn is_elsewhere(&self) -> Option<Option<&str>> {
        let Self::Refused(refusal) = self else { return None };
        matches!(
            refusal.code.as_str(),
            "PermanentRedirect" | "AuthorizationHeaderMalformed" | "TemporaryRedirect"
        )
        .then_some(refusal.region.as_deref())
    }

    /// What to do, where there is something.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Operation(error) => return error.hint(),
            Self::Taken { .. } => NAMES_OTHERS,
            Self::Appeared { .. } => "look at the plan once more",
            Self::Full { .. } => {
                "somebody writes to it, or it keeps old versions: empty it with a tool for S3, or let it stay"
            }
            Self::Transport { is_sent: false, is_known: false, .. }
            | Self::Status { .. }
            | Self::Reply { .. } => "`endpoint` of `[backup]` has to be the host of an S3 service",
            _ => match self.code()? {
                "InvalidAccessKeyId" | "SignatureDoesNotMatch" => {
                    "`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or the file that `--s3-key-file` names, must hold \
                     keys that the service still knows"
                }
                "AccessDenied" | "AllAccessDisabled" => {
                    "the keys have to be allowed to list, make and remove buckets, and to write objects"
                }
                "RequestTimeTooSkewed" => {
                    "set the clock of this computer: signatures are good for 15 minutes"
                }
                "AuthorizationHeaderMalformed"
                | "PermanentRedirect"
                | "InvalidLocationConstraint"
                | "IllegalLocationConstraintException" => {
                    "`region` of `[backup]` has to be the one of its `endpoint`: `fsn1` of `fsn1.your-objectstorage.com`"
                }
                "TooManyBuckets" => {
                    "the account may not have more buckets: remove some, or ask for a higher limit"
                }
                _ => return None,
            },
        };
        Some(text.to_owned())
    }
}
