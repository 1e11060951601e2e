//! How the webhook registers itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};

use super::SecretName;
use crate::registration::{FailurePolicy, Reached, Registration};

/// Where a Service listens unless something else is said.
const SERVICE_PORT: u16 = 443;
/// What a cluster runs by is never sent: a webhook that does not answer must not keep it from being mended.
const SYSTEM: &str = "kube-system";

/// How the webhook registers itself.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Registration")]
pub struct RegisterArgs {
    /// Register as --webhook-configuration once this server answers itself; the API server calls the Service NAMESPACE/NAME[:PORT]
    #[arg(long, value_name = "SERVICE", requires = "webhook_configuration")]
    pub register_service: Option<ServiceName>,

    /// The same for a server outside the cluster: the API server calls this URL, https://HOST[:PORT]/validate
    #[arg(long, value_name = "URL", requires = "webhook_configuration", conflicts_with = "register_service")]
    pub register_url: Option<ReviewUrl>,

    /// Seconds that this server is ready before it makes a registration that is not there: its Service has to lead here by then
    #[arg(long, value_name = "SECONDS", default_value_t = 10, requires = "register_service")]
    pub register_after: u16,

    /// What becomes of what no webhook answers for, in namespaces without the label portcullis.dev/failure-policy=Fail or =Ignore
    #[arg(long, value_enum, value_name = "POLICY", default_value_t)]
    pub failure_policy: FailurePolicyArg,

    /// Register for namespaces with this label only, as KEY=VALUE; may be repeated, then all are needed
    #[arg(long, value_name = "LABEL")]
    pub register_namespaces: Vec<Label>,

    /// Namespace that is never sent, beside kube-system and the server's own; may be repeated
    #[arg(long, value_name = "NAMESPACE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub register_except: Vec<String>,

    /// Certificates that signed --tls-cert, PEM, which the API server is to trust; read again when they change
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub ca_bundle: Option<PathBuf>,
}

/// `NAMESPACE/NAME[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName {
    /// The namespace and the name in it.
    pub service: SecretName,
    /// Its port.
    pub port: u16,
}

impl FromStr for ServiceName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "must be NAMESPACE/NAME or NAMESPACE/NAME:PORT";
        let (service, port) = match text.split_once(':') {
            Some((service, port)) => (service, port.parse().map_err(|_| EXPECTED)?),
            None => (text, SERVICE_PORT),
        };
        Ok(Self { service: service.parse().map_err(|_| EXPECTED)?, port })
    }
}

/// `https://HOST[:PORT]/PATH`, and the host in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewUrl {
    /// As it was written.
    pub url: String,
    /// The name that the certificate has to have.
    pub host: String,
}

impl FromStr for ReviewUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: axum::http::Uri = text.parse().map_err(|_| "must be a URL")?;
        // An IPv6 address has brackets in a URL, and none in a certificate.
        let host = uri.host().map(|host| host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host));
        match (uri.scheme_str(), host) {
            (Some("https"), Some(host)) if !host.is_empty() => Ok(Self { url: text.to_owned(), host: host.to_owned() }),
            _ => Err("must start with https:// and a host"),
        }
    }
}

/// `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

impl FromStr for Label {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self { key: key.to_owned(), value: value.to_owned() }),
            _ => Err("must be KEY=VALUE"),
        }
    }
}

/// `--failure-policy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum FailurePolicyArg {
    /// It is denied
    #[default]
    Fail,
    /// It is admitted
    Ignore,
}

/// What the webhook wants to be asked about beside what carries pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AskedAbout {
    /// The labels of namespaces.
    pub namespace_labels: bool,
    /// Policies and exceptions.
    pub policies: bool,
}

