//! Rules to the table that the kernel walks.
//!
//! Every rule of a container becomes a pattern with the bits of [`portcullis_abi::access`] that it grants, and the patterns become one
//! automaton, in which the bits of all rules that match an object add up. What is not in a rule is not in the table.

mod network;

use crate::observation::{Observation, access_bit};
use portcullis_abi::{Access, access};
use portcullis_api::{AbstractName, ContainerRules, ExecRule, InvalidValue, PathPattern, ProgramName, Rule, Token, guard};
use portcullis_matcher::{Builder, ByteClass, Limits, Pattern, PatternError, Table};
use std::collections::BTreeSet;

/// A table and how it is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// Path, or key of the network or of a token → bits of [`portcullis_abi::access`].
    pub table: Table,
    /// Whether some tree is guarded: the flag [`portcullis_abi::ProfileWord::GUARDS`].
    pub guards: bool,
}

impl Compiled {
    /// What the observed operation lacks under these rules; 0 where it is allowed. This is the kernel's own decision.
    #[must_use]
    pub fn missing(&self, observation: &Observation) -> Access {
        let granted = match observation {
            Observation::ExecAs(path, name) => match self.table.accept_of(path.bytes()) {
                some if some & (access::EXEC | access::CALLED) == access::CALLED => self.table.accept_of(&named_key(path.bytes(), name)),
                granted => granted,
            },
            Observation::Exec(path) | Observation::Open(path, _) | Observation::Map(path) | Observation::Drift(path) => {
                self.table.accept_of(path.bytes())
            }
            Observation::Connect(endpoint) => self.table.accept_of(&endpoint.connect_key()),
            Observation::Bind(endpoint) => self.table.accept_of(&endpoint.bind_key()),
            Observation::Token(token) => self.table.accept_of(&token.key()),
        };
        access::missing(observation.asked(), granted)
    }
}

/// Why rules are no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A rule by itself cannot be compiled.
    #[error("container {container}: {rule}")]
    Rule {
        /// The container.
        container: String,
        /// The rule.
        rule: String,
        /// Why.
        #[source]
        source: portcullis_matcher::CompileError,
    },
    /// A rule cannot be written as a pattern of keys.
    #[error("container {container}: {rule}")]
    Key {
        /// The container.
        container: String,
        /// The rule.
        rule: String,
        /// Why.
        #[source]
        source: PatternError,
    },
    /// A tree that is guarded by default is no pattern.
    #[error("default guard")]
    DefaultGuard(#[source] InvalidValue),
    /// The rules together are too much.
    #[error("container {container}: its rules together{}", heaviest(.wildcards))]
    Together {
        /// The container.
        container: String,
        /// The rules with the most wildcards, the first to look at.
        wildcards: Vec<String>,
        /// What was too much.
        #[source]
        source: portcullis_matcher::CompileError,
    },
}

fn heaviest(rules: &[String]) -> String {
    if rules.is_empty() { String::new() } else { format!(", of which these have the most wildcards: {}", rules.join("; ")) }
}

/// Compiles the rules of a container, within the matcher's default limits.
///
/// # Errors
/// As [`compile_within`].
pub fn compile(rules: &ContainerRules) -> Result<Compiled, CompileError> {
    compile_within(rules, Limits::default())
}

