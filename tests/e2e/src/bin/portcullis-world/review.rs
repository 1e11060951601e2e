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

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};
    use rustls::{ServerConfig, ServerConnection, pki_types::PrivateKeyDer};
    use std::{io::Read, net::TcpListener, thread};

    /// Sends a review to a server that has a certificate for `webhook.svc` and answers 200; as the client expects it.
    fn sent(name: &str, trust_another: bool) -> io::Result<(u16, String)> {
        let issue = |name: &str| {
            let key = KeyPair::generate().unwrap();
            (CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap(), key)
        };
        let (certificate, key) = issue("webhook.svc");
        let trusted = if trust_another { issue("webhook.svc").0.pem() } else { certificate.pem() };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), trusted).unwrap();

        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || -> io::Result<()> {
            let mut stream = StreamOwned::new(ServerConnection::new(config).map_err(io::Error::other)?, listener.accept()?.0);
            let mut request = [0; 4096];
            let mut end = 0;
            while !request.get(..end).is_some_and(|request| request.ends_with(b"{}")) {
                end += stream.read(&mut request[end..])?;
            }
            io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\n\r\nallowed")?;
            stream.conn.send_close_notify();
            stream.conn.complete_io(&mut stream.sock).map(drop)
        });
        let answer = send(http::connect(&address)?, name, &file.path().display().to_string(), "{}");
        let served = server.join().unwrap();
        assert_eq!(answer.is_ok(), served.is_ok(), "{served:?}");
        answer
    }

    #[test]
    fn a_server_that_the_authority_signed_for_its_name_is_asked() {
        assert_eq!(sent("webhook.svc", false).unwrap(), (200, "allowed".to_owned()));
    }

    #[test]
    fn a_server_of_another_authority_or_name_is_not() {
        let error = sent("webhook.svc", true).unwrap_err().to_string();
        assert!(error.contains("UnknownIssuer") || error.contains("BadSignature"), "{error}");
        let error = sent("other.svc", false).unwrap_err().to_string();
        assert!(error.contains("not valid for name \"other.svc\""), "{error}");
    }
}
