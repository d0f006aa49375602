//! `when.expression`: Common Expression Language about an order or activity, checked when it is loaded, bounded when it is asked.
//!
//! `order.lines.exists(l, l.sku == 'T-1' && l.quantity >= 2)`. The interpreter is the crate `cel`; nothing else here knows it.
//! What it may say is narrower than the language: whole numbers, text, bool and lists (docs/semantics.md has all variables),
//! so that an expression has a type, no float and no clock, and a cost that is known before it runs.

mod check;
mod input;

pub(crate) use input::{ActivityInput, OrderInput};

use cel::{Context, Env, Program, Value};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// Characters of an expression, at most.
const LENGTH_MAX: usize = 1_000;
/// Steps of an expression, at most.
const STEPS_MAX: u64 = 100_000;

/// A checked expression.
#[derive(Clone)]
pub struct Expression {
    source: Arc<str>,
    program: Arc<Program>,
    env: Arc<Env>,
}

/// What an expression is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// `order.…`
    Order,
    /// `activity.…`
    Activity,
}

/// How long the lists are that an expression can walk through.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sizes {
    pub lines: u64,
    /// The most collections or tags of one line.
    pub names: u64,
    pub coupons: u64,
}

impl fmt::Debug for Expression {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", self.source)
    }
}

impl Expression {
    /// As it is written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Reads and checks an expression.
    ///
    /// # Errors
    /// What is wrong with it, where in it, and a hint.
    pub(crate) fn compile(source: &str, about: About) -> Result<Expression, String> {
        if source.chars().count() > LENGTH_MAX {
            return Err(format!("an expression has at most {LENGTH_MAX} characters"));
        }
        let env = Arc::new(Env::stdlib());
        let program = env.compile(source).map_err(|errors| match errors.errors.first() {
            Some(error) => format!("line {}, column {}: {}", error.pos.0.max(1), error.pos.1.max(1), error.msg),
            None => "it can't be read".to_string(),
        })?;
        check::check(&program, about).map_err(|wrong| format!("{}{}", place(&program, source, wrong.node), wrong.message))?;
        let expression = Expression { source: source.into(), program: Arc::new(program), env };
        if expression.program.references().variables().iter().all(|name| !["order", "activity"].contains(name)) {
            let always = expression.evaluate(Context::with_env(Arc::clone(&expression.env)));
            let always = always.map_or_else(|why| format!("fails: {why}"), |value| format!("is always {value}"));
            return Err(format!("it looks at nothing of the {}, so it {always}", about.name()));
        }
        Ok(expression)
    }

    /// Whether it holds of an order.
    ///
    /// # Errors
    /// It costs too much, or failed; why.
    pub(crate) fn holds_of_order(&self, order: &OrderInput<'_>) -> Result<bool, String> {
        self.ask("order", order, order.sizes())
    }

    /// Whether it holds of an activity.
    ///
    /// # Errors
    /// As of an order.
    pub(crate) fn holds_of_activity(&self, activity: &ActivityInput<'_>) -> Result<bool, String> {
        self.ask("activity", activity, Sizes::default())
    }

    fn ask(&self, name: &str, about: &impl Serialize, sizes: Sizes) -> Result<bool, String> {
        let steps = check::cost(self.program.expression(), sizes);
        if steps > STEPS_MAX {
            return Err(format!("it would take {steps} steps, at most {STEPS_MAX} are allowed"));
        }
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.add_variable_from_value(name, cel::to_value(about).map_err(|error| error.to_string())?);
        self.evaluate(context)
    }

