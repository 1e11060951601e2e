//! Calls: which overloads can be meant, and constants that are wrong whatever the request.

use super::{Checked, Checker, nearest::nearest};
use crate::{
    Budget, Type,
    code::Code,
    evaluate::constant,
    library::{self, Call, OVERLOADS, Overload, Style, check_format},
    syntax::{Expr, Literal, Node},
};

/// Functions that read a text; whether they can is known where the text is.
const READERS: [&str; 13] =
    ["quantity", "ip", "cidr", "url", "semver", "duration", "timestamp", "int", "uint", "double", "bool", "string", "ip.isCanonical"];

/// Functions whose second argument is a regular expression.
const SEARCHES: [&str; 3] = ["matches", "find", "findAll"];

/// Units for what is constant.
const UNITS: u64 = 100_000;

/// What other environments have and Kubernetes' has not.
const FOREIGN: [&str; 5] = ["math", "base64", "cel", "proto", "authorizer"];

impl Checker<'_> {
    pub(super) fn call(&mut self, at: usize, function: &str, target: Option<&Expr>, arguments: &[Expr]) -> Checked {
        let Some(target) = target else {
            if function == "has" {
                return self.has(at, arguments);
            }
            let known: Vec<_> = library::overloads(function, Style::Global).collect();
            if known.is_empty() {
                return self.unknown(at, function, Style::Global, &known);
            }
            let checked = arguments.iter().map(|argument| self.check(argument)).collect();
            return self.resolve(at, function, Style::Global, arguments.iter().collect(), checked);
        };
        if let Some(namespace) = target.qualified_name().filter(|_| !self.is_local(target)) {
            let name = format!("{namespace}.{function}");
            if library::overloads(&name, Style::Global).next().is_some() {
                let checked = arguments.iter().map(|argument| self.check(argument)).collect();
                return self.resolve(at, &name, Style::Global, arguments.iter().collect(), checked);
            }
            if FOREIGN.contains(&namespace.as_str()) && self.environment.root(&namespace).is_none() {
                return self.problem(at, format!("{name} is not supported; Kubernetes' CEL for policies has the functions of docs/cel.md"));
            }
        }
        if let Some(expanded) = self.expand(at, function, target, arguments) {
            return expanded;
        }
        let known: Vec<_> = library::overloads(function, Style::Member).collect();
        if known.is_empty() {
            return self.unknown(at, function, Style::Member, &known);
        }
        let mut checked = vec![self.check(target)];
        match arguments {
            [list] if function == "format" => checked.push(self.format(target, list)),
            _ => checked.extend(arguments.iter().map(|argument| self.check(argument))),
        }
        let all: Vec<&Expr> = std::iter::once(target).chain(arguments).collect();
        self.resolve(at, function, Style::Member, all, checked)
    }

    /// The list of what a format takes, whose elements may be of different types, down to the innermost.
    fn format(&mut self, format: &Expr, list: &Expr) -> Checked {
        let around = std::mem::replace(&mut self.mixed, true);
        let (code, types) = match &list.node {
            Node::List(elements) if elements.iter().all(|element| !element.optional) => {
                let (codes, types): (Vec<_>, Vec<_>) = elements.iter().map(|element| self.check(&element.value)).unzip();
                (Code::List(codes.into_iter().map(|code| (code, false)).collect()), Some(types))
            }
            _ => (self.check(list).0, None),
        };
        self.mixed = around;
        if let Node::Literal(Literal::String(text)) = &format.node
            && let Err(message) = check_format(text, types.as_deref())
        {
            self.problem(format.at, message);
        }
        (code, Type::list(Type::Dyn))
    }

    /// Finds the overloads that fit the arguments, and so the type of the result.
    fn resolve(&mut self, at: usize, name: &str, style: Style, all: Vec<&Expr>, checked: Vec<Checked>) -> Checked {
        let minor = self.environment.minor();
        let known: Vec<&'static Overload> = library::overloads(name, style).collect();
        let there: Vec<_> = known.iter().copied().filter(|overload| overload.since <= minor).collect();
        let Some(first) = there.first() else { return self.unknown(at, name, style, &known) };
        let (codes, types): (Vec<Code>, Vec<Type>) = checked.into_iter().unzip();
        let of_count: Vec<_> = there.iter().copied().filter(|overload| overload.parameters.len() == types.len()).collect();
        if of_count.is_empty() {
            return self.problem(at, format!("{name} takes other arguments: {}", signatures(&there)));
        }
        let mut fitting = Vec::new();
        let mut result: Option<Type> = None;
        // What nothing has decided is decided by the first that fits, as in Kubernetes.
        let is_decided = !types.iter().any(Type::has_free);
        for overload in &of_count {
            let mut bound = [None, None];
            if overload.parameters.iter().zip(&types).all(|(parameter, of)| parameter.accepts(of, &mut bound)) {
                let of = overload.result.with(&bound.map(|of| of.unwrap_or(Type::Free))).decided();
                result = Some(match result {
                    Some(known) if known == of || !is_decided => known,
                    Some(_) => Type::Dyn,
                    None => of,
                });
                fitting.push(*overload);
            }
        }
        let Some(result) = result else {
            let given: Vec<_> = types.iter().map(ToString::to_string).collect();
            return self.problem(at, format!("{name} does not take ({}); it takes {}", given.join(", "), signatures(&there)));
        };
        self.check_constants(at, first.name, &all, &fitting);
        (called(first.name, fitting, codes), result)
    }

    fn unknown(&mut self, at: usize, name: &str, style: Style, known: &[&'static Overload]) -> Checked {
        if let Some(since) = known.iter().map(|overload| overload.since).min() {
            let minor = self.environment.minor();
            return self.problem(at, format!("{name} is of Kubernetes 1.{since}; the policy is for 1.{minor}"));
        }
        let other = if style == Style::Global { Style::Member } else { Style::Global };
        if library::overloads(name, other).next().is_some() {
            let form = if other == Style::Member { format!("value.{name}(…)") } else { format!("{name}(value, …)") };
            return self.problem(at, format!("{name} is called as {form}"));
        }
        let names = OVERLOADS.iter().flat_map(|(_, overloads)| overloads.iter()).map(|overload| overload.name);
        let hint = match nearest(name, names.chain(super::macros::NAMES)) {
            Some(meant) => format!("is {meant} meant?"),
            None => "docs/cel.md lists those that there are".to_owned(),
        };
        self.problem(at, format!("there is no function {name}; {hint}"))
    }

    /// Tries what is constant now, rather than at every request.
    fn check_constants(&mut self, at: usize, name: &str, all: &[&Expr], overloads: &[&'static Overload]) {
        let literals: Option<Vec<&Literal>> =
            all.iter().map(|expr| if let Node::Literal(literal) = &expr.node { Some(literal) } else { None }).collect();
        if let (true, Some(literals)) = (READERS.contains(&name), literals) {
            let arguments: Vec<_> = literals.into_iter().map(constant).collect();
            let mut budget = Budget::of(UNITS, UNITS);
            let mut call = Call { arguments: &arguments, budget: &mut budget, regexes: &self.regexes };
            let failed = overloads.iter().find(|overload| overload.takes(&arguments)).and_then(|overload| (overload.run)(&mut call).err());
            if let Some(error) = failed {
                self.problem(at, error.to_string());
            }
        }
        let Some(second) = all.get(1).filter(|_| SEARCHES.contains(&name)) else { return };
        if let Node::Literal(Literal::String(pattern)) = &second.node
            && let Err(message) = self.regexes.add(pattern)
        {
            self.problem(second.at, message);
        }
    }
}

/// The code of a call; of its own where an argument may not be needed.
fn called(name: &'static str, overloads: Vec<&'static Overload>, arguments: Vec<Code>) -> Code {
    if !matches!(name, "or" | "orValue") {
        return Code::Call { name, overloads: overloads.into(), arguments: arguments.into() };
    }
    match <[Code; 2]>::try_from(arguments) {
        Ok(both) => {
            let [operand, alternative] = both.map(Box::new);
            Code::Otherwise { operand, alternative, takes_out: name == "orValue" }
        }
        Err(arguments) => Code::Call { name, overloads: overloads.into(), arguments: arguments.into() },
    }
}

/// The ways in which a function can be called.
fn signatures(overloads: &[&'static Overload]) -> String {
    let signature = |overload: &&Overload| {
        let types: Vec<_> = overload.parameters.iter().map(|parameter| parameter.erased().to_string()).collect();
        match (overload.style, types.split_first()) {
            (Style::Member, Some((target, rest))) => format!("{target}.{}({})", overload.name, rest.join(", ")),
            _ => format!("{}({})", overload.name, types.join(", ")),
        }
    };
    let mut all: Vec<String> = overloads.iter().map(signature).collect();
    all.dedup();
    all.join(" or ")
}
