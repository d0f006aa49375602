//! `[referral]`: codes, and which first order of a friend is enough.

use super::load::{Loaded, amount, wrong};
use super::text::duration;
use crate::calendar::Duration;
use serde::Deserialize;
use smol_str::SmolStr;
use toml::Spanned;

/// Where the slug stands in a code.
const SLUG: &str = "{slug}";

/// Bytes of what codes are made of.
const TEMPLATE_BYTES_MAX: usize = 64;

/// `[referral]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referral {
    /// What codes are made of, with `{slug}` once.
    template: SmolStr,
    /// The friend's first order is at least this, minor units of the program's currency; 0: any.
    pub min_eligible: i64,
    /// How long the friend may send everything back, counted from its order.
    pub pending_until: Duration,
}

impl Referral {
    /// The code to a slug.
    pub fn code(&self, slug: &str) -> String {
        self.template.replace(SLUG, slug)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReferralText {
    code: Option<Spanned<String>>,
    #[serde(default)]
    friend_first_order: FirstOrderText,
    #[serde(default, deserialize_with = "duration")]
    pending_until: Duration,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct FirstOrderText {
    min_eligible: Option<Spanned<String>>,
}

pub(super) fn referral(text: Option<&ReferralText>, exponent: u32) -> Loaded<Option<Referral>> {
    let Some(text) = text else { return Ok(None) };
    let template = text.code.as_ref().map_or(SLUG, |code| code.get_ref());
    if template.len() > TEMPLATE_BYTES_MAX
        || template.matches(SLUG).count() != 1
        || template.chars().any(|c| c.is_whitespace() || c.is_control())
    {
        let span = text.code.as_ref().map_or(0..0, Spanned::span);
        return wrong(
            span,
            format!("\"{template}\" is no code: it has \"{SLUG}\" once, no spaces, and at most {TEMPLATE_BYTES_MAX} bytes"),
        );
    }
    let min_eligible = text.friend_first_order.min_eligible.as_ref().map_or(Ok(0), |least| amount(least, exponent))?;
    Ok(Some(Referral { template: SmolStr::new(template), min_eligible, pending_until: text.pending_until }))
}

#[cfg(test)]
mod tests {
    use crate::Ruleset;

    const HEAD: &str = "program = \"acme\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n";
    const RULE: &str = "[[earn]]\nid = \"r\"\non = \"referral_completed\"\npoints = 5\n";

    #[test]
    fn what_is_said_and_what_cant_be() {
        let read = |text: &str| Ruleset::parse(&format!("{HEAD}{text}"));
        let said =
            "[referral]\ncode = \"tea-{slug}\"\nfriend_first_order = { min_eligible = \"20.00\" }\npending_until = \"P14D\"\n";
        let referral = read(&format!("{said}{RULE}")).expect("a ruleset").referral.expect("there");
        assert_eq!((referral.code("Ann").as_str(), referral.min_eligible), ("tea-Ann", 2_000));
        let default = read("[referral]\n").expect("a ruleset").referral.expect("there");
        assert_eq!((default.code("ann").as_str(), default.min_eligible), ("ann", 0));
        for (text, wanted) in [
            (RULE, "there is no [referral]"),
            ("[referral]\ncode = \"tea\"\n", "is no code"),
            ("[referral]\ncode = \"{slug} {slug}\"\n", "is no code"),
            ("[referral]\npending_until = \"14 days\"\n", "an ISO 8601 duration"),
            ("[referral]\nfriend_first_order = { min_eligible = \"0\" }\n", "must be above 0"),
        ] {
            let error = read(text).expect_err("must be refused");
            assert!(error.message.contains(wanted), "{error}");
        }
    }
}
