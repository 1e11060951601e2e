//! The server as a whole: binds both ports, serves until a signal, and drains.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::NoServerSessionStorage;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::info;

use crate::api_server::connect as api_server;
use crate::args::ServeArgs;
use crate::args::register::AskedAbout;
use crate::certificates::callers::Callers;
use crate::certificates::mounted::Mounted;
use crate::certificates::signed::Signed;
use crate::certificates::stored::{Store, Stored};
use crate::certificates::trusted::Trusted;
use crate::certificates::{self, CurrentPair, Pair, Source};
use crate::health::{self, CertificateHealth, Health};
use crate::listener::{self, Endpoint, Limits};
use crate::metrics::{ConnectionMetrics, Metrics};
use crate::namespaces::{Labelled, Namespaces};
use crate::policies::follow::{Follower, Follows};
use crate::policies::{self, Policies};
use crate::registration::answer::{Identity, Oneself};
use crate::registration::registrar::Registrar;
use crate::routes;
use crate::service::Service;

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// An address cannot be bound, or the certificate files cannot be used.
pub fn run(args: ServeArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
        let limits = Limits { linger: Duration::from_secs(args.linger), ..Limits::default() };
        let server = Server::bind(&args, limits).await?;
        server
            .run(async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            })
            .await;
        Ok(())
    })
}

/// A server that is bound and has a certificate, but does not serve yet.
#[derive(Debug)]
pub struct Server {
    reviews: TcpListener,
    probes: TcpListener,
    tls: Arc<ServerConfig>,
    service: Service,
    namespaces: Namespaces,
    policies: Option<Follower>,
    metrics: Arc<Metrics>,
    pair: Arc<CurrentPair>,
    certificates: Source,
    trusted: Arc<Trusted>,
    callers: Option<Arc<Callers>>,
    registrar: Option<Registrar>,
    health: Arc<Health>,
    limits: Limits,
}

impl Server {
    /// Binds both addresses and reads the certificate.
    ///
    /// # Errors
    /// An address cannot be bound, or the certificate files cannot be used.
    pub async fn bind(args: &ServeArgs, limits: Limits) -> anyhow::Result<Self> {
        let (source, pair) = open_source(args).await?;
        let trusted = Arc::new(Trusted::new(source.bundle()));
        let metrics = Arc::new(Metrics::default());
        let health = Arc::new(Health::new(Arc::clone(&metrics)));
        health.set_certificate(CertificateHealth { expires: Some(pair.expires()), reload_error: None });
        health.renewal_tried(SystemTime::now());
        let pair = Arc::new(CurrentPair::new(pair));
        let settings = args.settings();
        let policies = Arc::new(Policies::default());
        let (followed, need_namespaces) = open_policies(args, &policies, &health, &metrics).await?;
        let namespaces = open_namespaces(args, need_namespaces, &health).await?;
        let bind = async |address: SocketAddr| TcpListener::bind(address).await.with_context(|| format!("cannot listen at {address}"));
        let reviews = bind(args.listen).await?;
        let identity = Arc::new(Identity::create().context("cannot make a key")?);
        let callers = args.client_ca.clone().map(|path| Callers::open(path, identity.authority().clone()));
        let callers = callers.transpose().context("cannot use --client-ca")?;
        let registrar = registrar(args, reviews.local_addr()?, Arc::clone(&identity), Arc::clone(&trusted), Arc::clone(&policies)).await?;
        Ok(Self {
            reviews,
            probes: bind(args.health_listen).await?,
            tls: tls_config(Arc::clone(&pair), callers.clone()).context("cannot set up TLS")?,
            service: Service::new(settings, namespaces.clone(), Arc::clone(&metrics)).with_policies(policies),
            namespaces,
            policies: followed,
            metrics,
            pair,
            certificates: source,
            trusted,
            callers,
            registrar,
            health,
            limits,
        })
    }

