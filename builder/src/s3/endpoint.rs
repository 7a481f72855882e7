//! Where the S3 service is.

use std::fmt;

use reqwest::Url;
use thiserror::Error;

use crate::cluster;
use crate::environment;
use crate::http::is_loopback;
use crate::printable;

/// URL of the service, and the region that requests are signed for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    url: Url,
    region: String,
}

/// Why a text is no endpoint.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum EndpointError {
    /// No URL of http or https, or one with more than host and port.
    #[error("`{}` is no URL such as `https://s3.example.org`", printable::text(.text))]
    Form {
        /// The text.
        text: String,
    },
    /// Signatures of requests would go over the network as they are.
    #[error("`{}` has no TLS and is not on this host", printable::text(.text))]
    Plain {
        /// The text.
        text: String,
    },
}

impl Endpoint {
    /// The one that the variable `AWS_ENDPOINT_URL_S3` names, else `host` by https.
    pub fn choose(host: &cluster::Endpoint, region: &str) -> Result<Self, EndpointError> {
        let variable = std::env::var(environment::AWS_ENDPOINT_URL_S3).ok();
        match variable.filter(|text| !text.is_empty()) {
            Some(text) => Self::parse(&text, region),
            None => Self::parse(&Self::url_of(host), region),
        }
    }

    /// The URL of a host.
    fn url_of(host: &cluster::Endpoint) -> String {
        let host = host.to_string();
        let is_ipv6 = host.parse::<std::net::Ipv6Addr>().is_ok();
        if is_ipv6 { format!("https://[{host}]") } else { format!("https://{host}") }
    }

    /// Checks a URL.
    pub fn parse(text: &str, region: &str) -> Result<Self, EndpointError> {
        let form = || EndpointError::Form { text: text.to_owned() };
        let url = Url::parse(text.trim()).map_err(|_| form())?;
        let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        let is_http = matches!(url.scheme(), "http" | "https");
        if !is_plain || url.password().is_some() || !is_http || url.path() != "/" {
            return Err(form());
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            return Err(EndpointError::Plain { text: text.to_owned() });
        }
        Ok(Self { url, region: region.to_owned() })
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// URL of a path; each of its `segments` is escaped.
    pub(super) fn url<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.url.clone();
        url.path_segments_mut().expect("http URLs have a path").pop_if_empty().extend(segments);
        url
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_http_on_this_host_only() {
        for (text, shown) in [
            ("https://fsn1.your-objectstorage.com/", "https://fsn1.your-objectstorage.com"),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ] {
            assert_eq!(Endpoint::parse(text, "fsn1").unwrap().to_string(), shown);
        }
        let plain = "http://fsn1.your-objectstorage.com";
        assert_eq!(Endpoint::parse(plain, "fsn1"), Err(EndpointError::Plain { text: plain.to_owned() }));
        for text in
            ["", "fsn1.your-objectstorage.com", "ftp://localhost", "https://a:b@host", "https://h/path"]
        {
            assert_eq!(Endpoint::parse(text, "fsn1"), Err(EndpointError::Form { text: text.to_owned() }));
        }
    }

    #[test]
    fn hosts_are_asked_by_https_and_no_segment_leaves_its_place() {
        let of = |host: &str| Endpoint::url_of(&host.parse().unwrap());
        assert_eq!(of("fsn1.your-objectstorage.com"), "https://fsn1.your-objectstorage.com");
        assert_eq!(of("2001:db8::1"), "https://[2001:db8::1]");
        let endpoint = Endpoint::parse(&of("s3.example.org"), "fsn1").unwrap();
        assert_eq!(endpoint.url(["lab", "a/../b"]).as_str(), "https://s3.example.org/lab/a%2F..%2Fb");
        assert_eq!(endpoint.url([]).as_str(), "https://s3.example.org/");
    }
}
