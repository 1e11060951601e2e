//! The command line.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use portcullis_admission::Standard;

use crate::break_glass::Move;
use crate::cluster::{ClusterArgs, ClusterName};

const EXAMPLES: &str = "\
Examples:
  portcullis check --pod-security restricted:v1.35 deploy/
  helm template web charts/web | portcullis check -
  portcullis check --policy policies/image-registries deploy/
  portcullis check -o sarif deploy/ > portcullis.sarif
  portcullis scan --pod-security restricted --namespace shop
  portcullis test policies/
  portcullis convert policies/image-registries/policy.yaml
  portcullis definitions | kubectl apply --server-side -f -
  portcullis explain runAsNonRoot
  portcullis seccomp /etc/portcullis/profiles/shop.deployment-web.yaml
  portcullis break-glass --dry-run

Exit status: 0 everything passes or was done, 1 something violates the standard, 2 something could not be judged or done.";

/// Kubernetes security from the manifest to the kernel.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, after_help = EXAMPLES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Judge manifests by a Pod Security Standard and by policies, as the admission webhook would
    Check(CheckArgs),
    /// Judge what is in a cluster already, and report it
    Scan(ScanArgs),
    /// Run the cases that are beside policies
    Test(TestArgs),
    /// Write policies as Kubernetes' own, and say what is lost
    Convert(ConvertArgs),
    /// Write the definitions of Portcullis' resources, for kubectl apply
    Definitions(DefinitionsArgs),
    /// Say what a check forbids, and why
    Explain(ExplainArgs),
    /// Write the system calls that a WorkloadProfile recorded as a seccomp profile
    Seccomp(SeccompArgs),
    /// Take the admission webhook out of force, or back; asks the API server alone
    BreakGlass(BreakGlassArgs),
    /// Remove what was installed into a cluster
    Uninstall(UninstallArgs),
}

/// How to check.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// Pod Security Standard: LEVEL or LEVEL:VERSION [default: baseline:latest, or none with --policy]
    #[arg(long, value_name = "STANDARD")]
    pub pod_security: Option<Standard>,

    /// File with policies, exceptions and parameters, or a folder of such; may be repeated
    #[arg(long, value_name = "FILE")]
    pub policy: Vec<PathBuf>,

    /// Format of the report
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Format,

    /// When to colour the text
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    pub color: Color,

    /// Files, folders (their .yaml, .yml and .json files, at any depth), or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

const SECCOMP_EXAMPLES: &str = "\
Examples:
  portcullis seccomp /etc/portcullis/profiles/shop.deployment-web.yaml > /var/lib/kubelet/seccomp/web.json
  portcullis seccomp --container web --log shop.deployment-web.yaml

The pod names it by seccompProfile: {type: Localhost, localhostProfile: web.json}. What the runtime itself calls once the filter is in
force is allowed beside what was recorded.

Exit status: 0 written, 2 the file cannot be read, or nothing was recorded.";

/// Of what to write a seccomp profile.
#[derive(Debug, ClapArgs)]
#[command(after_help = SECCOMP_EXAMPLES)]
pub struct SeccompArgs {
    /// The container, where the profile has several
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,

    /// Log what was not recorded instead of denying it
    #[arg(long)]
    pub log: bool,

    /// File of a WorkloadProfile
    #[arg(value_name = "PROFILE")]
    pub profile: PathBuf,
}

const SCAN_EXAMPLES: &str = "\
Examples:
  portcullis scan --pod-security restricted
  portcullis scan --namespace-labels --policies --exceptions-from portcullis-exceptions
  portcullis scan --policy policies/image-registries --namespace shop --namespace bank
  portcullis scan --pod-security baseline --namespace-selector team=shop -o junit > scan.xml
  portcullis scan --namespace-labels --policies --write-reports

It needs of the API server: get and list of namespaces; list of pods, podtemplates, replicationcontrollers, replicasets, deployments,
statefulsets, daemonsets, jobs, cronjobs, and what else policies are for; with --policies list of admissionpolicies, policyexceptions
and kinds of parameters; with --write-reports list, create, patch and delete of policyreports and clusterpolicyreports.

Exit status: 0 everything passes, 1 something violates, 2 something could not be judged, read or written.";

/// How to scan.
#[derive(Debug, ClapArgs)]
#[command(after_help = SCAN_EXAMPLES)]
pub struct ScanArgs {
    /// Pod Security Standard: LEVEL or LEVEL:VERSION [default: baseline:latest, or none with policies alone]
    #[arg(long, value_name = "STANDARD")]
    pub pod_security: Option<Standard>,

    /// Judge by what the pod-security.kubernetes.io labels of each namespace enforce; --pod-security is for those without
    #[arg(long)]
    pub namespace_labels: bool,

    /// File with policies, exceptions and parameters, or a folder of such; may be repeated
    #[arg(long, value_name = "FILE")]
    pub policy: Vec<PathBuf>,

