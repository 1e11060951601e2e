//! A compiled expression: names resolved, macros recognised, overloads narrowed.

use crate::{
    TypeName,
    library::Overload,
    syntax::{Literal, Operator},
};

/// One operation over others.
#[derive(Debug)]
pub(crate) enum Code {
    Literal(Literal),
    /// A list or map of literals, which is borrowed like one of the request.
    Constant(serde_json::Value),
    /// `int`, `net.IP`.
    Type(TypeName),
    /// A name of the environment.
    Root(Box<str>),
    /// `variables.NAME`.
    Variable(Box<str>),
    /// What a macro binds, by its place.
    Local(usize),
    Select {
        operand: Box<Code>,
        field: Box<str>,
        optional: bool,
    },
    /// `has(operand.field)`.
    Has {
        operand: Box<Code>,
        field: Box<str>,
    },
    Index {
        operand: Box<Code>,
        index: Box<Code>,
        optional: bool,
    },
    Not(Box<Code>),
    Negate(Box<Code>),
    And(Box<[Code]>),
    Or(Box<[Code]>),
    Conditional(Box<[Code; 3]>),
    Binary {
        operator: Operator,
        left: Box<Code>,
        right: Box<Code>,
    },
    Call {
        name: &'static str,
        overloads: Box<[&'static Overload]>,
        arguments: Box<[Code]>,
    },
    /// Each with whether it is there only if its value is.
    List(Box<[(Code, bool)]>),
    Map(Box<[(Code, Code, bool)]>),
    Iterate(Box<Iteration>),
    /// `or`, and `orValue`, which takes the value out of the optional. The alternative is evaluated only where it is needed.
    Otherwise {
        operand: Box<Code>,
        alternative: Box<Code>,
        takes_out: bool,
    },
    /// `optMap`, and `optFlatMap` where the body gives an optional itself.
    WithValue {
        operand: Box<Code>,
        body: Box<Code>,
        flat: bool,
    },
}

/// A macro that iterates. Its variables are the next locals: one, or an index or key and then the value.
#[derive(Debug)]
pub(crate) struct Iteration {
    pub(crate) kind: Kind,
    pub(crate) range: Code,
    pub(crate) two_variables: bool,
    pub(crate) filter: Option<Code>,
    pub(crate) body: Code,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    All,
    Exists,
    ExistsOne,
    /// `map`, `transformList`.
    List,
    /// `filter`.
    Filter,
    /// `transformMap`: the keys of the range, new values.
    Map,
    /// `transformMapEntry`: the entries of the maps that the body gives.
    Entries,
    /// `sortBy`.
    Sort,
}

impl Code {
    /// The JSON that a constant is; none where it is none, or JSON has no such value.
    pub(crate) fn as_json(&self) -> Option<serde_json::Value> {
        use serde_json::{Number, Value};
        match self {
            Self::Constant(json) => Some(json.clone()),
            Self::Literal(Literal::Null) => Some(Value::Null),
            Self::Literal(Literal::Bool(value)) => Some(Value::Bool(*value)),
            Self::Literal(Literal::Int(value)) => Some(Value::Number((*value).into())),
            Self::Literal(Literal::Double(value)) => Number::from_f64(*value).map(Value::Number),
            Self::Literal(Literal::String(text)) => Some(Value::String(text.clone())),
            _ => None,
        }
    }
}

impl std::fmt::Debug for Overload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?}", self.name, self.parameters)
    }
}
