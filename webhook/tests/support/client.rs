//! A server on loopback with a certificate of its own, and clients that speak to it as plainly as can be, slow and broken ones among them.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use clap::Parser;
use portcullis_webhook::args::{Args, Command};
use portcullis_webhook::listener::Limits;
use portcullis_webhook::serve::Server;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A review of a pod that baseline denies.
pub(crate) const REVIEW: &str = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u-1","operation":"CREATE",
    "kind":{"group":"","version":"v1","kind":"Pod"},"resource":{"group":"","version":"v1","resource":"pods"},"namespace":"shop",
    "object":{"metadata":{"name":"web"},"spec":{"hostNetwork":true,"containers":[{"name":"a"}]}}}}"#;

/// A new self-signed certificate for `localhost`, in `folder`; its PEM.
pub(crate) fn issue(folder: &TempDir) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    fs::write(folder.path().join("tls.key"), key.serialize_pem()).unwrap();
    fs::write(folder.path().join("tls.crt"), &certificate).unwrap();
    certificate
}

/// A server that runs until it is told to stop.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) health_address: SocketAddr,
    pub(crate) folder: TempDir,
    pub(crate) certificate: String,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) async fn start(limits: Limits) -> Self {
        Self::start_for(limits, None).await
    }

    /// A server that only those may call whose certificate `client_ca` signed.
    pub(crate) async fn start_for(limits: Limits, client_ca: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificate = issue(&folder);
        let path = |name: &str| folder.path().join(name).into_os_string().into_string().unwrap();
        let args = Args::parse_from([
            "portcullis-webhook",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--health-listen",
            "127.0.0.1:0",
            "--tls-cert",
            &path("tls.crt"),
            "--tls-key",
            &path("tls.key"),
        ]);
        let Command::Serve(mut args) = args.command;
        if let Some(client_ca) = client_ca {
            fs::write(folder.path().join("client-ca.crt"), client_ca).unwrap();
            args.client_ca = Some(folder.path().join("client-ca.crt"));
        }
        let server = Server::bind(&args, limits).await.unwrap();
        let (address, health_address) = (server.address().unwrap(), server.health_address().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(async { _ = stopped.await }));
        Self { address, health_address, folder, certificate, stop: Some(stop), task: Some(task) }
    }

    /// Tells the server to stop, without waiting.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(&mut self) {
        self.task.take().unwrap().await.unwrap();
    }

    /// A TLS connection that trusts `certificate` only.
    pub(crate) async fn connect_trusting(&self, certificate: &str) -> std::io::Result<TlsStream<TcpStream>> {
        connect(self.address, certificate).await
    }

    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        self.connect_trusting(&self.certificate).await.unwrap()
    }

    /// The client's part of the handshake, over a connection that is there already.
    pub(crate) async fn secure(&self, stream: TcpStream) -> TlsStream<TcpStream> {
        secure(stream, &self.certificate, None).await.unwrap()
    }

    /// Asks the health port.
    pub(crate) async fn probe(&self, path: &str) -> (u16, String) {
        let stream = TcpStream::connect(self.health_address).await.unwrap();
        exchange(stream, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await
    }
}

pub(crate) async fn connect(address: SocketAddr, certificate: &str) -> std::io::Result<TlsStream<TcpStream>> {
    connect_as(address, certificate, None).await
}

/// A certificate and its key, in PEM.
pub(crate) type ClientPair = (String, String);

pub(crate) async fn connect_as(
    address: SocketAddr,
    certificate: &str,
    client: Option<&ClientPair>,
) -> std::io::Result<TlsStream<TcpStream>> {
    secure(TcpStream::connect(address).await?, certificate, client).await
}

async fn secure(stream: TcpStream, certificate: &str, client: Option<&ClientPair>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let config = match client {
        None => config.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>().unwrap();
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
        }
    };
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect("localhost".try_into().unwrap(), stream).await
}

/// The text of a review, ready to be sent; the last request of its connection.
pub(crate) fn post() -> String {
    head(REVIEW.len()) + REVIEW
}

pub(crate) fn head(length: usize) -> String {
    format!(
        "POST /validate?timeout=5s HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// Sends a request and reads the answer to the connection's end: status and body.
pub(crate) async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> (u16, String) {
    stream.write_all(request.as_bytes()).await.unwrap();
    receive(stream).await
}

pub(crate) async fn receive(mut stream: impl AsyncRead + Unpin) -> (u16, String) {
    let mut answer = Vec::new();
    // A peer that closes without a TLS goodbye has said all that it had to say.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
}
