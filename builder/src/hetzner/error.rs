//! What can go wrong at Hetzner, with what there is to do about it.

use std::fmt;
use std::time::Duration;

use reqwest::Method;
use thiserror::Error;

use super::cluster_lock::Holder;
use super::open_enum::open_enum;
use super::{ActionId, LabelError};
use crate::printable;
use crate::s3::S3Error;
use crate::units::Bytes;

/// Longer messages of the API's are cut: no terminal is filled by a page of somebody's proxy.
const LONGEST_MESSAGE: usize = 500;

open_enum! {
    /// Code of an error of the API, or of an action.
    ErrorCode {
        /// The token is unknown.
        Unauthorized = "unauthorized",
        /// The token may not do this.
        Forbidden = "forbidden",
        /// The token may only read.
        TokenReadonly = "token_readonly",
        /// There is no such thing.
        NotFound = "not_found",
        /// A field of the request is wrong.
        InvalidInput = "invalid_input",
        /// The request is no JSON.
        JsonError = "json_error",
        /// Another action holds the resource.
        Locked = "locked",
        /// The resource changed meanwhile.
        Conflict = "conflict",
        /// Protected from deletion or rebuild.
        Protected = "protected",
        /// The name or the key is taken.
        UniquenessError = "uniqueness_error",
        /// The project may not have more of this.
        ResourceLimitExceeded = "resource_limit_exceeded",
        /// Out of stock.
        ResourceUnavailable = "resource_unavailable",
        /// No host that the placement group allows.
        PlacementError = "placement_error",
        /// Too many requests.
        RateLimitExceeded = "rate_limit_exceeded",
        /// A service of Hetzner's is broken.
        ServiceError = "service_error",
        /// Maintenance.
        Maintenance = "maintenance",
        /// The API's own gateway.
        BadGateway = "bad_gateway",
        /// The API's own time-out.
        Timeout = "timeout",
        /// Anything else on their side.
        ServerError = "server_error",
        /// Not possible here.
        UnsupportedError = "unsupported_error",
        /// No such server type here.
        InvalidServerType = "invalid_server_type",
        /// It must be off for this.
        ServerNotStopped = "server_not_stopped",
        /// IP ranges overlap.
        NetworksOverlap = "networks_overlap",
        /// The address is taken.
        IpNotAvailable = "ip_not_available",
        /// No subnet has room.
        NoSubnetAvailable = "no_subnet_available",
        /// It is in the network already.
        ServerAlreadyAttached = "server_already_attached",
        /// The firewall is applied already.
        FirewallAlreadyApplied = "firewall_already_applied",
        /// The firewall is not applied to it any more.
        FirewallAlreadyRemoved = "firewall_already_removed",
        /// Used by something else.
        ResourceInUse = "resource_in_use",
        /// The zone is fed by another DNS server.
        IncorrectZoneMode = "incorrect_zone_mode",
        /// The endpoint is gone.
        DeprecatedApiEndpoint = "deprecated_api_endpoint",
    }
}

/// Which request it was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestLine {
    /// Its method.
    pub method: Method,
    /// Its path below the endpoint.
    pub path: String,
}

