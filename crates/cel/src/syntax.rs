//! Source text → tokens → tree.
//!
//! Nothing is known here of names, types and macros: `has(a.b)` and `list.all(x, …)` are calls like any other. What bounds the rest is bounded
//! here: the size of the source, and how deep the tree is, so that whoever walks it by recursion does not run out of stack.

mod lexer;
mod literal;
mod parser;

pub(crate) use parser::parse;

/// Bytes of source: the API server's own limit is in the same range.
pub(crate) const SOURCE_BYTES: usize = 100_000;

/// Levels of the tree. `a + b + c` has two, `a && b && c` has one.
pub(crate) const LEVELS: usize = 200;

/// Levels that are written as nesting: brackets, arguments, branches. Fewer, as parsing one takes more stack than walking one.
pub(crate) const NESTING: usize = 100;

/// A literal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
}

/// An expression, and where it is.
#[derive(Debug)]
pub(crate) struct Expr {
    /// Byte of the source that a message about it points to.
    pub(crate) at: usize,
    /// Levels below and including this.
    pub(crate) levels: usize,
    pub(crate) node: Node,
}

#[derive(Debug)]
pub(crate) enum Node {
    Literal(Literal),
    /// `name`, or `.name`, which no macro's variable hides.
    Name {
        name: String,
        absolute: bool,
    },
    /// `operand.field`, `operand.?field`.
    Select {
        operand: Box<Expr>,
        field: String,
        optional: bool,
    },
    /// `operand[index]`, `operand[?index]`.
    Index {
        operand: Box<Expr>,
        index: Box<Expr>,
        optional: bool,
    },
    /// `function(…)`, `target.function(…)`.
    Call {
        function: String,
        target: Option<Box<Expr>>,
        arguments: Vec<Expr>,
    },
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Binary {
        operator: Operator,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// All operands of a chain of `&&`.
    And(Vec<Expr>),
    /// All operands of a chain of `||`.
    Or(Vec<Expr>),
    /// Condition, then, else.
    Conditional(Box<[Expr; 3]>),
    List(Vec<Element>),
    Map(Vec<Entry>),
}

/// `value` or `?value` of a list.
#[derive(Debug)]
pub(crate) struct Element {
    pub(crate) optional: bool,
    pub(crate) value: Expr,
}

/// `key: value` or `?key: value` of a map.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) optional: bool,
    pub(crate) key: Expr,
    pub(crate) value: Expr,
}

/// Operators of two operands that evaluate both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

impl Expr {
    /// `a.b.c`, where the expression spells a name; not where one of the selections is optional.
    pub(crate) fn qualified_name(&self) -> Option<String> {
        match &self.node {
            Node::Name { name, .. } => Some(name.clone()),
            Node::Select { operand, field, optional: false } => Some(format!("{}.{field}", operand.qualified_name()?)),
            _ => None,
        }
    }

    /// `a` of `a.b.c`.
    pub(crate) fn first_name(&self) -> Option<(&str, bool)> {
        match &self.node {
            Node::Name { name, absolute } => Some((name, *absolute)),
            Node::Select { operand, .. } => operand.first_name(),
            _ => None,
        }
    }
}
