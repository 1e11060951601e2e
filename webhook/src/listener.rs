//! Accepting connections, with or without TLS, and serving HTTP/1.1 on them.
//!
//! Clients are not trusted to be quick: anything on the pod network may connect.
//!
//! | bound | why |
//! |---|---|
//! | time until the first request's head is complete, handshake included | a client that sends nothing, or a byte at a time, goes |
//! | time that a connection may be idle, or take for another head | longer than the API server's own 90 s, so that it is the one to close |
//! | number of connections; a newcomer takes the place of the one least worth keeping | slow and idle clients do not keep others out |
//! | size of a head | memory |
//! | time to go on accepting after the stop | those who have not heard of it are answered, and each answer closes its connection |
//! | time to finish requests at shutdown | a stop ends |
//!
//! Who has to go when there are too many is decided in `connections`. Only HTTP/1.1 is spoken: it is what the API server speaks to webhooks.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::metrics::ConnectionMetrics;

mod connections;

use connections::{Connections, Place};

/// What clients may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// From accepting a connection to the end of its first request's head.
    pub first_request: Duration,
    /// From an answer to the end of the next request's head.
    pub idle: Duration,
    /// From the stop signal until nobody is accepted any more: as long as others may take to hear that this server is going.
    pub linger: Duration,
    /// From then until connections are cut.
    pub drain: Duration,
}

impl Limits {
    /// For the port of probes and metrics: a kubelet and a few collectors.
    #[must_use]
    pub const fn for_probes(self) -> Self {
        Self { connections: 64, linger: Duration::ZERO, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // With those of the health port, below the 1,024 open files that a process may have by default.
            connections: 512,
            first_request: Duration::from_secs(5),
            idle: Duration::from_secs(150),
            linger: Duration::ZERO,
            drain: Duration::from_secs(15),
        }
    }
}

/// The most bytes that a request's head, or a piece of its body, is buffered in.
const MAX_BUFFER_BYTES: usize = 32 * 1024;

/// How long to wait after accepting failed, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is served where.
#[derive(Debug)]
pub struct Endpoint {
    /// Where.
    pub listener: TcpListener,
    /// With TLS, or without.
    pub tls: Option<Arc<ServerConfig>>,
    /// What.
    pub router: Router,
}

/// Serves an endpoint until `stop` and a while longer, then finishes what was begun.
pub async fn serve(endpoint: Endpoint, limits: Limits, metrics: ConnectionMetrics, stop: impl Future<Output = ()>) {
    let Endpoint { listener, tls, router } = endpoint;
    let connections = Connections::new(limits.connections, metrics);
    let (stopping, stopped) = watch::channel(false);
    let acceptor = tls.map(TlsAcceptor::from);
    let mut tasks = JoinSet::new();
    let (lingering, lingers) = watch::channel(false);
    let stop = async {
        stop.await;
        lingering.send_replace(true);
        tokio::time::sleep(limits.linger).await;
    };
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            () = &mut stop => break,
            // Tasks that ended are let go; a panic in one ends only its connection.
            Some(_) = tasks.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let Some((place, evicted)) = connections.admit(peer.ip()) else {
            debug!("refused a connection: all are busy");
            continue;
        };
        let connection =
            Connection { place: Arc::new(place), router: router.clone(), limits, lingers: lingers.clone(), stopped: stopped.clone() };
        tasks.spawn(connection.run(stream, acceptor.clone(), evicted));
    }
    drop(listener);
    stopping.send_replace(true);
    let finished = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain, finished).await.is_err() {
        warn!("cut connections whose requests did not end in time");
    }
}

struct Connection {
    place: Arc<Place>,
    router: Router,
    limits: Limits,
    /// Whether each answer is to be the last of its connection. One that is idle is left: a request may be on its way.
    lingers: watch::Receiver<bool>,
    /// Whether idle connections are to be closed, too.
    stopped: watch::Receiver<bool>,
}

impl Connection {
    /// Serves the connection until it ends, is too slow, or loses its place.
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>, evicted: oneshot::Receiver<()>) {
        let place = Arc::clone(&self.place);
        let too_slow = async {
            tokio::time::sleep(self.limits.first_request).await;
            if !place.is_fresh() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.serve(stream, tls) => {}
            () = too_slow => debug!("closed a connection that sent no request in time"),
            _ = evicted => debug!("closed a connection to make room for others"),
        }
    }

    async fn serve(&self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Answers are written at once and whole; waiting to fill packets would only delay them. Where it cannot be set they are just slower.
        let _ = stream.set_nodelay(true);
        match tls {
            None => self.serve_http(stream).await,
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => self.serve_http(stream).await,
                Err(error) => debug!(%error, "TLS handshake failed"),
            },
        }
    }

    async fn serve_http(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request| self.answer(request));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(self.limits.idle).max_buf_size(MAX_BUFFER_BYTES);
        let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
        let mut stopped = self.stopped.clone();
        // The sender lives as long as the listener; were it gone, that would be a reason to stop, too.
        let stopped = async { _ = stopped.wait_for(|stopped| *stopped).await };
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = stopped => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            debug!(%error, "connection failed");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        self.place.busy();
        let mut response = self.router.clone().oneshot(request.map(Body::new)).await;
        if let Ok(response) = &mut response
            && *self.lingers.borrow()
        {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        self.place.idle();
        response
    }
}
