//! Tokens → tree, by precedence climbing.

use super::{
    Element, Entry, Expr, LEVELS, Literal, NESTING, Node, Operator, SOURCE_BYTES,
    lexer::{Kind, Mistake, Token, tokens},
};
use crate::Problem;

/// Words that are no names, kept for later versions of the language.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// The tree of an expression.
pub(crate) fn parse(source: &str) -> Result<Expr, Problem> {
    if source.len() > SOURCE_BYTES {
        return Err(Problem::at(source, 0, format!("the expression has more than {SOURCE_BYTES} bytes; split it into variables")));
    }
    let parsed = tokens(source).and_then(|tokens| {
        let mut parser = Parser { tokens, next: 0, nesting: 0 };
        let expr = parser.expression()?;
        match parser.peek() {
            Kind::End => Ok(expr),
            found => Err((parser.at(), format!("{} does not belong here; an operator may be missing before it", named(found)))),
        }
    });
    parsed.map_err(|(at, message)| Problem::at(source, at, message))
}

type Parsed = Result<Expr, Mistake>;

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    nesting: usize,
}

/// A token in a message.
fn named(kind: &Kind) -> String {
    match kind {
        Kind::Word(word) => format!("{word:?}"),
        Kind::Quoted(name) => format!("`{name}`"),
        Kind::Int(digits) => format!("\"{digits}\""),
        Kind::Literal(_) => "this literal".to_owned(),
        Kind::Symbol(symbol) => format!("{symbol:?}"),
        Kind::End => "the end of the expression".to_owned(),
    }
}

impl Parser {
    fn peek(&self) -> &Kind {
        self.tokens.get(self.next).map_or(&Kind::End, |token| &token.kind)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(0, |token| token.at)
    }

    fn take(&mut self, symbol: &'static str) -> bool {
        let found = matches!(self.peek(), Kind::Symbol(found) if *found == symbol);
        self.next += usize::from(found);
        found
    }

    fn demand(&mut self, symbol: &'static str, for_what: &str) -> Result<(), Mistake> {
        if self.take(symbol) {
            return Ok(());
        }
        Err((self.at(), format!("{symbol:?} is missing {for_what}; here is {}", named(self.peek()))))
    }

    /// A node above `levels` others.
    fn node(at: usize, levels: usize, node: Node) -> Parsed {
        if levels >= LEVELS {
            return Err((at, format!("the expression nests more than {LEVELS} levels deep; split it into variables")));
        }
        Ok(Expr { at, levels: levels + 1, node })
    }

    fn expression(&mut self) -> Parsed {
        if self.nesting >= NESTING {
            return Err((self.at(), format!("the expression nests more than {NESTING} brackets deep; split it into variables")));
        }
        self.nesting += 1;
        let expr = self.conditional();
        self.nesting -= 1;
        expr
    }

    fn conditional(&mut self) -> Parsed {
        let condition = self.chain("||")?;
        let at = self.at();
        if !self.take("?") {
            return Ok(condition);
        }
        let then = self.chain("||")?;
        self.demand(":", "between the two branches of ?")?;
        let otherwise = self.expression()?;
        let levels = condition.levels.max(then.levels).max(otherwise.levels);
        Self::node(at, levels, Node::Conditional(Box::new([condition, then, otherwise])))
    }

    /// Operands joined by `||`, or by `&&`.
    fn chain(&mut self, operator: &'static str) -> Parsed {
        let operand = |parser: &mut Self| if operator == "||" { parser.chain("&&") } else { parser.binary(0) };
        let first = operand(self)?;
        let at = self.at();
        if !matches!(self.peek(), Kind::Symbol(found) if *found == operator) {
            return Ok(first);
        }
        let mut operands = vec![first];
        while self.take(operator) {
            operands.push(operand(self)?);
        }
        let levels = operands.iter().map(|operand| operand.levels).max().unwrap_or_default();
        Self::node(at, levels, if operator == "||" { Node::Or(operands) } else { Node::And(operands) })
    }

