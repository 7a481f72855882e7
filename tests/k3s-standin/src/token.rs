//! Tokens in their forms (k3s, `pkg/clientaccess/token.go`).

use thiserror::Error;

/// What begins a full token.
const PREFIX: &str = "K10";

/// Why a token is none.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum TokenError {
    /// Nothing.
    #[error("token must not be empty")]
    Empty,
    /// The hash has another length.
    #[error("invalid token CA hash length: {length}, 64 hexadecimal digits are needed")]
    HashLength {
        /// What it has.
        length: usize,
    },
    /// No credentials behind the hash.
    #[error("invalid token format: no credentials follow the hash")]
    NoCredentials,
}

/// A token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Token {
    /// Hash of the CA; none in short forms.
    pub hash: Option<String>,
    /// What proves that one may join.
    pub credentials: Credentials,
}

/// The two kinds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Credentials {
    /// The cluster's password. The user in a token is overridden by who sends it.
    Password(String),
    /// A bootstrap token, `id.secret`.
    Bearer(String),
}

impl Token {
    /// Any form.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        let (hash, rest) = match text.strip_prefix(PREFIX).and_then(|rest| rest.split_once("::")) {
            Some((hash, rest)) => (Some(hash), rest),
            None => (None, text),
        };
        if let Some(hash) = hash.filter(|hash| !matches!(hash.len(), 0 | 64)) {
            return Err(TokenError::HashLength { length: hash.len() });
        }
        if rest.is_empty() {
            return Err(TokenError::NoCredentials);
        }
        let credentials = if is_bootstrap(rest) {
            Credentials::Bearer(rest.to_owned())
        } else {
            let password = rest.split_once(':').map_or(rest, |(_, password)| password);
            Credentials::Password(password.to_owned())
        };
        Ok(Self { hash: hash.filter(|hash| !hash.is_empty()).map(str::to_owned), credentials })
    }
}

/// `[a-z0-9]{6}.[a-z0-9]{16}`
pub fn is_bootstrap(text: &str) -> bool {
    let is = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.split_once('.').is_some_and(|(id, secret)| is(id, 6) && is(secret, 16))
}

/// The full form.
pub fn full(hash: &str, user: &str, password: &str) -> String {
    format!("{PREFIX}{hash}::{user}:{password}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let hash = "a".repeat(64);
        let password = |hash: Option<&str>| Token {
            hash: hash.map(str::to_owned),
            credentials: Credentials::Password("pw".to_owned()),
        };
        let bearer = "abcdef.0123456789abcdef";
        for (text, token) in [
            (format!("K10{hash}::server:pw"), password(Some(&hash))),
            (format!("K10{hash}::node:pw\n"), password(Some(&hash))),
            ("K10::server:pw".to_owned(), password(None)),
            ("pw".to_owned(), password(None)),
            (bearer.to_owned(), Token { hash: None, credentials: Credentials::Bearer(bearer.to_owned()) }),
            (
                format!("K10{hash}::{bearer}"),
                Token { hash: Some(hash.clone()), credentials: Credentials::Bearer(bearer.to_owned()) },
            ),
        ] {
            assert_eq!(Token::parse(&text).unwrap(), token, "{text}");
        }
        assert_eq!(Token::parse(" "), Err(TokenError::Empty));
        assert_eq!(Token::parse("K10abc::server:pw"), Err(TokenError::HashLength { length: 3 }));
    }
}
