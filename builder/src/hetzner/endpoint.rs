//! Where the API is.

use std::fmt;

use reqwest::Url;
use thiserror::Error;

use crate::environment;
use crate::http::is_loopback;
use crate::printable;

/// The real one.
const REAL: &str = "https://api.hetzner.cloud/v1";

/// Base URL of the API, without final slash.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint(Url);

/// Why a text is no endpoint.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum EndpointError {
    /// No URL of http or https, or one with more than a path.
    #[error("`{}` (from `HCLOUD_ENDPOINT`) is no URL such as `{REAL}`", printable::text(.text))]
    Form {
        /// The text.
        text: String,
    },
    /// The token would go over the network as it is.
    #[error("`{}` (from `HCLOUD_ENDPOINT`) has no TLS and is not on this host", printable::text(.text))]
    Plain {
        /// The text.
        text: String,
    },
}

impl Endpoint {
    /// The one that the variable `HCLOUD_ENDPOINT` names, else the real one.
    pub fn choose() -> Result<Self, EndpointError> {
        match std::env::var(environment::HCLOUD_ENDPOINT).ok().filter(|text| !text.is_empty()) {
            Some(text) => Self::parse(&text),
            None => Self::parse(REAL),
        }
    }

    /// Checks a URL.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let form = || EndpointError::Form { text: text.to_owned() };
        let mut url = Url::parse(text.trim()).map_err(|_| form())?;
        let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !is_plain || url.password().is_some() || !matches!(url.scheme(), "http" | "https") {
            return Err(form());
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            return Err(EndpointError::Plain { text: text.to_owned() });
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// Host, with its port where that is not the usual one.
    pub(super) fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// URL of a path below it; each of its `segments` is escaped.
    pub(super) fn url(&self, segments: &[String]) -> Url {
        let mut url = self.0.clone();
        url.path_segments_mut().expect("http URLs have a path").pop_if_empty().extend(segments);
        url
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_http_on_this_host_only() {
        for (text, shown) in [
            ("https://api.hetzner.cloud/v1/", "https://api.hetzner.cloud/v1"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
            ("http://localhost/v1", "http://localhost/v1"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), shown);
        }
        for text in ["http://api.hetzner.cloud/v1", "http://10.0.0.1/v1", "http://localhost.example/"] {
            assert_eq!(Endpoint::parse(text), Err(EndpointError::Plain { text: text.to_owned() }));
        }
        for text in ["", "api.hetzner.cloud", "ftp://localhost", "https://a:b@host/v1", "https://host/?a=b"] {
            assert_eq!(Endpoint::parse(text), Err(EndpointError::Form { text: text.to_owned() }));
        }
    }

    #[test]
    fn no_segment_leaves_its_place() {
        let endpoint = Endpoint::parse("http://localhost/v1").unwrap();
        let segments = ["zones", "a/../b", "@"].map(str::to_owned);
        assert_eq!(endpoint.url(&segments).as_str(), "http://localhost/v1/zones/a%2F..%2Fb/@");
    }
}