    /// The operator that comes next, and how strongly it binds.
    fn operator(&self) -> Option<(Operator, u8)> {
        let symbol = match self.peek() {
            Kind::Symbol(symbol) => symbol,
            Kind::Word(word) if word == "in" => return Some((Operator::In, 1)),
            _ => return None,
        };
        Some(match *symbol {
            "==" => (Operator::Equal, 1),
            "!=" => (Operator::NotEqual, 1),
            "<" => (Operator::Less, 1),
            "<=" => (Operator::LessOrEqual, 1),
            ">" => (Operator::Greater, 1),
            ">=" => (Operator::GreaterOrEqual, 1),
            "+" => (Operator::Add, 2),
            "-" => (Operator::Subtract, 2),
            "*" => (Operator::Multiply, 3),
            "/" => (Operator::Divide, 3),
            "%" => (Operator::Remainder, 3),
            _ => return None,
        })
    }

    fn binary(&mut self, weakest: u8) -> Parsed {
        let mut left = self.unary()?;
        while let Some((operator, strength)) = self.operator().filter(|(_, strength)| *strength > weakest) {
            let at = self.at();
            self.next += 1;
            let right = self.binary(strength)?;
            let levels = left.levels.max(right.levels);
            left = Self::node(at, levels, Node::Binary { operator, left: Box::new(left), right: Box::new(right) })?;
        }
        Ok(left)
    }

    /// Pairs of `!` and of `-` take each other away.
    fn unary(&mut self) -> Parsed {
        let at = self.at();
        let count = |parser: &mut Self, symbol| std::iter::repeat_with(|| parser.take(symbol)).take_while(|taken| *taken).count();
        let nots = count(self, "!");
        if nots > 0 {
            let operand = self.member()?;
            return if nots % 2 == 0 { Ok(operand) } else { Self::node(at, operand.levels, Node::Not(Box::new(operand))) };
        }
        let minuses = count(self, "-");
        let is_number = matches!(self.peek(), Kind::Int(_) | Kind::Literal(Literal::Double(_)));
        if minuses > 0 && is_number {
            // The last minus is the number's own: the smallest int has no positive.
            self.next -= 1;
        }
        let operand = self.member()?;
        let rest = if is_number { minuses.saturating_sub(1) } else { minuses };
        if rest % 2 == 0 { Ok(operand) } else { Self::node(at, operand.levels, Node::Negate(Box::new(operand))) }
    }

    /// `primary.field`, `primary[index]`, `primary.call(…)`.
    fn member(&mut self) -> Parsed {
        let mut expr = self.primary()?;
        loop {
            let at = self.at();
            if self.take(".") {
                let optional = self.take("?");
                let is_quoted = matches!(self.peek(), Kind::Quoted(_));
                let field = self.field()?;
                expr = if !optional && !is_quoted && self.take("(") {
                    let arguments = self.arguments()?;
                    let levels = arguments.iter().map(|argument| argument.levels).fold(expr.levels, usize::max);
                    Self::node(at, levels, Node::Call { function: field, target: Some(Box::new(expr)), arguments })?
                } else {
                    Self::node(at, expr.levels, Node::Select { operand: Box::new(expr), field, optional })?
                };
            } else if self.take("[") {
                let optional = self.take("?");
                let index = self.expression()?;
                self.demand("]", "after the index")?;
                let levels = expr.levels.max(index.levels);
                expr = Self::node(at, levels, Node::Index { operand: Box::new(expr), index: Box::new(index), optional })?;
            } else if matches!(self.peek(), Kind::Symbol("{")) && expr.qualified_name().is_some() {
                return Err((at, "messages cannot be made in Kubernetes' CEL; make a map: {'field': value}".to_owned()));
            } else {
                return Ok(expr);
            }
        }
    }

    fn field(&mut self) -> Result<String, Mistake> {
        let at = self.at();
        match self.peek().clone() {
            Kind::Word(word) if !matches!(word.as_str(), "in" | "true" | "false" | "null") => {
                self.next += 1;
                Ok(word)
            }
            Kind::Quoted(name) => {
                self.next += 1;
                Ok(name)
            }
            found => Err((at, format!("a field's name is missing after \".\"; here is {}", named(&found)))),
        }
    }

