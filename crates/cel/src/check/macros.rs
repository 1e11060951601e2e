//! Macros: what looks like a call and binds a name.

use super::{Checked, Checker};
use crate::{
    Type,
    code::{Code, Iteration, Kind},
    syntax::{Expr, Node},
};

/// Every macro that is called on a value.
pub(super) const NAMES: [&str; 14] = [
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "filter",
    "map",
    "optFlatMap",
    "optMap",
    "sortBy",
    "transformList",
    "transformMap",
    "transformMapEntry",
    "has",
    "dyn",
];

/// The versions of Kubernetes that brought them.
const OPTIONALS: u8 = 28;
const TWO_VARIABLES: u8 = 32;
const LISTS: u8 = 34;

impl Checker<'_> {
    /// The macro that a call is; none where it is none.
    pub(super) fn expand(&mut self, at: usize, function: &str, target: &Expr, arguments: &[Expr]) -> Option<Checked> {
        let (kind, variables, filtered, since) = match (function, arguments.len()) {
            ("all", 2) => (Kind::All, 1, false, 0),
            ("exists", 2) => (Kind::Exists, 1, false, 0),
            ("exists_one" | "existsOne", 2) => (Kind::ExistsOne, 1, false, 0),
            ("filter", 2) => (Kind::Filter, 1, false, 0),
            ("map", 2) => (Kind::List, 1, false, 0),
            ("map", 3) => (Kind::List, 1, true, 0),
            ("sortBy", 2) => (Kind::Sort, 1, false, LISTS),
            ("all", 3) => (Kind::All, 2, false, TWO_VARIABLES),
            ("exists", 3) => (Kind::Exists, 2, false, TWO_VARIABLES),
            ("exists_one" | "existsOne", 3) => (Kind::ExistsOne, 2, false, TWO_VARIABLES),
            ("transformList", 3) => (Kind::List, 2, false, TWO_VARIABLES),
            ("transformList", 4) => (Kind::List, 2, true, TWO_VARIABLES),
            ("transformMap", 3) => (Kind::Map, 2, false, TWO_VARIABLES),
            ("transformMap", 4) => (Kind::Map, 2, true, TWO_VARIABLES),
            ("transformMapEntry", 3) => (Kind::Entries, 2, false, TWO_VARIABLES),
            ("transformMapEntry", 4) => (Kind::Entries, 2, true, TWO_VARIABLES),
            ("optMap", 2) => return Some(self.with_value(at, target, arguments, false)),
            ("optFlatMap", 2) => return Some(self.with_value(at, target, arguments, true)),
            _ if NAMES.contains(&function) && !matches!(function, "has" | "dyn") => {
                return Some(self.problem(at, format!("{function} takes a name and an expression of it, as in list.{function}(x, …)")));
            }
            _ => return None,
        };
        if since > self.environment.minor() {
            let minor = self.environment.minor();
            return Some(self.problem(at, format!("this form of {function} is of Kubernetes 1.{since}; the policy is for 1.{minor}")));
        }
        Some(self.iteration(at, kind, variables, filtered, target, arguments))
    }

    /// The name that a macro binds.
    fn bound(&mut self, argument: &Expr) -> Option<String> {
        match &argument.node {
            Node::Name { name, absolute: false } => Some(name.clone()),
            _ => {
                self.problem(argument.at, "a macro's variable is a plain name, like x");
                None
            }
        }
    }

    fn iteration(&mut self, at: usize, kind: Kind, variables: usize, filtered: bool, target: &Expr, arguments: &[Expr]) -> Checked {
        let (range, of) = self.check(target);
        let Some((key, value)) = of.iterated() else {
            return self.problem(at, format!("{of} cannot be iterated; only a list and a map can"));
        };
        if kind == Kind::Sort && matches!(of, Type::Map(..) | Type::Object(_)) {
            return self.problem(at, format!("sortBy takes a list, and this is {of}"));
        }
        // One variable is the element of a list, or the key of a map.
        let element = if matches!(of, Type::List(_) | Type::Dyn) { value.clone() } else { key.clone() };
        let types = if variables == 2 { vec![key.clone(), value] } else { vec![element.clone()] };
        let before = self.scope.len();
        for (argument, of) in arguments.iter().zip(types) {
            let Some(name) = self.bound(argument) else {
                self.scope.truncate(before);
                return self.problem_already_told();
            };
            if self.scope.iter().skip(before).any(|(known, _)| *known == name) {
                self.problem(argument.at, format!("{name} is bound twice; give the second variable another name"));
            }
            self.scope.push((name, of));
        }
        let mut rest = arguments.iter().skip(variables);
        let filter = if filtered { rest.next().map(|filter| self.condition(filter, "a filter")) } else { None };
        let body = match (rest.next(), kind) {
            (Some(body), Kind::All | Kind::Exists | Kind::ExistsOne | Kind::Filter) => {
                (self.condition(body, "a macro's condition"), Type::Bool)
            }
            (Some(body), _) => self.check(body),
            (None, _) => self.problem_already_told(),
        };
        self.scope.truncate(before);
        let (body, body_of) = body;
        if kind == Kind::Sort && !body_of.is_ordered() {
            return self.problem(at, format!("sortBy needs keys that have an order, like numbers and texts, and these are {body_of}"));
        }
        let result = match kind {
            Kind::All | Kind::Exists | Kind::ExistsOne => Type::Bool,
            Kind::Sort if of == Type::Dyn => Type::Dyn,
            Kind::Filter | Kind::Sort => Type::list(element),
            Kind::List => Type::list(body_of),
            Kind::Map => Type::map(key, body_of),
            Kind::Entries => match body_of {
                Type::Map(..) | Type::Dyn => body_of,
                other => {
                    return self
                        .problem(at, format!("transformMapEntry needs a map of entries, and this is {other}; write {{key: value}}"));
                }
            },
        };
        let iteration = Iteration { kind, range, two_variables: variables == 2, filter, body };
        (Code::Iterate(Box::new(iteration)), result)
    }

    fn problem_already_told(&mut self) -> Checked {
        (Code::Literal(crate::syntax::Literal::Null), Type::Dyn)
    }

    fn with_value(&mut self, at: usize, target: &Expr, arguments: &[Expr], flat: bool) -> Checked {
        if self.environment.minor() < OPTIONALS {
            return self.problem(at, format!("optionals are of Kubernetes 1.{OPTIONALS}"));
        }
        let (operand, of) = self.boxed(target);
        let inner = match of {
            Type::Optional(inner) => inner.decided(),
            Type::Dyn => Type::Dyn,
            other => return self.problem(at, format!("optMap needs an optional, and this is {other}; make one with .? or optional.of()")),
        };
        let [variable, body] = arguments else { return self.problem(at, "optMap takes a name and an expression of it") };
        let Some(name) = self.bound(variable) else { return self.problem_already_told() };
        self.scope.push((name, inner));
        let (body_at, (body, body_of)) = (body.at, self.boxed(body));
        self.scope.pop();
        let result = match body_of {
            of @ (Type::Optional(_) | Type::Dyn) if flat => of,
            of if flat => return self.problem(body_at, format!("optFlatMap needs an optional, and this is {of}; use optMap")),
            of => Type::optional(of),
        };
        (Code::WithValue { operand, body, flat }, result)
    }
}
