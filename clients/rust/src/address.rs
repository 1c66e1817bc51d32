//! Addresses as the server writes them.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::ConfigError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// `HOST:PORT`.
    Tcp(String),
    /// The host, against which the certificate is checked, and `HOST:PORT`.
    Tls(String, String),
    Ipc(PathBuf),
}

/// Answers the host of `HOST:PORT`, without the brackets of an IPv6 address.
fn host_of(host_and_port: &str) -> Option<&str> {
    let (host, port) = host_and_port.rsplit_once(':')?;
    port.parse::<u16>().ok().filter(|port| *port != 0)?;
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    (!bare.is_empty()).then_some(bare)
}

impl FromStr for Address {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let parsed = if let Some(rest) = text.strip_prefix("tcp://") {
            host_of(rest).map(|_| Self::Tcp(rest.to_owned()))
        } else if let Some(rest) = text.strip_prefix("tls+tcp://") {
            host_of(rest).map(|host| Self::Tls(host.to_owned(), rest.to_owned()))
        } else {
            text.strip_prefix("ipc://").filter(|path| path.starts_with('/')).map(|path| Self::Ipc(path.into()))
        };
        parsed.ok_or_else(|| {
            ConfigError::new(format!(
                "the address \"{text}\" cannot be used; write it as tcp://HOST:PORT, tls+tcp://HOST:PORT or ipc:///PATH"
            ))
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host_and_port) => write!(formatter, "tcp://{host_and_port}"),
            Self::Tls(_, host_and_port) => write!(formatter, "tls+tcp://{host_and_port}"),
            Self::Ipc(path) => write!(formatter, "ipc://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in
            ["tcp://127.0.0.1:7601", "tcp://[::1]:7601", "tls+tcp://book.example:7601", "ipc:///run/book.sock"]
        {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        let Address::Tls(host, _) = "tls+tcp://[::1]:7601".parse().unwrap() else { panic!("not TLS") };
        assert_eq!(host, "::1");
    }

    #[test]
    fn a_malformed_address_is_refused_by_name() {
        for text in [
            "",
            "127.0.0.1:7601",
            "tcp://127.0.0.1",
            "tcp://:7601",
            "tcp://host:0",
            "tcp://host:65536",
            "tcp://::1:7601",
            "tcp://[::1:7601",
            "ipc://relative",
            "ws://host:1/path",
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(&format!("\"{text}\"")) && error.contains("tcp://HOST:PORT"), "{error}");
        }
    }
}
