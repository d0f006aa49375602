//! Types and costs of expressions. Macros (`exists`, `all`, …) come expanded from the parser, as loops over a list.

use super::{About, Sizes};
use cel::Program;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, SelectExpr};

/// What is wrong, and at which node.
pub(super) struct Wrong {
    pub node: u64,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Bool,
    Int,
    Text,
    Order,
    Activity,
    Line,
    Lines,
    Texts,
    Ints,
}

type Checked = Result<Type, Wrong>;

const CALENDAR: [(&str, Type); 5] =
    [("year", Type::Int), ("month", Type::Int), ("day", Type::Int), ("weekday", Type::Int), ("hour", Type::Int)];
const ORDER: [(&str, Type); 13] = [
    ("id", Type::Text),
    ("version", Type::Int),
    ("channel", Type::Text),
    ("currency", Type::Text),
    ("first", Type::Bool),
    ("total", Type::Int),
    ("discount", Type::Int),
    ("shipping", Type::Int),
    ("tax", Type::Int),
    ("paid_with_gift_card", Type::Int),
    ("paid_with_points", Type::Int),
    ("coupons", Type::Texts),
    ("lines", Type::Lines),
];
const LINE: [(&str, Type); 8] = [
    ("id", Type::Text),
    ("sku", Type::Text),
    ("quantity", Type::Int),
    ("unit_price", Type::Int),
    ("discount", Type::Int),
    ("value", Type::Int),
    ("collections", Type::Texts),
    ("tags", Type::Texts),
];
const ACTIVITY: [(&str, Type); 2] = [("id", Type::Text), ("name", Type::Text)];

impl Type {
    fn name(self) -> &'static str {
        match self {
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Text => "string",
            Type::Order => "an order",
            Type::Activity => "an activity",
            Type::Line => "a line",
            Type::Lines => "a list of lines",
            Type::Texts => "a list of strings",
            Type::Ints => "a list of ints",
        }
    }

    fn element(self) -> Option<Type> {
        match self {
            Type::Lines => Some(Type::Line),
            Type::Texts => Some(Type::Text),
            Type::Ints => Some(Type::Int),
            _ => None,
        }
    }

    fn is_scalar(self) -> bool {
        matches!(self, Type::Bool | Type::Int | Type::Text)
    }

    fn fields(self) -> Vec<(&'static str, Type)> {
        match self {
            Type::Order => ORDER.into_iter().chain(CALENDAR).collect(),
            Type::Activity => ACTIVITY.into_iter().chain(CALENDAR).collect(),
            Type::Line => LINE.to_vec(),
            _ => Vec::new(),
        }
    }
}

fn wrong<T>(node: &IdedExpr, message: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { node: node.id, message: message.into() })
}

/// Names in sight, the innermost last.
struct Scope {
    names: Vec<(String, Type)>,
}

/// An expression must be of type bool, and know every name in it.
pub(super) fn check(program: &Program, about: About) -> Result<(), Wrong> {
    let all = match about {
        About::Order => ("order".to_string(), Type::Order),
        About::Activity => ("activity".to_string(), Type::Activity),
    };
    let root = program.expression();
    match (Scope { names: vec![all] }).of(root)? {
        Type::Bool => Ok(()),
        other => wrong(root, format!("the expression is {}, it has to be bool", other.name())),
    }
}

