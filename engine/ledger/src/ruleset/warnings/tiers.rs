//! Tiers nobody reaches or leaves, benefits nobody gets.

use crate::ruleset::{Metric, On, Ruleset, Tiers};

impl Ruleset {
    pub(super) fn of_tiers(&self, tiers: &Tiers, found: &mut Vec<String>) {
        let counting = self.earn.iter().any(|rule| rule.counts_toward_tier);
        let reached =
            |index: usize| index == 0 || tiers.list[index].entry.is_none() || tiers.metric != Metric::Points || counting;
        for (index, tier) in tiers.list.iter().enumerate() {
            let id = &tier.id;
            if !reached(index) {
                found.push(format!("tier \"{id}\" can't be reached: metric is points, and no rule has counts_toward_tier"));
            }
            if index == 0 && (tier.entry_points > 0 || tier.entry_reward.is_some()) {
                found.push(format!("tier \"{id}\" is where everybody begins: its on_entry is never given"));
            }
            if index > 0 && tier.entry.is_some() && tier.maintain == 0 && tiers.hold.is_some() {
                found.push(format!("tier \"{id}\" is never lost: maintain is 0; downgrade = \"none\" says so for all tiers"));
            }
        }
        for rule in self.earn.iter().filter(|rule| rule.when.tiers != 0) {
            if !(0..tiers.list.len()).any(|index| rule.when.tiers & (1 << index) != 0 && reached(index)) {
                found.push(format!("rule \"{}\" can never match: none of its tiers can be reached", rule.id));
            }
        }
        let multiplied = |on: On| self.earn.iter().any(|rule| rule.on == on && rule.tier_multiplier);
        let differs = tiers.list.iter().any(|tier| tier.multiplier != crate::Ratio::ONE);
        if differs && !multiplied(On::Order) && !multiplied(On::Activity) {
            found.push("tiers have an earn_multiplier, and every rule has tier_multiplier = false".to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "program = \"acme\"\ncurrency = \"GBP\"\ntime_zone = \"Europe/London\"\n";

    #[track_caller]
    fn check(more: &str, said: &[&str]) {
        let rules = Ruleset::parse(&format!("{HEAD}{more}")).expect("a ruleset");
        let found = rules.warnings();
        assert_eq!(found.len(), said.len(), "{found:?}");
        found.iter().zip(said).for_each(|(found, wanted)| assert!(found.contains(wanted), "{found}"));
    }

    #[test]
    fn what_is_hardly_meant_is_said() {
        let points = "[tiers]\nmetric = \"points\"\n[[tier]]\nid = \"a\"\nentry = \"0\"\non_entry = { points = 5 }\n\
                      [[tier]]\nid = \"b\"\nentry = \"10\"\nmaintain = \"0\"\n";
        let wanted = ["where everybody begins", "\"b\" can't be reached", "\"b\" is never lost"];
        check(points, &wanted);
        let earn = "[[earn]]\nid = \"r\"\non = \"order\"\npoints = 1\nwhen = { tiers = [\"b\"] }\n";
        check(&format!("{points}{earn}"), &[wanted[0], wanted[2]]);
        let uncounted = format!("{points}{earn}counts_toward_tier = false\n");
        check(&uncounted, &[wanted[0], wanted[1], wanted[2], "\"r\" can never match"]);
        check("", &[]);
    }

    #[test]
    fn tiers_that_cant_be_are_refused() {
        let tiers = "[tiers]\n[[tier]]\nid = \"a\"\nentry = \"0\"\n";
        let cases = [
            ("[tiers]\n[[tier]]\nid = \"a\"\nentry = \"1.00\"\n", 6, "its entry must be \"0\""),
            ("[tiers]\n", 4, "without a [[tier]]"),
            ("[[tier]]\nid = \"a\"\nentry = \"0\"\n", 5, "no [tiers]"),
            (&format!("{tiers}[[tier]]\nid = \"a\"\nentry = \"5\"\n"), 9, "two tiers"),
            (&format!("{tiers}[[tier]]\nid = \"b\"\nentry = \"0\"\n"), 10, "lowest first"),
            (&format!("{tiers}[[tier]]\nid = \"b\"\nentry = \"5\"\nmaintain = \"6\"\n"), 11, "maintain is above entry"),
            (&format!("{tiers}[[tier]]\nid = \"b\"\n"), 9, "has no entry"),
            (&format!("{tiers}[[tier]]\nid = \"b\"\nentry = \"5\"\ncustom = true\n"), 10, "remove its entry"),
            (&format!("{tiers}[[tier]]\nid = \"b\"\nentry = \"5.001\"\n"), 10, "not an amount"),
            (&format!("{tiers}[[tier]]\nid = \"b\"\nentry = \"5\"\non_entry = {{ reward = \"x\" }}\n"), 11, "no reward \"x\""),
            ("[tiers]\nhold = \"PT5H\"\n[[tier]]\nid = \"a\"\nentry = \"0\"\n", 5, "whole days"),
            ("[tiers]\nwindow = { calender = \"year\" }\n", 5, "a window is"),
            ("[tiers]\nwindow = { anniversary = \"P1M5D\" }\n", 5, "or whole months"),
            ("[tiers]\nmetric = \"spent\"\n", 5, "did you mean `spend`"),
            (
                &format!("{tiers}[[earn]]\nid = \"e\"\non = \"order\"\npoints = 1\nwhen = {{ tiers = [\"gold\"] }}\n"),
                12,
                "no tier \"gold\"",
            ),
            ("[expiry]\ninactivity = { activities = [\"order\"] }\n", 5, "inactivity needs a time"),
        ];
        for (more, line, message) in cases {
            let error = Ruleset::parse(&format!("{HEAD}{more}")).expect_err(message);
            assert!(error.message.contains(message), "{error}, not {message}");
            assert_eq!(error.line, line, "{error}");
        }
    }
}