impl RegisterArgs {
    /// The registration that is asked for, as the configuration `name`; none where the configuration is left to others. `home` is the webhook's own
    /// namespace, where it is known.
    pub fn registration(&self, name: &str, home: Option<&str>, about: AskedAbout) -> Option<Registration> {
        let reached = match (&self.register_service, &self.register_url) {
            (Some(ServiceName { service, port }), _) => {
                Reached::Service { namespace: service.namespace.clone(), name: service.name.clone(), port: *port }
            }
            (None, Some(url)) => Reached::Url(url.url.clone()),
            (None, None) => return None,
        };
        Some(Registration {
            name: name.to_owned(),
            reached,
            namespaces: self
                .register_namespaces
                .iter()
                .map(|Label { key, value }| (key.clone(), value.clone()))
                .collect::<BTreeMap<_, _>>(),
            excluded: self.register_except.iter().map(String::as_str).chain(home).chain([SYSTEM]).map(str::to_owned).collect(),
            failure_policy: match self.failure_policy {
                FailurePolicyArg::Fail => FailurePolicy::Fail,
                FailurePolicyArg::Ignore => FailurePolicy::Ignore,
            },
            namespace_labels: about.namespace_labels,
            applied_policies: about.policies,
            // A URL leads here as soon as somebody listens.
            first_after: Duration::from_secs(self.register_service.as_ref().map_or(0, |_| self.register_after.into())),
        })
    }

    /// The name that the API server will expect in the certificate.
    pub fn server_name(&self) -> Option<String> {
        let of_service = |ServiceName { service, .. }: &ServiceName| format!("{}.{}.svc", service.name, service.namespace);
        self.register_service.as_ref().map(of_service).or_else(|| self.register_url.as_ref().map(|url| url.host.clone()))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Args, Command, ServeArgs};
    use super::*;

    fn parse(words: &str) -> Result<ServeArgs, clap::Error> {
        let words = format!("portcullis-webhook serve --tls-cert c --tls-key k {words}");
        Args::try_parse_from(words.split_whitespace()).map(|args| {
            let Command::Serve(args) = args.command;
            args
        })
    }

    fn registration(words: &str) -> Option<Registration> {
        parse(words).unwrap().register.registration("portcullis", Some("home"), AskedAbout::default())
    }

    #[test]
    fn registers_only_when_told_how_it_is_reached() {
        assert_eq!(registration(""), None);
        let service = registration("--webhook-configuration w --register-service system/webhook").unwrap();
        assert_eq!(service.reached, Reached::Service { namespace: "system".to_owned(), name: "webhook".to_owned(), port: 443 });
        let url = registration("--webhook-configuration w --register-url https://localhost:8443/validate").unwrap();
        assert_eq!(url.reached, Reached::Url("https://localhost:8443/validate".to_owned()));
        for words in [
            "--register-service system/webhook",
            "--webhook-configuration w --register-service webhook",
            "--webhook-configuration w --register-service system/webhook:x",
            "--webhook-configuration w --register-url http://localhost/validate",
            "--webhook-configuration w --register-url https://a/ --register-service system/webhook",
        ] {
            assert_eq!(parse(words).unwrap_err().exit_code(), 2, "{words}");
        }
    }

    #[test]
    fn never_asks_for_its_own_namespace_nor_for_kube_system_whatever_else_is_left_out() {
        let words = "--webhook-configuration w --register-service home/webhook";
        assert_eq!(registration(words).unwrap().excluded, ["home", "kube-system"].map(str::to_owned).into());
        let other = registration(&format!("{words} --register-except infra")).unwrap();
        assert_eq!(other.excluded, ["home", "infra", "kube-system"].map(str::to_owned).into());
    }

    #[test]
    fn expects_the_name_that_the_api_server_will_expect() {
        let name = |words: &str| parse(&format!("--webhook-configuration w {words}")).unwrap().register.server_name();
        assert_eq!(name("--register-service system/webhook:8443").as_deref(), Some("webhook.system.svc"));
        assert_eq!(name("--register-url https://hooks.example.org:8443/validate").as_deref(), Some("hooks.example.org"));
        let address = name("--register-url https://[fd00::1]:8443/validate").unwrap();
        assert_eq!(address, "fd00::1");
        assert!(rustls::pki_types::ServerName::try_from(address).is_ok(), "what is expected in a certificate has no brackets");
    }
}