    fn evaluate(&self, context: Context<'_, '_>) -> Result<bool, String> {
        match self.program.execute(&context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err("it is neither true nor false".to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl About {
    fn name(self) -> &'static str {
        match self {
            About::Order => "order",
            About::Activity => "activity",
        }
    }
}

/// Where a node was written.
fn place(program: &Program, source: &str, node: u64) -> String {
    let Some((start, _)) = program.source_info().offset_for(node) else {
        return String::new();
    };
    let before: String = source.chars().take(start as usize).collect();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    format!("line {line}, column {column}: ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Instant, Line, OrderPlaced, Zone};

    #[track_caller]
    fn refused(source: &str, message: &str) {
        let error = Expression::compile(source, About::Order).expect_err("must be refused");
        assert!(error.contains(message), "{source}: {error}");
    }

    #[test]
    fn what_cant_be_is_refused_with_its_place() {
        refused("order.lines.exists(l, l.skoo == 'x')", "line 1, column 24: a line has no field \"skoo\"; did you mean \"sku\"?");
        refused("order.total", "is int, it has to be bool");
        refused("order.total > 10.5", "whole numbers only");
        refused("order.total > '10'", "int with string");
        refused("order.lines.map(l, l.sku) == []", "map");
        refused("1 < 2", "always true");
        refused("order.nope", "an order has no field \"nope\"");
        refused("member.id == 'x'", "\"member\"");
        refused("order.channel.matches('a+')", "matches");
        refused("order.total >", "line 1");
        refused("now() > 1", "now");
        refused("has(order.total)", "always there");
        refused("order.lines == order.lines", "list");
        refused(&format!("order.total > {}", "1 + ".repeat(400) + "1"), "at most 1000 characters");
    }

    fn order<'a>(lines: Vec<Line<'a>>) -> OrderPlaced<'a> {
        OrderPlaced { order_id: "A", version: 1, currency: "GBP", lines, channel: Some("web"), ..OrderPlaced::default() }
    }

    #[track_caller]
    fn asked(source: &str, lines: Vec<Line<'_>>) -> Result<bool, String> {
        let expression = Expression::compile(source, About::Order).expect("compiles");
        let order = order(lines);
        let values: Vec<i64> = order.lines.iter().map(Line::net).collect();
        let at = Instant::parse("2024-03-02T23:30:00Z").expect("instant");
        let zone = Zone::get("Europe/Berlin").expect("zone");
        expression.holds_of_order(&OrderInput::new(&order, &values, true, at, &zone))
    }

    fn line(sku: &str, quantity: i64) -> Line<'_> {
        Line { line_id: "1", sku, quantity, unit_price: 250, collections: ["tea"].into(), ..Line::default() }
    }

    #[test]
    fn asks_orders() {
        let lines = || vec![line("T-1", 2), line("T-2", 1)];
        for (source, holds) in [
            ("order.lines.exists(l, l.sku == 'T-1' && l.quantity >= 2)", true),
            ("order.lines.all(l, 'tea' in l.collections)", true),
            ("order.lines.exists_one(l, l.quantity == 1)", true),
            ("order.lines.filter(l, l.sku.startsWith('T-')).size() == 2", true),
            ("size(order.lines) > 2 || order.channel in ['app', 'web']", true),
            ("order.total == 750 && order.first && order.lines[0].value == 500", true),
            ("order.year == 2024 && order.month == 3 && order.day == 3 && order.weekday == 7 && order.hour == 0", true),
            ("order.total % 2 == 1 ? false : order.coupons.exists(c, c.contains('TEN'))", false),
        ] {
            assert_eq!(asked(source, lines()), Ok(holds), "{source}");
        }
    }

    #[test]
    fn what_fails_or_costs_too_much_does_not_hold() {
        assert!(asked("10 / (order.total - 250) > 0", vec![line("x", 1)]).is_err_and(|why| why.contains("zero")));
        assert!(asked("order.lines[1].quantity > 0", vec![line("x", 1)]).is_err());
        assert!(asked("order.total * 9223372036854775807 > 0", vec![line("x", 1)]).is_err());
        let many = || (0..500).map(|_| line("x", 1)).collect::<Vec<_>>();
        assert_eq!(asked("order.lines.all(a, a.sku == 'x')", many()), Ok(true));
        let nested = asked("order.lines.all(a, order.lines.all(b, a.sku == b.sku))", many());
        assert!(nested.is_err_and(|why| why.contains("steps")));
    }
}
