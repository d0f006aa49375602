//! Expressions of rules: which rules may have one, and what it is about.

use super::load::{Loaded, wrong};
use super::{On, Ruleset};
use crate::expression::{About, Expression};
use toml::Spanned;

impl Ruleset {
    /// Whether some rule asks orders with an expression.
    pub(crate) fn asks_orders(&self) -> bool {
        self.earn.iter().any(|rule| rule.on == On::Order && rule.when.expression.is_some())
    }
}

pub(super) fn expression(text: &Spanned<String>, rule: &str, on: On) -> Loaded<Expression> {
    let about = match on {
        On::Order => About::Order,
        On::Activity | On::Birthday => About::Activity,
        On::Registered | On::ReferralJoined | On::ReferralCompleted => {
            return wrong(text.span(), format!("rule \"{rule}\": there is nothing to ask of a registration"));
        }
    };
    Expression::compile(text.get_ref(), about)
        .or_else(|message| wrong(text.span(), format!("rule \"{rule}\": expression: {message}")))
}