    /// Up to the closing bracket.
    fn arguments(&mut self) -> Result<Vec<Expr>, Mistake> {
        let mut arguments = Vec::new();
        if self.take(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression()?);
            if !self.take(",") {
                break;
            }
        }
        self.demand(")", "after the arguments")?;
        Ok(arguments)
    }

    fn primary(&mut self) -> Parsed {
        let at = self.at();
        let found = self.peek().clone();
        self.next += 1;
        match found {
            Kind::Symbol("-") => self.negative(at),
            Kind::Int(digits) => int(at, &digits, false),
            Kind::Literal(literal) => Self::node(at, 0, Node::Literal(literal)),
            Kind::Symbol("(") => {
                let inner = self.expression()?;
                self.demand(")", "after the expression in brackets")?;
                Ok(inner)
            }
            Kind::Symbol("[") => self.list(at),
            Kind::Symbol("{") => self.map(at),
            Kind::Symbol(".") => match self.peek().clone() {
                Kind::Word(word) => {
                    self.next += 1;
                    self.name(at, word, true)
                }
                found => Err((self.at(), format!("a name is missing after \".\"; here is {}", named(&found)))),
            },
            Kind::Word(word) => self.name(at, word, false),
            found => Err((at, format!("a value is missing; here is {}", named(&found)))),
        }
    }

    /// The number after a minus.
    fn negative(&mut self, at: usize) -> Parsed {
        let found = self.peek().clone();
        self.next += 1;
        match found {
            Kind::Int(digits) => int(at, &digits, true),
            Kind::Literal(Literal::Double(value)) => Self::node(at, 0, Node::Literal(Literal::Double(-value))),
            found => Err((at, format!("a number is missing after \"-\"; here is {}", named(&found)))),
        }
    }

    fn name(&mut self, at: usize, word: String, absolute: bool) -> Parsed {
        let literal = match word.as_str() {
            "true" => Some(Literal::Bool(true)),
            "false" => Some(Literal::Bool(false)),
            "null" => Some(Literal::Null),
            "in" => return Err((at, "a value is missing before \"in\"".to_owned())),
            word if RESERVED.contains(&word) => {
                return Err((at, format!("{word:?} is a word of the language and cannot be a name; choose another")));
            }
            _ => None,
        };
        if let Some(literal) = literal {
            return Self::node(at, 0, Node::Literal(literal));
        }
        if self.take("(") {
            let arguments = self.arguments()?;
            let levels = arguments.iter().map(|argument| argument.levels).max().unwrap_or_default();
            return Self::node(at, levels, Node::Call { function: word, target: None, arguments });
        }
        Self::node(at, 0, Node::Name { name: word, absolute })
    }

    fn list(&mut self, at: usize) -> Parsed {
        let mut elements = Vec::new();
        while !self.take("]") {
            let optional = self.take("?");
            elements.push(Element { optional, value: self.expression()? });
            if !self.take(",") {
                self.demand("]", "after the elements of the list")?;
                break;
            }
        }
        let levels = elements.iter().map(|element| element.value.levels).max().unwrap_or_default();
        Self::node(at, levels, Node::List(elements))
    }

    fn map(&mut self, at: usize) -> Parsed {
        let mut entries = Vec::new();
        while !self.take("}") {
            let optional = self.take("?");
            let key = self.expression()?;
            self.demand(":", "between key and value of the map")?;
            entries.push(Entry { optional, key, value: self.expression()? });
            if !self.take(",") {
                self.demand("}", "after the entries of the map")?;
                break;
            }
        }
        let levels = entries.iter().map(|entry| entry.key.levels.max(entry.value.levels)).max().unwrap_or_default();
        Self::node(at, levels, Node::Map(entries))
    }
}

fn int(at: usize, digits: &str, negative: bool) -> Parsed {
    let sign = if negative { "-" } else { "" };
    let value = match digits.strip_prefix("0x") {
        Some(hexadecimal) => i64::from_str_radix(&format!("{sign}{hexadecimal}"), 16),
        None => format!("{sign}{digits}").parse(),
    };
    let value = value.map_err(|_| (at, format!("{sign}{digits} is not of the range of int; write {digits}u for a uint")))?;
    Parser::node(at, 0, Node::Literal(Literal::Int(value)))
}
