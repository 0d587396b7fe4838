//! TLS for mail: the system's authorities and those that were named, by aws-lc-rs.

use std::sync::Arc;

use lettre::transport::smtp::client::{Certificate, TlsParameters};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::error::{ChannelError, tls_fault};
use super::Channel;

/// TLS from the first byte.
pub(super) async fn wrap(
    host: &str,
    roots: &[CertificateDer<'static>],
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, ChannelError> {
    let channel = Channel::Email;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| ChannelError::Connect(channel))?;
    let connector = TlsConnector::from(Arc::new(config(roots).map_err(|_| ChannelError::Setup)?));
    let connected = connector.connect(name, stream).await;
    connected.map_err(|error| tls_fault(channel, &error).unwrap_or(ChannelError::Tls(channel)))
}

fn config(roots: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots.to_vec(), Arc::clone(&provider))?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        // the verifier of the platform, which refuses what the system would
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// The same for a connection that begins in clear.
pub(super) fn parameters(
    host: &str,
    roots: &[CertificateDer<'static>],
) -> Result<TlsParameters, ChannelError> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    for root in roots {
        let root = Certificate::from_der(root.to_vec()).map_err(|_| ChannelError::Setup)?;
        parameters = parameters.add_root_certificate(root);
    }
    parameters.build().map_err(|_| ChannelError::Setup)
}