    /// Where reviews are answered.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.reviews.local_addr()
    }

    /// Where probes are answered.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn health_address(&self) -> std::io::Result<SocketAddr> {
        self.probes.local_addr()
    }

    /// Serves until `stop`, then finishes the requests that were begun. Probes are answered to the end.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let address = self.address().map(|address| address.to_string()).unwrap_or_default();
        let health_address = self.health_address().map(|address| address.to_string()).unwrap_or_default();
        info!(address, health_address, certificate_expires = certificates::unix_seconds(self.pair.get().expires()), "serving");
        let (drained, mut all_drained) = watch::channel(false);
        let health = Arc::clone(&self.health);
        let connections = self.metrics.connections.clone();
        let (stopping, stopped) = watch::channel(false);
        let registrar = self.registrar.as_ref();
        let leaving = leave(registrar, stopped.clone());
        let reviews = async move {
            let stop = async {
                stop.await;
                info!("stopping");
                health.stop();
                stopping.send_replace(true);
            };
            let endpoint = Endpoint { listener: self.reviews, tls: Some(self.tls), router: routes::router(self.service) };
            tokio::join!(listener::serve(endpoint, self.limits, connections, stop), leaving);
            drained.send_replace(true);
        };
        let probes = async {
            let stop = async { _ = all_drained.wait_for(|drained| *drained).await };
            let router = health::router(Arc::clone(&self.health), self.metrics);
            let endpoint = Endpoint { listener: self.probes, tls: None, router };
            listener::serve(endpoint, self.limits.for_probes(), ConnectionMetrics::default(), stop).await;
        };
        tokio::select! {
            ((), ()) = async { tokio::join!(reviews, probes) } => {}
            () = certificates::follow(self.certificates, self.pair, self.trusted, Arc::clone(&self.health)) => {}
            () = follow_callers(self.callers) => {}
            () = follow_namespaces(&self.namespaces, &self.health) => {}
            () = keep_registered(registrar, &self.health, stopped) => {}
            () = follow_policies(self.policies) => {}
        }
        info!("stopped");
    }
}

async fn follow_namespaces(namespaces: &Namespaces, health: &Health) {
    if let Namespaces::Labelled(labelled) = namespaces {
        labelled.follow(health).await;
    }
    // There is nothing more to learn, which is no reason to stop.
    std::future::pending::<()>().await;
}