impl Scope {
    fn of(&mut self, node: &IdedExpr) -> Checked {
        match &node.expr {
            Expr::Literal(LiteralValue::Boolean(_)) => Ok(Type::Bool),
            Expr::Literal(LiteralValue::Int(_)) => Ok(Type::Int),
            Expr::Literal(LiteralValue::String(_)) => Ok(Type::Text),
            Expr::Literal(_) => {
                wrong(node, "whole numbers only, strings, true and false: money is in minor units, 12.50 is 1250")
            }
            Expr::Ident(name) => match self.names.iter().rev().find(|(known, _)| known == name) {
                Some((_, known)) => Ok(*known),
                None => {
                    let known: Vec<&str> = self.names.iter().map(|(name, _)| name.as_str()).collect();
                    wrong(node, format!("there is no \"{name}\"; known are {}", known.join(", ")))
                }
            },
            Expr::Select(select) => self.field(node, select),
            Expr::List(list) => {
                let mut of = None;
                for element in &list.elements {
                    let found = self.of(element)?;
                    if of.is_some_and(|of| of != found) || !matches!(found, Type::Int | Type::Text) {
                        return wrong(element, "a list is of ints or of strings");
                    }
                    of = Some(found);
                }
                Ok(if of == Some(Type::Int) { Type::Ints } else { Type::Texts })
            }
            Expr::Call(call) => self.call(node, call),
            Expr::Comprehension(walk) => self.walk(node, walk),
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                wrong(node, "only values, fields, operators and lists are known")
            }
        }
    }

    fn field(&mut self, node: &IdedExpr, select: &SelectExpr) -> Checked {
        let of = self.of(&select.operand)?;
        let fields = of.fields();
        let Some((_, found)) = fields.iter().find(|(name, _)| *name == select.field) else {
            let near = fields.iter().find(|(name, _)| name.chars().next() == select.field.chars().next());
            let hint = near.map_or_else(String::new, |(name, _)| format!("; did you mean \"{name}\"?"));
            return wrong(node, format!("{} has no field \"{}\"{hint}", of.name(), select.field));
        };
        if select.test {
            return wrong(node, format!("\"{}\" is always there: has() is not needed", select.field));
        }
        Ok(*found)
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr) -> Checked {
        let mut types = Vec::with_capacity(3);
        for argument in call.target.as_deref().into_iter().chain(&call.args) {
            types.push(self.of(argument)?);
        }
        let name = call.func_name.as_str();
        let found = match (name, types.as_slice()) {
            ("_&&_" | "_||_", [Type::Bool, Type::Bool]) | ("!_" | "@not_strictly_false", [Type::Bool]) => Type::Bool,
            ("_?_:_", [Type::Bool, a, b]) if a == b => *a,
            ("_==_" | "_!=_", [a, b]) if a == b && a.is_scalar() => Type::Bool,
            ("_<_" | "_<=_" | "_>_" | "_>=_", [a, b]) if a == b && matches!(a, Type::Int | Type::Text) => Type::Bool,
            ("_+_" | "_-_" | "_*_" | "_/_" | "_%_", [Type::Int, Type::Int]) | ("-_", [Type::Int]) => Type::Int,
            ("@in", [a, list]) if list.element() == Some(*a) && a.is_scalar() => Type::Bool,
            ("_[_]", [list, Type::Int]) if list.element().is_some() => list.element().unwrap_or(Type::Int),
            ("size", [of]) if *of == Type::Text || of.element().is_some() => Type::Int,
            ("contains" | "startsWith" | "endsWith", [Type::Text, Type::Text]) if call.target.is_some() => Type::Bool,
            _ => {
                let types: Vec<&str> = types.iter().map(|of| of.name()).collect();
                let known = "known are && || ! ?: == != < <= > >= + - * / % in [], size, contains, startsWith, endsWith, exists, all, exists_one, filter";
                let name = name.trim_matches('_').trim_start_matches('@');
                return wrong(node, format!("there is no \"{name}\" for {}; {known}", types.join(" with ")));
            }
        };
        Ok(found)
    }

    /// A macro: true or false of all elements, a count of them, or those that something holds of.
    fn walk(&mut self, node: &IdedExpr, walk: &ComprehensionExpr) -> Checked {
        let range = self.of(&walk.iter_range)?;
        let Some(element) = range.element() else {
            return wrong(&walk.iter_range, format!("{} is no list to go through", range.name()));
        };
        let kept = self.names.len();
        self.names.push((walk.iter_var.clone(), element));
        let found = match &walk.accu_init.expr {
            Expr::List(_) => match kept_if(walk) {
                Some(condition) if self.of(condition)? == Type::Bool => Ok(range),
                Some(condition) => wrong(condition, "filter asks something that is true or false"),
                None => wrong(node, "map is not known: ask with exists, all, exists_one or filter"),
            },
            _ => {
                let counts = self.of(&walk.accu_init)?;
                self.names.push((walk.accu_var.clone(), counts));
                self.of(&walk.loop_cond)?;
                if self.of(&walk.loop_step)? == counts {
                    self.of(&walk.result)
                } else {
                    wrong(node, "it asks something that is neither true nor false")
                }
            }
        };
        self.names.truncate(kept);
        found
    }
}

/// The condition of `filter`: what is added to the list is the element itself.
fn kept_if(walk: &ComprehensionExpr) -> Option<&IdedExpr> {
    let Expr::Call(step) = &walk.loop_step.expr else { return None };
    let [condition, added, _] = step.args.as_slice() else { return None };
    let Expr::Call(add) = &added.expr else { return None };
    let [_, one] = add.args.as_slice() else { return None };
    let Expr::List(list) = &one.expr else { return None };
    let [element] = list.elements.as_slice() else { return None };
    let same = matches!(&element.expr, Expr::Ident(name) if *name == walk.iter_var);
    (step.func_name == "_?_:_" && same).then_some(condition)
}

/// Steps that it takes at most, for lists of these lengths: each node once, what is asked of elements once for each.
pub(super) fn cost(node: &IdedExpr, sizes: Sizes) -> u64 {
    let below: u64 = match &node.expr {
        Expr::Select(select) => cost(&select.operand, sizes),
        Expr::List(list) => list.elements.iter().map(|element| cost(element, sizes)).fold(0, u64::saturating_add),
        Expr::Call(call) => {
            let arguments = call.target.as_deref().into_iter().chain(&call.args);
            let walked = if call.func_name == "@in" { call.args.last().map_or(0, |list| length(list, sizes)) } else { 0 };
            arguments.map(|argument| cost(argument, sizes)).fold(walked, u64::saturating_add)
        }
        Expr::Comprehension(walk) => {
            let each = cost(&walk.loop_cond, sizes).saturating_add(cost(&walk.loop_step, sizes));
            let around = cost(&walk.iter_range, sizes).saturating_add(cost(&walk.result, sizes));
            length(&walk.iter_range, sizes).saturating_mul(each).saturating_add(around)
        }
        _ => 0,
    };
    below.saturating_add(1)
}

/// Elements that a list has at most.
fn length(node: &IdedExpr, sizes: Sizes) -> u64 {
    match &node.expr {
        Expr::List(list) => list.elements.len() as u64,
        Expr::Select(select) if select.field == "lines" => sizes.lines,
        Expr::Select(select) if select.field == "coupons" => sizes.coupons,
        Expr::Select(_) => sizes.names,
        Expr::Comprehension(walk) => length(&walk.iter_range, sizes),
        Expr::Call(call) => call.args.iter().map(|argument| length(argument, sizes)).max().unwrap_or(0),
        _ => sizes.lines.max(sizes.names).max(sizes.coupons),
    }
}
