//! The HTTP client that downloads and APIs share: which TLS, whose roots, and who is asking.
//!
//! What is asked for, how long and how often, is theirs.

use std::time::Duration;

use reqwest::{Client, ClientBuilder};

/// Makes a client that `configure` adds to. Proxies are taken from `http_proxy`, `https_proxy` and `no_proxy`.
pub fn client(configure: impl Fn(ClientBuilder) -> ClientBuilder) -> Result<Client, reqwest::Error> {
    // An error means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        let builder = Client::builder()
            .user_agent(concat!("imgbuild/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(15));
        configure(builder)
    };
    // A host without any CA certificate (a small container) can still use http: with no roots at all, only https
    // connections fail, and say so.
    let without_roots = |_| builder().tls_certs_only(std::iter::empty()).build();
    builder().build().or_else(without_roots)
}
