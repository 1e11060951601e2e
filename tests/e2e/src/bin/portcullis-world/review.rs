//! The API server's side of admission: HTTPS to the webhook, whose certificate must be signed by the one authority that is trusted, for its name.

use std::{io, net::TcpStream, sync::Arc};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use crate::http;

/// Sends a review and reads the answer: its HTTP status and its body.
pub(crate) fn send(stream: TcpStream, name: &str, authority: &str, review: &str) -> io::Result<(u16, String)> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).map_err(io::Error::other)?).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let server = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), server).map_err(io::Error::other)?;
    http::exchange(StreamOwned::new(connection, stream), "POST /validate?timeout=10s", name, review)
}
