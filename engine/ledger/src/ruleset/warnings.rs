//! What reads well and can hardly be meant: rules that never match, rewards nobody can pay, tiers nobody reaches.
//! `accrue rules check` warns of it beside errors.

mod tiers;

use super::{EarnRule, On, Price, Ruleset, Start};
use crate::calendar;

impl Ruleset {
    /// A line each. Empty: nothing was found.
    pub fn warnings(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(tiers) = &self.tiers {
            self.of_tiers(tiers, &mut found);
        }
        for (index, rule) in self.earn.iter().enumerate() {
            self.of_rule(index, rule, &mut found);
        }
        for reward in &self.rewards {
            if let Price::PayWithPoints { min, step, .. } = reward.price
                && min % step != 0
            {
                found.push(format!(
                    "reward \"{}\": min {min} is no multiple of step {step}: nobody can pay the minimum; the least is {}",
                    reward.id,
                    (min / step + 1) * step
                ));
            }
            if let (Price::Fixed(cost), true) = (reward.price, self.earn.is_empty()) {
                found.push(format!(
                    "reward \"{}\" costs {cost}, but no rule earns: only imports and adjustments can pay it",
                    reward.id
                ));
            }
        }
        found
    }

    fn of_rule(&self, index: usize, rule: &EarnRule, found: &mut Vec<String>) {
        let (id, when) = (&rule.id, &rule.when);
        let mut say = |what: String| found.push(format!("rule \"{id}\": {what}"));
        let exclude = &self.eligible.exclude;
        let all_of = |asked: &[smol_str::SmolStr], out: &[smol_str::SmolStr]| {
            !asked.is_empty() && asked.iter().all(|name| out.contains(name))
        };
        for (kind, asked, out) in [
            ("collections", &when.lines.collections, &exclude.collections),
            ("tags", &when.lines.tags, &exclude.tags),
            ("skus", &when.lines.skus, &exclude.skus),
        ] {
            if all_of(asked, out) {
                say(format!("all its {kind} are in [eligible] exclude: no line can match; remove them from one of the two"));
            }
        }
        if when.weekdays != 0 && self.no_such_day(rule) {
            say("none of its weekdays lies between `from` and `until`: it never matches".to_string());
        }
        if let (Some(limit), None) = (rule.limit, rule.per)
            && limit.most < rule.points
        {
            say(format!("its limit, {}, is below the {} points of a single award: each is trimmed", limit.name(), rule.points));
        }
        if let (Some(limit), Some(per), Some(least)) = (rule.limit, rule.per, when.min_eligible) {
            let least = i128::from(least) * i128::from(rule.points) / i128::from(per);
            if least > i128::from(limit.most) {
                say(format!(
                    "from `min_eligible` on an order is worth {least} points, above its limit, {}: each is trimmed",
                    limit.name()
                ));
            }
        }
        if rule.on != On::Order && matches!(rule.start, Start::Fulfilled { .. }) {
            say("nothing of it is fulfilled: its points start at once; give it a `pending` of its own".to_string());
        }
        let same =
            |other: &&EarnRule| other.on == rule.on && other.id != rule.id && format!("{:?}", other.when) == format!("{when:?}");
        if let Some(other) = self
            .earn
            .iter()
            .take(index)
            .find(same)
            .filter(|other| other.points == rule.points && other.per == rule.per && other.ledger == rule.ledger)
        {
            say(format!("it is the same as rule \"{}\": both give points for the same thing", other.id));
        }
    }

    /// Whether a rule with both ends has no local day of its weekdays.
    fn no_such_day(&self, rule: &EarnRule) -> bool {
        let (from, until) = (rule.when.from, rule.when.until);
        if from == crate::Instant::MIN || until == crate::Instant::MAX {
            return false;
        }
        let day = 86_400_000_000;
        // A week has every weekday: no more days than that are looked at.
        (0..8)
            .map(|days| crate::Instant(from.0.saturating_add(days * day).min(until.0 - 1)))
            .all(|at| rule.when.weekdays & (1 << calendar::weekday(at, &self.zone)) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(more: &str, said: &str) {
        let head = "program = \"acme\"\ncurrency = \"GBP\"\ntime_zone = \"Europe/London\"\n";
        let found = Ruleset::parse(&format!("{head}{more}")).expect("valid").warnings();
        match said {
            "" => assert_eq!(found, Vec::<String>::new()),
            said => assert!(found.len() == 1 && found[0].contains(said), "{found:?}"),
        }
    }

    #[test]
    fn what_never_matches_is_found() {
        let rule = "[[earn]]\nid = \"a\"\non = \"order\"\npoints = 1\nper = \"1.00\"\n";
        check(rule, "");
        check(
            &format!("[eligible]\nexclude = {{ tags = [\"x\", \"y\"] }}\n{rule}when = {{ tags = [\"x\"] }}\n"),
            "no line can match",
        );
        check(&format!("[eligible]\nexclude = {{ tags = [\"x\"] }}\n{rule}when = {{ tags = [\"x\", \"y\"] }}\n"), "");
        let span = "from = 2024-01-01T00:00:00Z, until = 2024-01-03T00:00:00Z";
        check(&format!("{rule}when = {{ {span}, weekdays = [\"sat\"] }}\n"), "none of its weekdays");
        check(&format!("{rule}when = {{ {span}, weekdays = [\"tue\"] }}\n"), "");
        check(&format!("{rule}limit = {{ points = 5 }}\nwhen = {{ min_eligible = \"10.00\" }}\n"), "each is trimmed");
        check("[[earn]]\nid = \"a\"\non = \"birthday\"\npoints = 9\nlimit = { points = 5 }\n", "each is trimmed");
        check(&format!("{rule}{}", rule.replace("\"a\"", "\"b\"")), "the same as rule \"a\"");
        let pay = "[[reward]]\nid = \"p\"\nkind = \"redeemable\"\nbenefit = { amount = \"1.00\" }\npay_with_points = { points = 1, worth = \"0.01\", min = 150, step = 100 }\n";
        check(&format!("{rule}{pay}"), "the least is 200");
    }
}
