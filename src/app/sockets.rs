//! Listening sockets that are there before the process is, and outlive it (systemd's socket
//! activation, `sd_listen_fds`).
//!
//! Whoever starts the gateway binds the port and hands the socket over; it stays bound while one
//! process takes the place of another, and connections wait in its backlog meanwhile. With
//! systemd that is a `capigate.socket` unit beside `capigate.service`:
//!
//! ```text
//! [Socket]
//! ListenStream=0.0.0.0:8080
//! FileDescriptorName=ingest
//! ```
//!
//! and a second one with `FileDescriptorName=admin`, if wanted, and `Service=capigate.service`.
//! Without names the first socket is for events and the second for the admin pages. What is not
//! handed over is bound as `listen.ingest` and `listen.admin` say.

use std::io;
use std::net::TcpListener;

use anyhow::{Context, ensure};
use listenfd::ListenFd;

/// The sockets that were handed over.
#[derive(Debug, Default)]
pub struct Sockets {
    /// For events.
    pub ingest: Option<TcpListener>,
    /// For health, metrics and administration.
    pub admin: Option<TcpListener>,
}

impl Sockets {
    /// Takes what `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES` announce. Call it once, before
    /// the process has other threads: it clears these variables.
    pub fn inherited() -> anyhow::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut handed = ListenFd::from_env();
        let mut sockets = Self::default();
        for (index, place) in places(&names, handed.len())?.into_iter().enumerate() {
            let socket = handed.take_tcp_listener(index);
            let socket = socket.with_context(|| format!("socket {index} is no TCP socket"))?;
            let place = match place {
                Place::Ingest => &mut sockets.ingest,
                Place::Admin => &mut sockets.admin,
            };
            ensure!(
                place.is_none(),
                "LISTEN_FDNAMES gives two sockets the same name"
            );
            *place = socket;
        }
        Ok(sockets)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Ingest,
    Admin,
}

/// Which socket is for what. systemd calls sockets without a name of their own after their unit,
/// or `unknown`, so only a full set of our names counts as names.
fn places(names: &str, count: usize) -> io::Result<Vec<Place>> {
    let named: Option<Vec<Place>> = names
        .split(':')
        .map(|name| match name {
            "ingest" => Some(Place::Ingest),
            "admin" => Some(Place::Admin),
            _ => None,
        })
        .collect();
    match named {
        Some(named) if named.len() == count => Ok(named),
        _ if count <= 2 => Ok([Place::Ingest, Place::Admin][..count].to_vec()),
        _ => Err(io::Error::other(
            "more sockets than two are handed over, and their names are not ingest and admin",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_which_is_which_and_else_the_order() {
        use Place::{Admin, Ingest};
        assert_eq!(places("", 0).unwrap(), []);
        assert_eq!(places("", 1).unwrap(), [Ingest]);
        assert_eq!(places("capigate.socket", 1).unwrap(), [Ingest]);
        assert_eq!(places("admin", 1).unwrap(), [Admin]);
        assert_eq!(places("admin:ingest", 2).unwrap(), [Admin, Ingest]);
        assert_eq!(places("unknown:unknown", 2).unwrap(), [Ingest, Admin]);
        assert!(places("a:b:c", 3).is_err());
    }
}
