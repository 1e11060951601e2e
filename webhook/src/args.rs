//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use portcullis_admission::{Exemptions, Settings, Standard, Standards, Templates};

pub mod register;

use register::RegisterArgs;

const EXAMPLE: &str = "\
Example:
  portcullis-webhook serve --tls-cert /tls/tls.crt --tls-key /tls/tls.key \\
      --pod-security restricted:v1.31 --pod-security-warn restricted:latest \\
      --exempt-namespace kube-system --exempt-namespace portcullis-system

Exit status: 0 after SIGTERM or SIGINT, 1 if it cannot serve, 2 for a wrong command line.";

/// The admission webhook of Portcullis: denies pods, and the workloads that would create them, that violate policy.
#[derive(Debug, Parser)]
#[command(name = "portcullis-webhook", version, after_help = EXAMPLE)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer admission reviews until told to stop.
    Serve(ServeArgs),
}

/// How to serve.
#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = EXAMPLE)]
pub struct ServeArgs {
    /// Address to answer reviews at, by HTTPS: POST /validate
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8443")]
    pub listen: SocketAddr,

    /// Address to answer probes at, by HTTP: GET /livez, /readyz
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub health_listen: SocketAddr,

    /// Certificates, PEM, of which one has to have signed the caller's; read again when it changes; without it anybody may call
    #[arg(long, value_name = "FILE")]
    pub client_ca: Option<PathBuf>,

    /// Seconds to go on accepting connections after SIGTERM, while the cluster takes this replica out of its Service
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub linger: u64,

    /// Where the certificate comes from
    #[command(flatten)]
    pub tls: TlsArgs,

    /// How the webhook registers itself
    #[command(flatten)]
    pub register: RegisterArgs,

    /// Follow the pod-security.kubernetes.io labels of namespaces; the standards below are for those without
    #[arg(long)]
    pub namespace_labels: bool,

    /// Pod Security Standard that is enforced: LEVEL or LEVEL:VERSION
    #[arg(long, value_name = "STANDARD", default_value = "baseline:latest")]
    pub pod_security: Standard,

    /// Standard whose violations are noted in the API server's audit log
    #[arg(long, value_name = "STANDARD", default_value = "privileged")]
    pub pod_security_audit: Standard,

    /// Standard whose violations are answered with a warning
    #[arg(long, value_name = "STANDARD", default_value = "privileged")]
    pub pod_security_warn: Standard,

    /// What happens to Deployments and other workloads whose pods would be denied
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub templates: TemplatesArg,

    /// Follow the AdmissionPolicies and PolicyExceptions of the API server
    #[arg(long)]
    pub policies: bool,

    /// With --policies, follow Kubernetes' own ValidatingAdmissionPolicies and their bindings, too; an API server that has them enforces them itself
    #[arg(long, requires = "policies")]
    pub validating_admission_policies: bool,

    /// Namespace whose PolicyExceptions count; may be repeated. Without any, none does
    #[arg(long, value_name = "NAMESPACE", requires = "policies", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub exceptions_from: Vec<String>,

    /// File with policies, exceptions and parameters, in place of the API server's; may be repeated
    #[arg(long, value_name = "FILE", conflicts_with = "policies")]
    pub policy: Vec<PathBuf>,

    /// Namespace that is not judged; may be repeated
    #[arg(long, value_name = "NAMESPACE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub exempt_namespace: Vec<String>,

    /// User that is not judged; may be repeated. A controller's user exempts everybody who may create what it controls
    #[arg(long, value_name = "USER", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub exempt_user: Vec<String>,

    /// Runtime class whose pods are not judged; may be repeated
    #[arg(long, value_name = "CLASS", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub exempt_runtime_class: Vec<String>,
}