    /// Judge by the AdmissionPolicies of the API server; --policy takes the place of one of the same name
    #[arg(long)]
    pub policies: bool,

    /// Namespace whose PolicyExceptions count; may be repeated. Without any, none of the API server's does
    #[arg(long, value_name = "NAMESPACE", requires = "policies", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub exceptions_from: Vec<String>,

    /// Namespace to scan; may be repeated. Without any, all are
    #[arg(long, short, value_name = "NAMESPACE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub namespace: Vec<String>,

    /// Scan namespaces with these labels, as kubectl writes selectors
    #[arg(long, value_name = "SELECTOR", conflicts_with = "namespace", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub namespace_selector: Option<String>,

    /// Namespace to leave out beside kube-system; may be repeated
    #[arg(long, value_name = "NAMESPACE", conflicts_with = "namespace", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub except_namespace: Vec<String>,

    /// Scan kube-system, too, which the webhook is not registered for
    #[arg(long, short = 'A', conflicts_with_all = ["namespace", "namespace_selector"])]
    pub all_namespaces: bool,

    /// Write a PolicyReport for whatever violates, is warned of or is excepted, and remove those that no longer hold
    #[arg(long)]
    pub write_reports: bool,

    /// Format of the report
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Format,

    /// When to colour the text
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    pub color: Color,

    /// Which cluster
    #[command(flatten)]
    pub cluster: ClusterName,
}

/// Which definitions to write.
#[derive(Debug, ClapArgs)]
pub struct DefinitionsArgs {
    /// Write those of PolicyReport and ClusterPolicyReport instead, which other tools such as Kyverno bring, too
    #[arg(long)]
    pub policy_reports: bool,
}

/// How to run cases.
#[derive(Debug, ClapArgs)]
pub struct TestArgs {
    /// Format of the report
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: TestFormat,

    /// Folders with policies and their cases.yaml, at any depth
    #[arg(required = true, value_name = "FOLDER")]
    pub paths: Vec<PathBuf>,
}

/// What to convert.
#[derive(Debug, ClapArgs)]
pub struct ConvertArgs {
    /// Files with policies, or folders of such
    #[arg(required = true, value_name = "FILE")]
    pub paths: Vec<PathBuf>,
}

/// How to explain.
#[derive(Debug, ClapArgs)]
pub struct ExplainArgs {
    /// Ids of checks, names of policies, or POLICY:CONTROL, as denials name them; without any, all are listed
    #[arg(value_name = "CHECK")]
    pub checks: Vec<String>,

    /// File with policies beside those that ship, or a folder of such; may be repeated
    #[arg(long, value_name = "FILE")]
    pub policy: Vec<PathBuf>,

    /// Write the reference of all checks in Markdown
    #[arg(long, conflicts_with = "checks")]
    pub markdown: bool,

    /// Write the table of the policies that ship in Markdown
    #[arg(long, conflicts_with_all = ["checks", "markdown"])]
    pub policies_markdown: bool,
}

/// What to take out of force.
#[derive(Debug, ClapArgs)]
pub struct BreakGlassArgs {
    /// The ValidatingWebhookConfiguration; without it, all that the webhook registered
    #[arg(long, value_name = "NAME")]
    pub configuration: Option<String>,

    /// Ask no webhook at all, where otherwise only what none answers for is admitted
    #[arg(long)]
    pub remove: bool,

    /// Put it back as it was
    #[arg(long, conflicts_with = "remove")]
    pub undo: bool,

    /// Which cluster
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

impl BreakGlassArgs {
    pub(crate) const fn change(&self) -> Move {
        match (self.undo, self.remove) {
            (true, _) => Move::Undo,
            (false, true) => Move::Remove,
            (false, false) => Move::Open,
        }
    }
}

/// What to remove.
#[derive(Debug, ClapArgs)]
pub struct UninstallArgs {
    /// Where it was installed
    #[arg(long, value_name = "NAMESPACE", default_value = "portcullis-system")]
    pub namespace: String,

    /// Remove the definitions of custom resources, too, and with them all policies and profiles
    #[arg(long)]
    pub crds: bool,

    /// Which cluster
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Format of the report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// For code scanning: SARIF 2.1.0
    Sarif,
    /// For CI: JUnit XML
    Junit,
}

/// Format of the report of cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum TestFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// For CI: JUnit XML
    Junit,
}

/// When to colour the text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// Whether to colour what goes to standard output.
    pub fn is_wanted(self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
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
    fn the_examples_in_the_help_are_valid_command_lines() {
        let lines = EXAMPLES.lines().chain(SCAN_EXAMPLES.lines()).filter_map(|line| line.find("portcullis ").map(|start| &line[start..]));
        for line in lines {
            let words = line.split(['>', '|']).next().unwrap().split_whitespace();
            assert!(Args::try_parse_from(words).is_ok(), "{line}");
        }
    }
}
