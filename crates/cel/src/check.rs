//! Tree → code: what can be known to be wrong without a request is found here.
//!
//! Types are inferred as far as they are declared; what is not known is `dyn`, which agrees with everything. A mistake gives a problem and counts
//! as `dyn` from there on, so that one mistake is told once and the rest is still checked.

mod calls;
mod macros;
mod names;
mod nearest;

use crate::{
    Environment, Problem, Type,
    code::Code,
    library::Regexes,
    operators,
    syntax::{Element, Entry, Expr, Literal, Node, Operator},
};

/// Code and its type.
type Checked = (Code, Type);

/// Problems that are told of one expression.
const PROBLEMS: usize = 20;

/// What checking an expression leaves.
pub(crate) struct Outcome {
    pub(crate) code: Code,
    pub(crate) of: Type,
    pub(crate) regexes: Regexes,
    pub(crate) problems: Vec<Problem>,
    /// Levels that the deepest of the variables in it takes.
    pub(crate) variable_levels: usize,
}

pub(crate) fn check(source: &str, environment: &Environment, tree: &Expr) -> Outcome {
    let mut checker = Checker {
        source,
        environment,
        scope: Vec::new(),
        problems: Vec::new(),
        regexes: Regexes::default(),
        variable_levels: 0,
        mixed: false,
    };
    let (code, of) = checker.check(tree);
    Outcome { code, of, regexes: checker.regexes, problems: checker.problems, variable_levels: checker.variable_levels }
}

struct Checker<'e> {
    source: &'e str,
    environment: &'e Environment,
    /// What macros bind, outermost first.
    scope: Vec<(String, Type)>,
    problems: Vec<Problem>,
    regexes: Regexes,
    variable_levels: usize,
    /// Whether the values of literals may be of different types: in what a format takes, they may.
    mixed: bool,
}

