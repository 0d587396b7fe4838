//! HTTPS on the ingest listener, from two PEM files.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Fault, Tls};

impl Tls {
    /// Reads the certificate chain and its key; offers HTTP/2 and HTTP/1.1. Every fault names its
    /// key and file.
    pub fn server_config(&self) -> Result<ServerConfig, Vec<Fault>> {
        let chain = CertificateDer::pem_file_iter(&self.cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .ok()
            .filter(|chain| !chain.is_empty());
        let key = PrivateKeyDer::from_pem_file(&self.key).ok();
        let (Some(chain), Some(key)) = (chain.clone(), key.as_ref()) else {
            let cert_fault = chain.is_none().then(|| {
                fault(
                    "cert",
                    &self.cert,
                    "a PEM file with the certificate and its chain",
                )
            });
            let key_fault = key
                .is_none()
                .then(|| fault("key", &self.key, "a PEM file with the private key"));
            return Err(cert_fault.into_iter().chain(key_fault).collect());
        };
        let unfit = |_| {
            vec![fault(
                "key",
                &self.key,
                "the private key of the certificate in listen.tls.cert",
            )]
        };
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(unfit)?
                .with_no_client_auth()
                .with_single_cert(chain, key.clone_key())
                .map_err(unfit)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn fault(key: &str, file: &Path, expected: &str) -> Fault {
    Fault::cross(
        format!("listen.tls.{key}"),
        format!(
            "{expected}; {} is not one, or cannot be read",
            file.display()
        ),
    )
}
