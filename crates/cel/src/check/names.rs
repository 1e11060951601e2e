//! Names, fields and indexes.

use super::{Checked, Checker, nearest::nearest};
use crate::{
    Type, TypeName,
    code::Code,
    syntax::{Expr, Literal, Node},
};

impl Checker<'_> {
    /// The place of a macro's variable.
    pub(super) fn local(&self, name: &str) -> Option<(usize, &Type)> {
        self.scope.iter().enumerate().rev().find(|(_, (known, _))| known == name).map(|(place, (_, of))| (place, of))
    }

    /// Whether a name, or the first of a qualified one, is a macro's variable.
    pub(super) fn is_local(&self, expr: &Expr) -> bool {
        expr.first_name().is_some_and(|(name, absolute)| !absolute && self.local(name).is_some())
    }

    /// What a name, or a qualified name, stands for by itself.
    fn named(&mut self, expr: &Expr) -> Option<Checked> {
        if self.is_local(expr) {
            return None;
        }
        let name = expr.qualified_name()?;
        if let Some(of) = self.environment.root(&name) {
            return Some((Code::Root(name.into()), of.clone()));
        }
        let found = TypeName::NAMED.into_iter().find(|known| known.name() == name);
        found.map(|found| (Code::Type(found), Type::Type))
    }

    pub(super) fn name(&mut self, expr: &Expr) -> Checked {
        let Node::Name { name, absolute } = &expr.node else { return self.problem(expr.at, "a name is missing") };
        if let Some((place, of)) = self.local(name).filter(|_| !absolute) {
            return (Code::Local(place), of.clone());
        }
        if let Some(found) = self.named(expr) {
            return found;
        }
        let message = match name.as_str() {
            "authorizer" => {
                "authorizer is not supported: there is no API server to be asked; leave what needs it to a policy of the API server".into()
            }
            "variables" => "variables is not a value; write variables.NAME".to_owned(),
            name => {
                let locals = self.scope.iter().map(|(known, _)| known.as_str());
                match nearest(name, locals.chain(self.environment.roots())) {
                    Some(known) => format!("{name:?} is not declared; is {known} meant?"),
                    None => {
                        let known: Vec<_> = self.environment.roots().chain(["variables"]).collect();
                        format!("{name:?} is not declared; there are {}", known.join(", "))
                    }
                }
            }
        };
        self.problem(expr.at, message)
    }

    /// Whether an expression is `variables`, as no macro's variable.
    fn is_variables(&self, expr: &Expr) -> bool {
        matches!(&expr.node, Node::Name { name, .. } if name == "variables")
            && !self.is_local(expr)
            && self.environment.root("variables").is_none()
    }

    fn variable(&mut self, at: usize, name: &str) -> Checked {
        let environment = self.environment;
        if let Some(variable) = environment.variables().iter().find(|variable| variable.name == name) {
            self.variable_levels = self.variable_levels.max(variable.depth);
            return (Code::Variable(name.into()), variable.of.clone());
        }
        let known: Vec<_> = environment.variables().iter().map(|variable| variable.name.as_str()).collect();
        let hint = match nearest(name, known.iter().copied()) {
            Some(meant) => format!("is variables.{meant} meant?"),
            None if known.is_empty() => "no variable is defined before this expression".to_owned(),
            None => format!("before this expression there are {}", known.join(", ")),
        };
        self.problem(at, format!("variables.{name} is not defined; {hint}"))
    }

    pub(super) fn select(&mut self, expr: &Expr, operand: &Expr, field: &str, optional: bool) -> Checked {
        if self.is_variables(operand) {
            let (code, of) = self.variable(expr.at, field);
            if optional {
                return self.problem(expr.at, format!("variables.{field} is always there; write . instead of .?"));
            }
            return (code, of);
        }
        if let Some(found) = self.named(expr).filter(|_| !optional) {
            return found;
        }
        let (operand, of) = self.boxed(operand);
        let Some(field_of) = field_type(&of, field) else { return self.problem_of_field(expr.at, &of, field) };
        let of = if optional && !matches!(of, Type::Optional(_)) { Type::optional(field_of) } else { field_of };
        (Code::Select { operand, field: field.into(), optional }, of)
    }

    fn problem_of_field(&mut self, at: usize, of: &Type, field: &str) -> Checked {
        let inner = if let Type::Optional(inner) = of { inner } else { of };
        let message = match inner {
            Type::Object(object) => match nearest(field, object.fields.keys().map(String::as_str)) {
                Some(meant) => format!("{of} has no field {field:?}; is {meant} meant?"),
                None => format!("{of} has no field {field:?}; it has {}", object.fields.keys().cloned().collect::<Vec<_>>().join(", ")),
            },
            _ => format!("a value of type {of} has no fields; remove .{field}"),
        };
        self.problem(at, message)
    }

    pub(super) fn index(&mut self, at: usize, operand: &Expr, index: &Expr, optional: bool) -> Checked {
        let (operand, of) = self.boxed(operand);
        let (index, index_of) = self.boxed(index);
        let element_of = element(&of, &index_of);
        let Some(element_of) = element_of else {
            return self.problem(at, format!("{of} has no element by {index_of}; a list takes an int, a map its own type of keys"));
        };
        let of = match of {
            of if is_ambiguous(&of, &index_of, optional) => Type::Dyn,
            Type::Optional(_) => element_of,
            _ if optional => Type::optional(element_of),
            _ => element_of,
        };
        (Code::Index { operand, index, optional }, of)
    }

    /// `has(operand.field)`.
    pub(super) fn has(&mut self, at: usize, arguments: &[Expr]) -> Checked {
        let [argument] = arguments else { return self.problem(at, "has() takes one field, as in has(object.spec)") };
        let Node::Select { operand, field, optional: false } = &argument.node else {
            return self
                .problem(argument.at, "has() takes a field, as in has(object.spec); ask for a key that is no name with 'key' in map");
        };
        if self.is_variables(operand) {
            self.variable(argument.at, field);
            return (Code::Literal(Literal::Bool(true)), Type::Bool);
        }
        let (operand, of) = self.boxed(operand);
        if field_type(&of, field).is_none() {
            return self.problem_of_field(argument.at, &of, field);
        }
        (Code::Has { operand, field: field.as_str().into() }, Type::Bool)
    }
}

/// The type of a field; none where there cannot be one.
fn field_type(of: &Type, field: &str) -> Option<Type> {
    match of {
        Type::Dyn | Type::Free => Some(Type::Dyn),
        Type::Map(key, value) => key.agrees(&Type::String).then(|| (**value).clone()),
        Type::Object(object) => object.fields.get(field).cloned(),
        Type::Optional(inner) => field_type(inner, field).map(Type::optional),
        _ => None,
    }
}

/// Whether an index may be one of several things, none of which Kubernetes then takes it for: a list's or a map's, of an optional or not.
fn is_ambiguous(of: &Type, index: &Type, optional: bool) -> bool {
    match of {
        Type::Dyn => optional,
        Type::Optional(inner) => **inner == Type::Dyn && matches!(index, Type::Int | Type::Dyn),
        _ => false,
    }
}

/// The type of what an index finds; none where it finds nothing ever.
fn element(of: &Type, index: &Type) -> Option<Type> {
    match of {
        Type::Dyn | Type::Free => Some(Type::Dyn),
        Type::List(element) => index.agrees(&Type::Int).then(|| (**element).clone()),
        Type::Map(key, value) => key.agrees(index).then(|| (**value).clone()),
        Type::Optional(inner) => element(inner, index).map(Type::optional),
        _ => None,
    }
}
