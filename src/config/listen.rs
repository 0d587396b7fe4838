//! `[listen]`: the addresses of the two doors.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Fault;

/// Where the gateway listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Address and port for the clients that post events. Port 0 takes a free one. A socket that a
    /// service manager hands over (systemd's socket activation, named "ingest" or the first) takes
    /// its place; it stays open while one process takes over from another, so that no connection
    /// is refused. Give each a journal of its own, or set journal.lock_wait.
    pub ingest: SocketAddr,
    /// Address and port for health and metrics. Keep it inside your network. A socket that is
    /// handed over (named "admin" or the second) takes its place.
    pub admin: SocketAddr,
    /// Lets several gateways, each with a journal of its own, listen on the same addresses; the
    /// system deals connections out between them. A gateway that stops empties its queue first,
    /// but Linux resets a connection that comes in the very moment the socket closes, unless
    /// net.ipv4.tcp_migrate_req = 1. A socket that is handed over has no such moment.
    pub reuse_port: bool,
    /// Certificate chain and private key, both PEM files, for HTTPS on the ingest address. Without
    /// it the gateway speaks plain HTTP and expects a proxy with TLS in front of it.
    ///
    /// Example: `{ cert = "/etc/capigate/tls.crt", key = "/etc/capigate/tls.key" }`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// The files for HTTPS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM file with the certificate and its chain.
    pub cert: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            ingest: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 9090)),
            reuse_port: false,
            tls: None,
        }
    }
}

impl Listen {
    pub(super) fn validate(&self, faults: &mut Vec<Fault>) {
        if self.ingest == self.admin && self.ingest.port() != 0 {
            faults.push(Fault::cross(
                "listen.admin",
                "an address other than that of listen.ingest",
            ));
        }
    }
}