/// Keeps the registration until the server stops: a replica that goes has no more say.
async fn keep_registered(registrar: Option<&Registrar>, health: &Health, mut stopped: watch::Receiver<bool>) {
    if let Some(registrar) = registrar {
        tokio::select! {
            () = registrar.keep(health) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }
    std::future::pending::<()>().await;
}

/// Waits until the server stops, and lets go of the registration.
async fn leave(registrar: Option<&Registrar>, mut stopped: watch::Receiver<bool>) {
    _ = stopped.wait_for(|stopped| *stopped).await;
    if let Some(registrar) = registrar {
        registrar.leave().await;
    }
}

async fn follow_callers(callers: Option<Arc<Callers>>) {
    if let Some(callers) = callers {
        callers.follow().await;
    }
    std::future::pending::<()>().await;
}

/// Follows policies in a task of its own: compiling many takes a while, in which connections are accepted.
async fn follow_policies(follower: Option<Follower>) {
    if let Some(follower) = follower {
        // Dropping the set ends the task.
        let mut task = JoinSet::new();
        task.spawn(follower.run());
        if let Some(Err(failure)) = task.join_next().await
            && let Ok(panic) = failure.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
    std::future::pending::<()>().await;
}

async fn registrar(
    args: &ServeArgs,
    address: SocketAddr,
    identity: Arc<Identity>,
    trusted: Arc<Trusted>,
    policies: Arc<Policies>,
) -> anyhow::Result<Option<Registrar>> {
    let Some(configuration) = &args.tls.webhook_configuration else { return Ok(None) };
    let about = AskedAbout { namespace_labels: args.namespace_labels, policies: args.policies };
    let registration = args.register.registration(configuration, args.home(), about);
    let (Some(registration), Some(name)) = (registration, args.register.server_name()) else { return Ok(None) };
    let oneself = Oneself { address, name, identity };
    Ok(Some(Registrar::new(api_server().await?, registration, args.home().map(str::to_owned), oneself, trusted, policies)))
}

/// What namespaces ask for, and the namespaces themselves where policies look at them.
async fn open_namespaces(args: &ServeArgs, needed: bool, health: &Health) -> anyhow::Result<Namespaces> {
    let defaults = args.settings().defaults;
    if !args.namespace_labels && !needed {
        return Ok(Namespaces::Same(defaults));
    }
    let why = if args.namespace_labels || args.policies {
        "the API server tells the namespaces"
    } else {
        "a policy looks at namespaces (namespaceSelector, namespaceObject), which an API server has to tell"
    };
    let client = api_server().await.context(why)?;
    health.await_namespaces();
    let labelled = if args.namespace_labels { Labelled::new(client, defaults) } else { Labelled::for_policies(client, defaults) };
    Ok(Namespaces::Labelled(Arc::new(labelled)))
}

/// Reads the policies of files, or makes ready to follow those of the API server. Whether namespaces have to be followed for them, too.
async fn open_policies(
    args: &ServeArgs,
    policies: &Arc<Policies>,
    health: &Arc<Health>,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<(Option<Follower>, bool)> {
    if args.policies {
        health.await_policies();
        let trusted = args.exceptions_from.iter().cloned().collect();
        let follows = Follows { kubernetes: args.validating_admission_policies, trusted };
        let follower = Follower::new(api_server().await?, follows, Arc::clone(policies), Arc::clone(health), Arc::clone(metrics));
        return Ok((Some(follower), true));
    }
    let library = policies::of_files(&args.policy).context("cannot use the policies")?;
    metrics.set_policies(&library.entries());
    policies.replace(library.snapshot());
    Ok((None, library.needs_namespaces()))
}

async fn open_source(args: &ServeArgs) -> anyhow::Result<(Source, Pair)> {
    let ServeArgs { tls: args, register, .. } = args;
    if let (Some(secret), Some(configuration)) = (&args.tls_secret, &args.webhook_configuration) {
        let store = Store::new(api_server().await?, &secret.namespace, secret.name.clone(), configuration.clone());
        let interval = Duration::from_secs(args.tls_secret_interval);
        let opened = Stored::open(store, args.tls_name.clone(), interval, SystemTime::now()).await;
        let (stored, pair) = opened.context("cannot sign a certificate")?;
        return Ok((Source::Stored(Box::new(stored)), pair));
    }
    if let Some(folder) = &args.tls_authority {
        let (signed, pair) = Signed::open(folder.clone(), args.tls_name.clone(), SystemTime::now()).context("cannot sign a certificate")?;
        return Ok((Source::Signed(Box::new(signed)), pair));
    }
    let (Some(chain), Some(key)) = (&args.tls_cert, &args.tls_key) else {
        bail!("--tls-cert and --tls-key, or --tls-authority, or --tls-secret, are required")
    };
    let opened = Mounted::open(chain.clone(), key.clone(), register.ca_bundle.clone());
    let (mounted, pair) = opened.context("cannot use the certificate files")?;
    Ok((Source::Files(Box::new(mounted)), pair))
}

fn tls_config(pair: Arc<CurrentPair>, callers: Option<Arc<Callers>>) -> anyhow::Result<Arc<ServerConfig>> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions()?;
    let mut config = match callers {
        None => builder.with_no_client_auth().with_cert_resolver(pair),
        Some(callers) => {
            let mut config = builder.with_client_cert_verifier(callers).with_cert_resolver(pair);
            // A session that is resumed would not be looked at anew.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            config
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
