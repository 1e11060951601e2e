//! What an expression may name.

use crate::{Program, Type};

/// The newest minor version of Kubernetes whose libraries are known.
pub const NEWEST_MINOR: u8 = 37;

/// The declared variables, with their types, and the version of Kubernetes whose libraries there are.
#[derive(Clone, Debug)]
pub struct Environment {
    minor: u8,
    roots: Vec<(String, Type)>,
    variables: Vec<Variable>,
    typed: bool,
    exact: bool,
}

/// An expression that others use as `variables.NAME`.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) of: Type,
    /// Levels of nesting that evaluating it takes.
    pub(crate) depth: usize,
}

impl Environment {
    /// Nothing is declared; the libraries are those of the newest version that is known.
    pub fn new() -> Self {
        Self { minor: NEWEST_MINOR, roots: Vec::new(), variables: Vec::new(), typed: true, exact: false }
    }

    /// What a ValidatingAdmissionPolicy declares: `object`, `oldObject`, `params`, `request`, `namespaceObject`. `authorizer` is refused: there is
    /// no API server that could be asked.
    pub fn admission() -> Self {
        let mut environment = Self::new();
        for name in ["object", "oldObject", "params"] {
            environment.declare(name, Type::Dyn);
        }
        environment.declare("request", request());
        environment.declare("namespaceObject", namespace());
        environment
    }

    /// With the libraries of Kubernetes 1.`minor`.
    #[must_use]
    pub fn kubernetes(self, minor: u8) -> Self {
        Self { minor, ..self }
    }

    /// Types are not checked, only names and numbers of arguments: what CEL calls parsed but not checked.
    #[must_use]
    pub fn unchecked(self) -> Self {
        Self { typed: false, ..self }
    }

    /// A result must be known to be of a type that its place takes, as Kubernetes demands it: one that only the request knows is refused.
    #[must_use]
    pub fn exact(self) -> Self {
        Self { exact: true, ..self }
    }

    /// Declares a name that [`crate::Bindings`] give a value.
    pub fn declare(&mut self, name: &str, of: Type) -> &mut Self {
        self.roots.retain(|(known, _)| known != name);
        self.roots.push((name.to_owned(), of));
        self
    }

    /// Declares `variables.NAME`: the value of `program`, which was compiled with the variables before it. Its type is that which was inferred.
    pub fn variable(&mut self, name: &str, program: &Program) -> &mut Self {
        self.variables.retain(|known| known.name != name);
        self.variables.push(Variable { name: name.to_owned(), of: program.result().clone(), depth: program.depth() });
        self
    }

    pub(crate) fn minor(&self) -> u8 {
        self.minor
    }

    pub(crate) fn is_typed(&self) -> bool {
        self.typed
    }

    /// Whether a result of a type that is not known is refused.
    pub(crate) fn is_exact(&self) -> bool {
        self.typed && self.exact
    }

    pub(crate) fn root(&self, name: &str) -> Option<&Type> {
        self.roots.iter().find(|(known, _)| known == name).map(|(_, of)| of)
    }

    pub(crate) fn roots(&self) -> impl Iterator<Item = &str> {
        self.roots.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn variables(&self) -> &[Variable] {
        &self.variables
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self::new()
    }
}

/// `request`, in the fields that policies see.
fn request() -> Type {
    let strings = || Type::list(Type::String);
    let kind = || Type::object("GroupVersionKind", [("group", Type::String), ("version", Type::String), ("kind", Type::String)]);
    let resource =
        || Type::object("GroupVersionResource", [("group", Type::String), ("version", Type::String), ("resource", Type::String)]);
    let user = Type::object(
        "UserInfo",
        [("username", Type::String), ("uid", Type::String), ("groups", strings()), ("extra", Type::map(Type::String, strings()))],
    );
    Type::object(
        "AdmissionRequest",
        [
            ("kind", kind()),
            ("resource", resource()),
            ("subResource", Type::String),
            ("requestKind", kind()),
            ("requestResource", resource()),
            ("requestSubResource", Type::String),
            ("name", Type::String),
            ("namespace", Type::String),
            ("operation", Type::String),
            ("userInfo", user),
            ("dryRun", Type::Bool),
            ("options", Type::Dyn),
        ],
    )
}

/// `namespaceObject`: without what Kubernetes leaves out, `managedFields` and `ownerReferences`. Points in time are text in JSON, and what
/// Kubernetes calls timestamps: their type is left open, so that `timestamp(…)` of them compiles.
fn namespace() -> Type {
    let strings = || Type::map(Type::String, Type::String);
    let metadata = Type::object(
        "ObjectMeta",
        [
            ("name", Type::String),
            ("generateName", Type::String),
            ("namespace", Type::String),
            ("labels", strings()),
            ("annotations", strings()),
            ("UID", Type::String),
            ("uid", Type::String),
            ("creationTimestamp", Type::Dyn),
            ("deletionGracePeriodSeconds", Type::Int),
            ("deletionTimestamp", Type::Dyn),
            ("generation", Type::Int),
            ("resourceVersion", Type::String),
            ("finalizers", Type::list(Type::String)),
        ],
    );
    let condition = Type::object(
        "NamespaceCondition",
        [
            ("status", Type::String),
            ("type", Type::String),
            ("lastTransitionTime", Type::Dyn),
            ("message", Type::String),
            ("reason", Type::String),
        ],
    );
    let status = Type::object("NamespaceStatus", [("conditions", Type::list(condition)), ("phase", Type::String)]);
    let spec = Type::object("NamespaceSpec", [("finalizers", Type::list(Type::String))]);
    Type::object("Namespace", [("metadata", metadata), ("spec", spec), ("status", status)])
}