impl Checker<'_> {
    /// Tells a mistake; what stands there has no type that is known.
    fn problem(&mut self, at: usize, message: impl Into<String>) -> Checked {
        if self.problems.len() < PROBLEMS {
            self.problems.push(Problem::at(self.source, at, message));
        }
        (Code::Literal(Literal::Null), Type::Dyn)
    }

    fn check(&mut self, expr: &Expr) -> Checked {
        let (code, of) = self.check_node(expr);
        (code, if self.environment.is_typed() { of.decided() } else { Type::Dyn })
    }

    fn boxed(&mut self, expr: &Expr) -> (Box<Code>, Type) {
        let (code, of) = self.check(expr);
        (Box::new(code), of)
    }

    fn check_node(&mut self, expr: &Expr) -> Checked {
        match &expr.node {
            Node::Literal(literal) => (Code::Literal(literal.clone()), type_of(literal)),
            Node::Name { .. } => self.name(expr),
            Node::Select { operand, field, optional } => self.select(expr, operand, field, *optional),
            Node::Index { operand, index, optional } => self.index(expr.at, operand, index, *optional),
            Node::Call { function, target, arguments } => self.call(expr.at, function, target.as_deref(), arguments),
            Node::Not(operand) => (Code::Not(Box::new(self.condition(operand, "!"))), Type::Bool),
            Node::Negate(operand) => self.negate(expr.at, operand),
            Node::And(operands) => (Code::And(self.conditions(operands, "&&")), Type::Bool),
            Node::Or(operands) => (Code::Or(self.conditions(operands, "||")), Type::Bool),
            Node::Conditional(parts) => self.conditional(expr.at, parts),
            Node::Binary { operator, left, right } => self.binary(expr.at, *operator, left, right),
            Node::List(elements) => self.list(elements),
            Node::Map(entries) => self.map(entries),
        }
    }

    /// A value that must be true or false.
    fn condition(&mut self, expr: &Expr, of_what: &str) -> Code {
        let (code, of) = self.check(expr);
        if !of.agrees(&Type::Bool) {
            return self.problem(expr.at, format!("{of_what} needs a bool, and this is {of}; compare it with something")).0;
        }
        code
    }

    fn conditions(&mut self, operands: &[Expr], operator: &str) -> Box<[Code]> {
        operands.iter().map(|operand| self.condition(operand, operator)).collect()
    }

    fn negate(&mut self, at: usize, operand: &Expr) -> Checked {
        let (code, of) = self.boxed(operand);
        match of {
            Type::Int | Type::Double | Type::Dyn => (Code::Negate(code), of),
            _ => self.problem(at, format!("there is no negative of {of}; only of int and double")),
        }
    }

    fn conditional(&mut self, at: usize, parts: &[Expr; 3]) -> Checked {
        let [condition, then, otherwise] = parts;
        let condition = self.condition(condition, "?");
        let (then, then_of) = self.check(then);
        let (otherwise, otherwise_of) = self.check(otherwise);
        if !then_of.agrees(&otherwise_of) {
            return self.problem(
                at,
                format!("the branches have different types, {then_of} and {otherwise_of}; convert one, or wrap one in dyn()"),
            );
        }
        (Code::Conditional(Box::new([condition, then, otherwise])), then_of.join(otherwise_of))
    }

    fn binary(&mut self, at: usize, operator: Operator, left: &Expr, right: &Expr) -> Checked {
        let (left, left_of) = self.boxed(left);
        let (right, right_of) = self.boxed(right);
        match operators::result(operator, &left_of, &right_of) {
            Some(of) => (Code::Binary { operator, left, right }, of),
            None => {
                let symbol = operator.symbol();
                self.problem(
                    at,
                    format!("{left_of} {symbol} {right_of} is not defined; convert one side, as in string(x), int(x) or dyn(x)"),
                )
            }
        }
    }

    /// One type for all values of a literal, as Kubernetes demands it: what is not known is a type of its own.
    fn unite(&mut self, at: usize, known: &mut Option<Type>, of: Type, what: &str) {
        let united = match known.take() {
            None => of,
            Some(known) if known.is_equivalent(&of) || self.mixed || !self.environment.is_typed() => known.join(of),
            Some(known) => {
                self.problem(at, format!("the {what} are of different types, {known} and {of}; convert them, or wrap them in dyn()"));
                Type::Dyn
            }
        };
        *known = Some(united);
    }

    fn list(&mut self, elements: &[Element]) -> Checked {
        let mut of = None;
        let mut codes = Vec::with_capacity(elements.len());
        for element in elements {
            let (code, element_of) = self.check(&element.value);
            let element_of = self.given(element.value.at, element_of, element.optional);
            self.unite(element.value.at, &mut of, element_of, "elements of the list");
            codes.push((code, element.optional));
        }
        (fold_list(codes), Type::list(of.unwrap_or(Type::Free)))
    }

    fn map(&mut self, entries: &[Entry]) -> Checked {
        let (mut key_of, mut value_of) = (None, None);
        let mut codes = Vec::with_capacity(entries.len());
        for entry in entries {
            let (key, of) = self.check(&entry.key);
            if !matches!(of, Type::Bool | Type::Int | Type::Uint | Type::String | Type::Dyn) {
                self.problem(entry.key.at, format!("a key of a map is a bool, an int, a uint or a string, not {of}"));
            }
            self.unite(entry.key.at, &mut key_of, of, "keys of the map");
            let (value, of) = self.check(&entry.value);
            let of = self.given(entry.value.at, of, entry.optional);
            self.unite(entry.value.at, &mut value_of, of, "values of the map");
            codes.push((key, value, entry.optional));
        }
        (fold_map(codes), Type::map(key_of.unwrap_or(Type::Free), value_of.unwrap_or(Type::Free)))
    }

    /// The type of an element, which is that of the value where the element is optional.
    fn given(&mut self, at: usize, of: Type, optional: bool) -> Type {
        match of {
            Type::Optional(inner) if optional => *inner,
            Type::Dyn => Type::Dyn,
            of if optional => self.problem(at, format!("? needs an optional, and this is {of}; remove the ?")).1,
            of => of,
        }
    }
}

/// A list of constants is one.
fn fold_list(codes: Vec<(Code, bool)>) -> Code {
    let constant = codes.iter().map(|(code, optional)| if *optional { None } else { code.as_json() }).collect();
    match constant {
        Some(elements) => Code::Constant(serde_json::Value::Array(elements)),
        None => Code::List(codes.into()),
    }
}

/// A map of texts to constants is one.
fn fold_map(codes: Vec<(Code, Code, bool)>) -> Code {
    let constant = codes
        .iter()
        .map(|(key, value, optional)| match key {
            Code::Literal(Literal::String(key)) if !optional => Some((key.clone(), value.as_json()?)),
            _ => None,
        })
        .collect();
    match constant {
        Some(entries) => Code::Constant(serde_json::Value::Object(entries)),
        None => Code::Map(codes.into()),
    }
}

fn type_of(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::String(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
    }
}
