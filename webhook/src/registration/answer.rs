//! The webhook calls itself, as the API server will: by TLS, to its own port, under the name and with the bundle that are going to be registered.
//!
//! What the API server would refuse, such as a certificate that expired, is for another name or from another authority, is refused here. Where
//! callers have to show a certificate, this one shows one that was made for it, whose key never leaves the process: see [`Identity`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// As long as the API server would wait.
const TIMEOUT: Duration = Duration::from_secs(super::TIMEOUT_SECONDS as u64);
/// An answer to what is asked here is short.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Why the webhook did not answer itself.
#[derive(Debug, Error)]
pub enum AnswerError {
    /// The bundle.
    #[error("the bundle to trust cannot be used: {0}")]
    Bundle(String),
    /// The name.
    #[error("the webhook's name cannot be used: {0}")]
    Name(#[from] InvalidDnsNameError),
    /// The handshake, or the connection.
    #[error("no TLS connection: {0}")]
    Connect(#[source] std::io::Error),
    /// HTTP.
    #[error("no HTTP answer: {0}")]
    Http(#[from] hyper::Error),
    /// The answer.
    #[error("the answer is no review of what was asked: {0}")]
    Answer(String),
    /// Nothing came.
    #[error("no answer in time")]
    TimedOut,
}

/// A client certificate of the process itself, and the authority that made it.
#[derive(Debug)]
pub struct Identity {
    authority: CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Identity {
    /// A new one, which ends with the process.
    ///
    /// # Errors
    /// No key can be made.
    pub fn create() -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &authority)?;
        Ok(Self { authority: authority.der().clone(), certificate: certificate.der().clone(), key: key.serialize_der().into() })
    }

    /// What has to be trusted for the webhook to be let in.
    pub const fn authority(&self) -> &CertificateDer<'static> {
        &self.authority
    }
}

/// Who to call.
#[derive(Debug)]
pub struct Oneself {
    /// Where this process listens.
    pub address: SocketAddr,
    /// The name that the API server will expect in the certificate.
    pub name: String,
    /// Who to be.
    pub identity: Arc<Identity>,
}

impl Oneself {
    /// Asks for a review, as a caller that trusts `bundle` alone.
    ///
    /// # Errors
    /// No answer, or none that the API server would take.
    pub async fn answers(&self, bundle: &str) -> Result<(), AnswerError> {
        tokio::time::timeout(TIMEOUT, self.ask(bundle)).await.map_err(|_| AnswerError::TimedOut)?
    }

    async fn ask(&self, bundle: &str) -> Result<(), AnswerError> {
        let connector = TlsConnector::from(Arc::new(self.config(bundle)?));
        let name = ServerName::try_from(self.name.clone())?;
        let stream = TcpStream::connect(reachable(self.address)).await.map_err(AnswerError::Connect)?;
        let stream = connector.connect(name, stream).await.map_err(AnswerError::Connect)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let uid = uid();
        let request = Request::post("/validate")
            .header(HOST, &self.name)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(review(&uid).to_string()))
            .map_err(|error| AnswerError::Answer(error.to_string()))?;
        let exchange = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| AnswerError::Answer(error.to_string()))?.to_bytes();
            expect(&uid, status, &body)
        };
        tokio::select! {
            // The connection is what moves the exchange; where it ends first, it says why.
            result = connection => {
                result?;
                Err(AnswerError::Answer("the connection was closed".to_owned()))
            }
            result = exchange => result,
        }
    }

    fn config(&self, bundle: &str) -> Result<ClientConfig, AnswerError> {
        let unusable = |why: String| AnswerError::Bundle(why);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
            roots.add(certificate.map_err(|error| unusable(error.to_string()))?).map_err(|error| unusable(error.to_string()))?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| unusable(error.to_string()))?;
        let key = PrivateKeyDer::Pkcs8(self.identity.key.clone_key());
        let config = builder.with_root_certificates(roots).with_client_auth_cert(vec![self.identity.certificate.clone()], key);
        config.map_err(|error| unusable(error.to_string()))
    }
}

/// Who listens everywhere is called on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Another one each time, so that an answer is the answer to this.
fn uid() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("portcullis-self-{}", since.as_nanos())
}

/// A review of what is never judged, so that it depends on nothing but the server.
fn review(uid: &str) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": uid,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "name": "self", "namespace": "default", "operation": "DELETE", "dryRun": true,
        },
    })
}

fn expect(uid: &str, status: StatusCode, body: &[u8]) -> Result<(), AnswerError> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let answered = answer.pointer("/response/uid").and_then(Value::as_str) == Some(uid);
    if answered && answer.pointer("/response/allowed") == Some(&Value::Bool(true)) {
        return Ok(());
    }
    Err(AnswerError::Answer(format!("{status}: {}", String::from_utf8_lossy(body))))
}
