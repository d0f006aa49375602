//! A member's tier in a few lines: what it is, what is missing to the next, and what keeps it.

use super::When;
use crate::print::Style;
use serde::Deserialize;

/// What the page needs of a tier's answer.
#[derive(Deserialize)]
pub(super) struct Tier {
    effective: String,
    name: String,
    earn_multiplier: String,
    discount_code: Option<String>,
    qualified: String,
    counts: String,
    metric: String,
    next: Option<String>,
    missing: Option<String>,
    held_until: Option<String>,
    in_grace: bool,
    projected: Option<String>,
    to_keep: Option<String>,
    r#override: Option<Override>,
}

#[derive(Deserialize)]
struct Override {
    tier: String,
    mode: String,
    until: String,
}

/// The lines. `currency`: what spend is in.
pub(super) fn lines(tier: &Tier, currency: &str, when: &When, style: Style) -> String {
    let unit = if tier.counts == "spend" { currency } else { &tier.counts };
    let mut line = format!("tier:  {}", style.bold(&tier.name));
    if tier.earn_multiplier != "1" {
        line += &format!("   points × {}", tier.earn_multiplier);
    }
    if let Some(code) = &tier.discount_code {
        line += &format!("   code {code}");
    }
    line += &format!("   {} {unit} in the window", tier.metric);
    if let (Some(next), Some(missing)) = (&tier.next, &tier.missing) {
        line += &format!("   {missing} to {next}");
    }
    line.push('\n');
    if let Some(over) = &tier.r#override {
        let until = if over.until == "never" { String::new() } else { format!(" until {}", when.end(&over.until)) };
        let own = if tier.qualified == tier.effective { String::new() } else { format!(", qualified for {}", tier.qualified) };
        line += &style.yellow(&format!("by hand: {} ({}){until}{own}\n", over.tier, over.mode));
    }
    if let (Some(until), Some(projected), Some(to_keep)) = (&tier.held_until, &tier.projected, &tier.to_keep) {
        let held = if tier.in_grace { "in grace until" } else { "held until" };
        let then = if *projected == tier.qualified {
            "kept then as things are".to_owned()
        } else {
            format!("then {projected}, unless {to_keep} {unit} are added by then")
        };
        line += &style.dim(&format!("{} {held} {} · {then}\n", tier.qualified, when.end(until)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_tier_is_said() {
        let tier: Tier = serde_json::from_value(serde_json::json!({
            "effective": "gold", "name": "Gold", "earn_multiplier": "1.5", "discount_code": "GOLD10", "qualified": "silver",
            "counts": "spend", "metric": "350.00", "next": "gold", "missing": "650.00", "held_until": "2025-06-02T00:00:00Z",
            "in_grace": false, "projected": "member", "to_keep": "120.00",
            "override": { "tier": "gold", "mode": "exact", "until": "never" }
        }))
        .expect("a tier");
        let told = lines(&tier, "GBP", &When::new("UTC"), Style::plain());
        for part in
            ["Gold", "× 1.5", "code GOLD10", "350.00 GBP", "650.00 to gold", "by hand: gold (exact), qualified for silver"]
        {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert!(told.contains("then member, unless 120.00 GBP are added by then"), "{told}");
    }
}
