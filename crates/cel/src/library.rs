//! The functions that expressions may call.
//!
//! One table, [`OVERLOADS`], for the checker, for the evaluator and for the documentation: what a function takes, what it gives, since which
//! version of Kubernetes, and what it does. An overload is chosen by the types of the arguments as far as they are known when the expression is
//! compiled, and by their values among those that are left.

mod cidr;
mod conversions;
pub(crate) mod formats;
mod go_url;
mod ip;
mod lists;
mod more_lists;
mod optionals;
mod quantities;
pub(crate) mod quantity;
pub(crate) mod regex;
mod semvers;
mod sets;
mod standard;
mod strings;
mod strings_format;
mod times;
pub(crate) mod url;

pub(crate) use self::{more_lists::sorted, regex::Regexes, strings_format::check as check_format};
use crate::{Budget, EvaluationError, Opaque, Type, Value};

/// A value, or why there is none.
pub(crate) type Evaluated<'a> = Result<Value<'a>, EvaluationError>;

/// What a call works with.
pub(crate) struct Call<'c, 'a> {
    /// The target of a member function is the first.
    pub(crate) arguments: &'c [Value<'a>],
    pub(crate) budget: &'c mut Budget,
    pub(crate) regexes: &'c Regexes,
}

/// What an overload does.
pub(crate) type Run = for<'c, 'a> fn(&mut Call<'c, 'a>) -> Evaluated<'a>;

/// A function for arguments of certain types.
pub(crate) struct Overload {
    pub(crate) name: &'static str,
    pub(crate) style: Style,
    pub(crate) parameters: &'static [Ty],
    pub(crate) result: Ty,
    /// The minor version of Kubernetes that brought it.
    pub(crate) since: u8,
    pub(crate) run: Run,
}

/// How a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// `function(a, b)`.
    Global,
    /// `a.function(b)`.
    Member,
}

/// A type in the signature of an overload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ty {
    /// Any type, the same wherever it stands in one signature.
    A,
    /// Another.
    B,
    Dyn,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    Type,
    List(&'static Ty),
    Map(&'static Ty, &'static Ty),
    Optional(&'static Ty),
    Opaque(Opaque),
}

/// Every function, by library.
pub(crate) const OVERLOADS: [(&str, &[Overload]); 16] = [
    ("standard", standard::OVERLOADS),
    ("conversions", conversions::OVERLOADS),
    ("timestamps and durations", times::OVERLOADS),
    ("strings", strings::OVERLOADS),
    ("regular expressions", regex::OVERLOADS),
    ("optionals", optionals::OVERLOADS),
    ("lists of Kubernetes", lists::OVERLOADS),
    ("lists of CEL", more_lists::OVERLOADS),
    ("sets", sets::OVERLOADS),
    ("URLs", url::OVERLOADS),
    ("IP addresses", ip::OVERLOADS),
    ("CIDRs", cidr::OVERLOADS),
    ("quantities", quantities::OVERLOADS),
    ("semantic versions", semvers::OVERLOADS),
    ("formats", formats::OVERLOADS),
    ("text from formats", strings_format::OVERLOADS),
];

/// The overloads of a name in a style.
pub(crate) fn overloads(name: &str, style: Style) -> impl Iterator<Item = &'static Overload> {
    OVERLOADS.iter().flat_map(|(_, overloads)| overloads.iter()).filter(move |overload| overload.name == name && overload.style == style)
}

pub(crate) const fn global(since: u8, name: &'static str, parameters: &'static [Ty], result: Ty, run: Run) -> Overload {
    Overload { name, style: Style::Global, parameters, result, since, run }
}

pub(crate) const fn member(since: u8, name: &'static str, parameters: &'static [Ty], result: Ty, run: Run) -> Overload {
    Overload { name, style: Style::Member, parameters, result, since, run }
}

impl<'a> Call<'_, 'a> {
    pub(crate) fn argument(&self, index: usize) -> Value<'a> {
        self.arguments.get(index).cloned().unwrap_or(Value::Null)
    }

    /// The text of an argument, which the overload takes as a string.
    pub(crate) fn text(&self, index: usize) -> crate::Text<'a> {
        match self.argument(index) {
            Value::String(text) => text,
            _ => crate::Text::Borrowed(""),
        }
    }

    pub(crate) fn int(&self, index: usize) -> i64 {
        match self.argument(index) {
            Value::Int(value) => value,
            _ => 0,
        }
    }

    pub(crate) fn list(&self, index: usize) -> crate::List<'a> {
        match self.argument(index) {
            Value::List(list) => list,
            _ => crate::List::Json(&[]),
        }
    }
}

/// Characters of a text of the request that an error repeats.
const SHOWN: usize = 100;

/// The beginning of a text, for an error: the whole of it may be a mebibyte.
pub(crate) fn shortened(text: &str) -> &str {
    text.char_indices().nth(SHOWN).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

pub(crate) fn fault<'a>(message: impl Into<Box<str>>) -> Evaluated<'a> {
    Err(EvaluationError::fault(message))
}

impl Overload {
    /// Whether the values can be its arguments.
    pub(crate) fn takes(&self, arguments: &[Value<'_>]) -> bool {
        self.parameters.len() == arguments.len() && self.parameters.iter().zip(arguments).all(|(ty, value)| value.is(&ty.erased()))
    }
}

impl Ty {
    /// The type, with parameters unknown.
    pub(crate) fn erased(self) -> Type {
        self.with(&[Type::Dyn, Type::Dyn])
    }

    /// The type, with what its parameters stand for.
    pub(crate) fn with(self, bound: &[Type; 2]) -> Type {
        let [a, b] = bound;
        match self {
            Self::A => a.clone(),
            Self::B => b.clone(),
            Self::Dyn => Type::Dyn,
            Self::Bool => Type::Bool,
            Self::Int => Type::Int,
            Self::Uint => Type::Uint,
            Self::Double => Type::Double,
            Self::String => Type::String,
            Self::Bytes => Type::Bytes,
            Self::Timestamp => Type::Timestamp,
            Self::Duration => Type::Duration,
            Self::Type => Type::Type,
            Self::List(element) => Type::list(element.with(bound)),
            Self::Map(key, value) => Type::map(key.with(bound), value.with(bound)),
            Self::Optional(value) => Type::optional(value.with(bound)),
            Self::Opaque(opaque) => Type::Opaque(opaque),
        }
    }

    /// Whether an argument of this type fits, and what it says of the parameters.
    pub(crate) fn accepts(self, argument: &Type, bound: &mut [Option<Type>; 2]) -> bool {
        let [a, b] = bound;
        match (self, argument) {
            (Self::A, _) => bind(a, argument),
            (Self::B, _) => bind(b, argument),
            (_, Type::Dyn | Type::Free) | (Self::Dyn, _) => true,
            (Self::List(element), Type::List(of)) => element.accepts(of, bound),
            (Self::Optional(value), Type::Optional(of)) => value.accepts(of, bound),
            (Self::Map(key, value), Type::Map(of_key, of)) => key.accepts(of_key, bound) && value.accepts(of, bound),
            (Self::List(_) | Self::Map(..) | Self::Optional(_), _) => false,
            _ => self.erased().agrees(argument),
        }
    }
}

fn bind(parameter: &mut Option<Type>, argument: &Type) -> bool {
    let Some(known) = parameter else {
        *parameter = Some(argument.clone());
        return true;
    };
    let agrees = known.agrees(argument);
    *known = known.clone().join(argument.clone());
    agrees
}