impl fmt::Display for RequestLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{} /{}`", self.method, printable::text(&self.path))
    }
}

/// What is wrong with a field of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FieldFault {
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub messages: Vec<String>,
}

/// The API says no.
#[derive(Debug, Error)]
#[error("{request} is answered with `{code}` ({status}): {message}{}", shown(.fields))]
pub struct ApiError {
    /// The request.
    pub request: RequestLine,
    /// HTTP status.
    pub status: u16,
    /// What it is.
    pub code: ErrorCode,
    /// In Hetzner's words, printable.
    pub message: String,
    /// Which fields are wrong.
    pub fields: Vec<FieldFault>,
    /// How long requests are refused, of one too many.
    pub wait: Option<Duration>,
}

/// Why something did not come about.
#[derive(Debug, Error)]
pub enum HetznerError {
    /// The HTTP client cannot be set up.
    #[error("setting up HTTP")]
    Http {
        /// Why.
        source: reqwest::Error,
    },
    /// The API says no.
    #[error(transparent)]
    Api(Box<ApiError>),
    /// Something else than the API answers: a gateway, a proxy.
    #[error("{request} is answered with HTTP status {status} and no error of the API's")]
    Status {
        /// The request.
        request: RequestLine,
        /// HTTP status.
        status: u16,
    },
    /// No answer, or half of one.
    #[error("{request} {} {}", if *is_sent { "got no complete answer from" } else { "did not reach" }, printable::text(.host))]
    Transport {
        /// The request.
        request: RequestLine,
        /// Whom it was for.
        host: String,
        /// Whether it may have been acted upon.
        is_sent: bool,
        /// Whether it has answered before.
        is_known: bool,
        /// Why.
        source: reqwest::Error,
    },
    /// The answer is not what the API's documentation says.
    #[error("the answer to {request} has no usable {part}: {fault}")]
    Reply {
        /// The request.
        request: RequestLine,
        /// Which part.
        part: &'static str,
        /// What JSON it should be.
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
    /// An action ended with an error.
    #[error("action `{command}` ({id}) on {resource} ended with `{code}`: {message}")]
    Action {
        /// Its number.
        id: ActionId,
        /// What it did.
        command: String,
        /// What it did it to: `server 42`.
        resource: String,
        /// What went wrong.
        code: ErrorCode,
        /// In Hetzner's words, printable.
        message: String,
    },
    /// The API no longer knows an action that it told of.
    #[error("action `{command}` ({id}) is unknown to the API that began it")]
    ActionMissing {
        /// Its number.
        id: ActionId,
        /// What it did.
        command: String,
    },
    /// The operation's time is over.
    #[error("{operation} took longer than {}", humantime::format_duration(*.allowed))]
    Deadline {
        /// What was done.
        operation: String,
        /// How long it was given.
        allowed: Duration,
        /// What it waited for to pass.
        #[source]
        last: Option<Box<HetznerError>>,
    },
    /// The project's requests are used up.
    #[error("the project's rate limit leaves no request for {}", humantime::format_duration(*.wait))]
    Budget {
        /// How long.
        wait: Duration,
    },
    /// Whoever began the operation wants it to end.
    #[error("{operation} was interrupted")]
    Stopped {
        /// What was done.
        operation: String,
    },
    /// Another run works on the cluster.
    #[error("another run works on cluster `{cluster}`: {holder}")]
    Held {
        /// The cluster.
        cluster: String,
        /// Who does.
        holder: Box<Holder>,
    },
    /// The lock of the cluster went to another run, or expired.
    #[error("the lock of cluster `{cluster}` is no longer this run's")]
    LockLost {
        /// The cluster.
        cluster: String,
    },
    /// A server type is sold out at a location, whatever the list of types says.
    #[error("`{server_type}` cannot be had in `{location}` for `{server}`")]
    OutOfStock {
        /// Name of the server.
        server: String,
        /// Server type.
        server_type: String,
        /// Location.
        location: String,
        /// What the API says.
        source: Box<HetznerError>,
    },
    /// What a plan counts on is there no longer.
    #[error("the {kind} `{name}` that the plan counts on is gone")]
    Gone {
        /// What it is.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A label cannot be what it should be.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// The S3 service beside it says no.
    #[error(transparent)]
    Storage(Box<S3Error>),
}

/// A text of the API's, as a part of one line.
pub(super) fn message(text: &str) -> String {
    let mut shown: String = printable::text(text.trim()).chars().take(LONGEST_MESSAGE).collect();
    if shown.chars().count() == LONGEST_MESSAGE {
        shown.push('…');
    }
    shown
}

fn shown(fields: &[FieldFault]) -> String {
    let one = |field: &FieldFault| format!("`{}` {}", field.name, field.messages.join(", "));
    let all = fields.iter().map(one).collect::<Vec<_>>().join("; ");
    if all.is_empty() { all } else { format!(" ({all})") }
}

impl From<ApiError> for HetznerError {
    fn from(error: ApiError) -> Self {
        Self::Api(Box::new(error))
    }
}

impl HetznerError {
    /// What the API or the action has called it.
    pub fn code(&self) -> Option<&ErrorCode> {
        match self {
            Self::Api(error) => Some(&error.code),
            Self::Action { code, .. } => Some(code),
            Self::OutOfStock { source, .. } => source.code(),
            _ => None,
        }
    }

    /// Whether the API calls it so.
    pub fn is(&self, code: &ErrorCode) -> bool {
        self.code() == Some(code)
    }

    /// Whether another server type or location may do.
    pub fn is_out_of_stock(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::ResourceUnavailable | ErrorCode::PlacementError))
    }

    /// Whether no token like this one gets any further.
    pub fn is_of_token(&self) -> bool {
        let code = self.code();
        matches!(code, Some(ErrorCode::Unauthorized | ErrorCode::Forbidden | ErrorCode::TokenReadonly))
    }

    /// Whether there is no such thing.
    pub fn is_not_found(&self) -> bool {
        self.is(&ErrorCode::NotFound)
    }

    /// What to do, where there is something.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Held { holder, .. } => return Some(holder.hint()),
            Self::Storage(error) => return error.hint(),
            Self::Deadline { last: Some(last), .. } => return last.hint(),
            Self::Transport { is_sent: false, .. } => {
                "is this computer online, and `HCLOUD_ENDPOINT` right where it is set?"
            }
            _ => match self.code()? {
                ErrorCode::Unauthorized => {
                    "`HCLOUD_TOKEN`, or the file that `--token-file` names, must hold a token that the project still has"
                }
                ErrorCode::TokenReadonly | ErrorCode::Forbidden => {
                    "make a token with the permission to read and write, in the project's console under Security, API tokens"
                }
                ErrorCode::ResourceLimitExceeded => {
                    "the project's console shows its limits under Limits, and asks for higher ones there"
                }
                ErrorCode::ResourceUnavailable | ErrorCode::PlacementError => {
                    "name further server types or locations in the cluster file, or try again later"
                }
                ErrorCode::Protected => "the project's console ends the protection of a resource",
                ErrorCode::Maintenance | ErrorCode::ServiceError | ErrorCode::ServerError => {
                    "https://status.hetzner.com tells what is wrong on their side"
                }
                _ => return None,
            },
        };
        Some(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: &str, fields: Vec<FieldFault>) -> HetznerError {
        let request = RequestLine { method: Method::POST, path: "servers".to_owned() };
        let message = message("no\x1b[31m\nway ");
        ApiError { request, status: 422, code: code.into(), message, fields, wait: None }.into()
    }

    #[test]
    fn says_the_request_the_code_the_status_and_the_fields() {
        let field =
            |name: &str| FieldFault { name: name.to_owned(), messages: vec!["is missing".to_owned()] };
        assert_eq!(
            api("invalid_input", vec![field("name"), field("image")]).to_string(),
            "`POST /servers` is answered with `invalid_input` (422): no\\u{1b}[31m\\u{a}way \
             (`name` is missing; `image` is missing)"
        );
        assert_eq!(
            api("new_code", Vec::new()).to_string(),
            "`POST /servers` is answered with `new_code` (422): no\\u{1b}[31m\\u{a}way"
        );
    }

    #[test]
    fn cuts_a_message_that_is_a_page() {
        assert_eq!(message(&"x".repeat(9999)).chars().count(), LONGEST_MESSAGE + 1);
        assert_eq!(message("short"), "short");
    }

    #[test]
    fn hints_where_there_is_something_to_do() {
        for (code, word) in [
            ("unauthorized", Some("HCLOUD_TOKEN")),
            ("token_readonly", Some("read and write")),
            ("resource_limit_exceeded", Some("Limits")),
            ("resource_unavailable", Some("locations")),
            ("protected", Some("protection")),
            ("maintenance", Some("status.hetzner.com")),
            ("invalid_input", None),
        ] {
            let hint = api(code, Vec::new()).hint();
            assert_eq!(hint.is_some(), word.is_some(), "{code}");
            assert!(hint.unwrap_or_default().contains(word.unwrap_or_default()), "{code}");
        }
    }

    #[test]
    fn a_deadline_names_what_it_waited_for() {
        let last = Some(Box::new(api("resource_unavailable", Vec::new())));
        let error = HetznerError::Deadline {
            operation: "creating servers".to_owned(),
            allowed: Duration::from_secs(90),
            last,
        };
        assert_eq!(error.to_string(), "creating servers took longer than 1m 30s");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.starts_with("`POST /servers` is answered with `resource_unavailable`"), "{source}");
        assert!(error.hint().unwrap().contains("locations"));
    }
}