/// Where the certificate comes from: a pair of files, or an authority that signs one here.
#[derive(Debug, Clone, ClapArgs)]
pub struct TlsArgs {
    /// Certificate chain, PEM, the server's own first; read again when it changes
    #[arg(long, value_name = "FILE", required_unless_present_any = ["tls_authority", "tls_secret"], requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The certificate's private key, PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Folder with an authority, as ca.crt and ca.key, that signs a short-lived certificate in memory
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["tls_cert", "tls_key"], requires = "tls_name")]
    pub tls_authority: Option<PathBuf>,

    /// Secret with such an authority, made and renewed by this program, as NAMESPACE/NAME
    #[arg(long, value_name = "SECRET", conflicts_with_all = ["tls_cert", "tls_key", "tls_authority"], requires_all = ["tls_name", "webhook_configuration"])]
    pub tls_secret: Option<SecretName>,

    /// Seconds between two looks at that Secret
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "tls_secret", value_parser = clap::value_parser!(u64).range(1..=300))]
    pub tls_secret_interval: u64,

    /// ValidatingWebhookConfiguration that is to trust that authority, or that this server registers itself as
    #[arg(long, value_name = "NAME")]
    pub webhook_configuration: Option<String>,

    /// Name of the server in a certificate that is signed here, such as portcullis-webhook.portcullis-system.svc; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "tls_cert", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub tls_name: Vec<String>,
}

/// `NAMESPACE/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    /// The namespace.
    pub namespace: String,
    /// The name in it.
    pub name: String,
}

impl FromStr for SecretName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err("must be NAMESPACE/NAME"),
        }
    }
}

/// `--templates`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum TemplatesArg {
    /// Denied, so that the author learns at once
    #[default]
    Enforce,
    /// Only audited and warned about, as Pod Security Admission does; their pods are denied
    AuditAndWarn,
}

impl From<TemplatesArg> for Templates {
    fn from(arg: TemplatesArg) -> Self {
        match arg {
            TemplatesArg::Enforce => Self::Enforce,
            TemplatesArg::AuditAndWarn => Self::AuditAndWarn,
        }
    }
}

impl ServeArgs {
    /// The namespace that the webhook is at home in, where something says so.
    pub fn home(&self) -> Option<&str> {
        let service = self.register.register_service.as_ref().map(|service| &service.service);
        service.or(self.tls.tls_secret.as_ref()).map(|name| name.namespace.as_str())
    }

    /// What requests are judged by.
    pub fn settings(&self) -> Settings {
        Settings {
            defaults: Standards { enforce: self.pod_security, audit: self.pod_security_audit, warn: self.pod_security_warn },
            exemptions: Exemptions {
                namespaces: self.exempt_namespace.iter().cloned().collect(),
                users: self.exempt_user.iter().cloned().collect(),
                runtime_classes: self.exempt_runtime_class.iter().cloned().collect(),
            },
            templates: self.templates.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn enforces_baseline_and_neither_audits_nor_warns_by_default() {
        let args = Args::parse_from(["portcullis-webhook", "serve", "--tls-cert", "c", "--tls-key", "k"]);
        let Command::Serve(args) = args.command;
        assert_eq!(args.settings().defaults, Standards::enforcing("baseline:latest".parse().unwrap()));
        assert_eq!(args.listen.port(), 8443);
    }

    #[test]
    fn wants_a_pair_of_files_or_an_authority_with_a_name() {
        let parse = |words: &str| Args::try_parse_from(format!("portcullis-webhook serve {words}").split_whitespace());
        let stored = "--tls-secret n/s --webhook-configuration w --tls-name a";
        for words in ["--tls-cert c --tls-key k", "--tls-authority f --tls-name a --tls-name b", stored] {
            assert!(parse(words).is_ok(), "{words}");
        }
        for words in [
            "",
            "--tls-secret s --webhook-configuration w --tls-name a",
            "--tls-secret n/s --tls-name a",
            "--tls-cert c",
            "--tls-key k",
            "--tls-authority f",
            "--tls-cert c --tls-key k --tls-name a",
            "--tls-name a",
            "--tls-cert c --tls-key k --tls-authority f --tls-name a",
        ] {
            assert_eq!(parse(words).unwrap_err().exit_code(), 2, "{words}");
        }
    }

    #[test]
    fn names_what_is_wrong_with_a_standard() {
        let error = Args::try_parse_from(["portcullis-webhook", "serve", "--tls-cert", "c", "--tls-key", "k", "--pod-security", "strict"])
            .unwrap_err();
        assert!(error.to_string().contains("must be one of privileged, baseline, restricted"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn the_example_in_the_help_is_a_valid_command_line() {
        let example = EXAMPLE.lines().skip(1).take_while(|line| !line.is_empty()).map(|line| line.trim_end_matches('\\'));
        let words: Vec<String> = example.flat_map(|line| line.split_whitespace()).map(str::to_owned).collect();
        let Command::Serve(args) = Args::try_parse_from(words).unwrap().command;
        assert_eq!(args.exempt_namespace, ["kube-system", "portcullis-system"]);
    }
}
