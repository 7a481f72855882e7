//! The HTTP client that downloads and APIs share: which TLS, whose roots, and who is asking.
//!
//! What is asked for, how long and how often, is theirs.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, Url};

use crate::units::Bytes;

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

/// A client that follows no redirect: what is secret goes to nobody but who was asked.
pub fn client_without_redirects() -> Result<Client, reqwest::Error> {
    client(|builder| builder.redirect(Policy::none()))
}

/// The body of an answer; none of one that is longer than `limit`.
pub async fn body(response: Response, limit: Bytes) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        body.extend_from_slice(&chunk?);
        if Bytes::of(&body) > limit {
            return Ok(None);
        }
    }
    Ok(Some(body))
}

/// Whether a URL's host is this one: what is secret may go there without TLS.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
pub(crate) mod tests {
    //! Servers that misbehave, which no library's would.

    use std::future::Future;
    use std::io;
    use std::net::SocketAddr;

    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;

    /// Hands connections to who answers them, until dropped.
    #[derive(Debug)]
    pub(crate) struct Listening {
        pub(crate) address: SocketAddr,
        task: JoinHandle<()>,
    }

    impl Listening {
        pub(crate) async fn start<F>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> Self
        where
            F: Future<Output = io::Result<()>> + Send + 'static,
        {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            let task = tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    // A client that goes away is no fault of the server's.
                    tokio::spawn(answer(stream));
                }
            });
            Self { address, task }
        }
    }

    impl Drop for Listening {
        fn drop(&mut self) {
            self.task.abort();
        }
    }
}