/// Compiles the rules of a container.
///
/// # Errors
/// [`CompileError`] where the table would be larger than the limits; it names the rule, or the rules that are most likely the cause.
pub fn compile_within(rules: &ContainerRules, limits: Limits) -> Result<Compiled, CompileError> {
    let mut builder = Builder::new(|a, b| a | b).limits(limits);
    let named = |rule: String, source| CompileError::Rule { container: rules.name.clone(), rule, source };
    let unwritten = |rule: String, source| CompileError::Key { container: rules.name.clone(), rule, source };
    for rule in Rule::all_of(rules) {
        let paths = |path: &PathPattern, granted| vec![(path.pattern().clone(), granted)];
        let keys = |patterns: Result<Vec<Pattern>, PatternError>, granted| match patterns {
            Ok(patterns) => Ok(patterns.into_iter().map(|pattern| (pattern, granted)).collect()),
            Err(source) => Err(unwritten(rule.to_string(), source)),
        };
        let patterns = match &rule {
            Rule::Exec(exec) => exec_patterns(exec).map_err(|source| unwritten(rule.to_string(), source))?,
            Rule::File(file) => paths(&file.path, file.access.iter().fold(0, |all, used| all | access_bit(*used))),
            Rule::Connect(connect) => keys(network::connect(connect), access::CONNECT)?,
            Rule::Bind(bind) => keys(network::bind(bind), access::BIND)?,
            Rule::Token(token) if !token.is_granted() => Vec::new(),
            Rule::Token(token) => keys(token_patterns(token), access::USE)?,
        };
        for (pattern, granted) in patterns {
            // A rule that lists no access grants nothing; there is no value for it in a table.
            if granted != 0 {
                builder.add(&pattern, granted).map_err(|source| named(rule.to_string(), source))?;
            }
        }
    }
    let guarded = guarded(rules)?;
    for path in &guarded {
        builder.add(path.pattern(), access::GUARDED).map_err(|source| named(format!("guard {path}"), source))?;
    }
    let table = builder.build().map_err(|source| CompileError::Together {
        container: rules.name.clone(),
        wildcards: with_most_wildcards(rules),
        source,
    })?;
    Ok(Compiled { table, guards: !guarded.is_empty() })
}

/// What the rule grants of which patterns. The kernel maps a program to run it, so who may execute may map. Where names are listed, the path
/// alone says only that they are, and the path, NUL and a name says that it is one of them.
fn exec_patterns(rule: &ExecRule) -> Result<Vec<(Pattern, Access)>, PatternError> {
    let path = rule.path.pattern();
    let Some(names) = &rule.called_as else { return Ok(vec![(path.clone(), access::EXEC | access::CALLED | access::MAP)]) };
    let named = names.iter().map(|name| Ok((path.followed_by(&named_key(b"", name))?, access::EXEC)));
    [Ok((path.clone(), access::CALLED | access::MAP))].into_iter().chain(named).collect()
}

fn named_key(path: &[u8], name: &ProgramName) -> Vec<u8> {
    [path, b"\0", name.bytes()].concat()
}

/// The keys that the token stands for.
fn token_patterns(token: &Token) -> Result<Vec<Pattern>, PatternError> {
    let key = token.key();
    if token.is_open() {
        return Ok(vec![Pattern::from_prefix(&key)?]);
    }
    let exact: Vec<_> = key.into_iter().map(ByteClass::single).collect();
    let mut patterns = vec![Pattern::from_classes(exact.clone())?];
    if let Token::UnixConnect(name) | Token::UnixBind(name) = token
        && name.is_chosen()
    {
        // What the kernel chooses is bound to by nothing, and reached by its digits.
        let digit = ByteClass::range(b'0'..=b'9').union(ByteClass::range(b'a'..=b'f'));
        patterns.push(Pattern::from_classes(exact.into_iter().chain([digit; AbstractName::chosen_length()]).collect())?);
    }
    Ok(patterns)
}

/// The trees whose reads are judged in this container.
fn guarded(rules: &ContainerRules) -> Result<BTreeSet<PathPattern>, CompileError> {
    match &rules.guard {
        Some(paths) => Ok(paths.iter().cloned().collect()),
        None => Ok(guard::default_patterns().map_err(CompileError::DefaultGuard)?.into_iter().collect()),
    }
}

fn with_most_wildcards(rules: &ContainerRules) -> Vec<String> {
    let path = |rule: &Rule| match rule {
        Rule::Exec(exec) => exec.path.to_string(),
        Rule::File(file) => file.path.to_string(),
        Rule::Connect(_) | Rule::Bind(_) | Rule::Token(_) => String::new(),
    };
    let mut counted: Vec<_> = Rule::all_of(rules).map(|rule| (path(&rule).matches('*').count(), rule.to_string())).collect();
    counted.retain(|(count, _)| *count > 0);
    counted.sort_by(|a, b| b.cmp(a));
    counted.into_iter().take(3).map(|(_, rule)| rule).collect()
}

#[cfg(test)]
mod tests;
