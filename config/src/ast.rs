//! The tree that the parser makes: plain data, with the place of everything in it.
//!
//! The tree is what the operator wrote, not what it means to a plugin; [`crate::options`] reads a plugin's settings by
//! Logstash's rules. Conditions are the exception: what Logstash makes of them is odd enough that it is settled here,
//! once, so whoever evaluates a [`Condition`] needs to know nothing of precedence or one-element lists.

/// A stretch of the joined source, in bytes: `start` is the first, `end` the one behind the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte behind the last.
    pub end: u32,
}

impl Span {
    /// The stretch from `start` up to `end`.
    pub const fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    /// The stretch from the start of this one to the end of `other`.
    #[must_use]
    pub const fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }
}

/// All files of a pipeline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// The sections in the order of the files; the same kind may come several times.
    pub sections: Vec<Section>,
}

/// `input { … }`, `filter { … }` or `output { … }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Which of the three.
    pub kind: SectionKind,
    /// What stands between the braces.
    pub body: Vec<Statement>,
    /// From the keyword to the closing brace.
    pub span: Span,
}

/// The keyword of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// `input`
    Input,
    /// `filter`
    Filter,
    /// `output`
    Output,
}

/// One step of a section.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// A plugin with its settings.
    Plugin(Plugin),
    /// `if`, `else if`, `else`.
    Branch(Branch),
}

/// `if … { } else if … { } else { }`: the first arm whose condition holds is taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// The `if` and every `else if`; at least one.
    pub arms: Vec<Arm>,
    /// The body of `else`; an empty `else { }` is an empty list.
    pub otherwise: Option<Vec<Statement>>,
    /// From `if` to the last closing brace.
    pub span: Span,
}

/// One condition and what is done when it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// The condition.
    pub condition: Condition,
    /// What stands between the braces.
    pub body: Vec<Statement>,
    /// From the condition to the closing brace.
    pub span: Span,
}

/// `name { setting => value … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin {
    /// The name as written; a name in quotes keeps them, for Logstash finds no plugin under it.
    pub name: String,
    /// Where the name stands.
    pub name_span: Span,
    /// The settings as written: a name may come several times.
    pub settings: Vec<Setting>,
    /// From the name to the closing brace.
    pub span: Span,
}

/// `name => value`
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The name without quotes.
    pub name: String,
    /// Where the name stands.
    pub name_span: Span,
    /// The value.
    pub value: Value,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// What it is.
    pub kind: ValueKind,
    /// Where it stands, with its quotes or brackets.
    pub span: Span,
}

impl Value {
    /// Where a part of a text stands, given by its bytes; the whole value's place when the text is not written as it reads (as with `${NAME}`).
    pub fn place_of(&self, part: std::ops::Range<usize>) -> Span {
        let (ValueKind::String(text) | ValueKind::Bareword(text)) = &self.kind else { return self.span };
        let quotes = ((self.span.end - self.span.start) as usize).saturating_sub(text.len());
        if !matches!(quotes, 0 | 2) || part.end > text.len() {
            return self.span;
        }
        let at = |byte: usize| self.span.start + (quotes / 2 + byte) as u32;
        Span::new(at(part.start), at(part.end))
    }
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueKind {
    /// A word without quotes, of two or more letters, digits and `_`. It means the same as a string.
    Bareword(String),
    /// The text between quotes.
    String(String),
    /// A number.
    Number(Number),
    /// `[a, b]`
    Array(Vec<Value>),
    /// `{ a => b c => d }`, in the order of the file.
    Hash(Vec<(Value, Value)>),
    /// A codec with its settings.
    Plugin(Box<Plugin>),
}

/// A number and how it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// What it is worth.
    pub value: NumberValue,
    /// How it was written: `010`, `1.50`.
    pub text: String,
}

/// What a number is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NumberValue {
    /// Without a dot; a leading 0 makes it octal, as in Ruby.
    Integer(i64),
    /// With a dot.
    Float(f64),
}

/// A condition, with its precedence settled as Logstash does it.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// `a or b`
    Or(Box<Condition>, Box<Condition>),
    /// `a and b`
    And(Box<Condition>, Box<Condition>),
    /// `a xor b`
    Xor(Box<Condition>, Box<Condition>),
    /// `a nand b`
    Nand(Box<Condition>, Box<Condition>),
    /// `!a`
    Not(Box<Condition>),
    /// `a == b` and its like; each side is a field, a string or a number.
    Compare(Rvalue, CompareOp, Rvalue),
    /// `a =~ b`, or `a !~ b` when the second part is true. The pattern is an [`Rvalue::Regex`] or an [`Rvalue::String`],
    /// which is a pattern too.
    Match(Rvalue, bool, Rvalue),
    /// `a in b`, or `a not in b` when the second part is true.
    In(Rvalue, bool, Rvalue),
    /// A field that is there and not false; a constant is legal where it stands alone.
    Truthy(Rvalue),
}

impl Condition {
    /// From the first operand to the last.
    pub fn span(&self) -> Span {
        match self {
            Self::Or(left, right) | Self::And(left, right) | Self::Xor(left, right) | Self::Nand(left, right) => {
                left.span().to(right.span())
            }
            Self::Not(inner) => inner.span(),
            Self::Compare(left, _, right) | Self::Match(left, _, right) | Self::In(left, _, right) => {
                left.span().to(right.span())
            }
            Self::Truthy(value) => value.span(),
        }
    }
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `>`
    Gt,
    /// `<=`
    Le,
    /// `>=`
    Ge,
}

/// One side of a comparison.
///
/// Logstash's grammar knows method calls too; it evaluates none, and takes the one field in the brackets instead. So
/// does the parser, and a call never gets here.
#[derive(Clone, Debug, PartialEq)]
pub enum Rvalue {
    /// A field reference, with its brackets: `[a][b]`. A one-element list is one as well: `["a"]`.
    Field(String, Span),
    /// The text between quotes.
    String(String, Span),
    /// A number.
    Number(Number, Span),
    /// A list of none, two or more values.
    Array(Vec<Value>, Span),
    /// What stands between the slashes, `\/` as written.
    Regex(String, Span),
}

impl Rvalue {
    /// Where it stands.
    pub fn span(&self) -> Span {
        match self {
            Self::Field(_, span)
            | Self::String(_, span)
            | Self::Number(_, span)
            | Self::Array(_, span)
            | Self::Regex(_, span) => *span,
        }
    }
}
