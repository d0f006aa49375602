//! `[[reward]]` from text: refuses what can't be, with the line and a hint.

use super::counted;
use super::load::{Loaded, amount, wrong};
use super::text::{BenefitText, RewardText, RulesetText};
use super::{CouponRule, Price, Reward, RewardKind};
use crate::currency::parse_amount;
use smol_str::SmolStr;
use toml::Spanned;

pub(super) fn rewards(text: &RulesetText, currency: &str, exponent: u32) -> Loaded<Vec<Reward>> {
    let mut rewards: Vec<Reward> = Vec::new();
    for reward in &text.reward {
        if rewards.iter().any(|known| known.id == reward.id.get_ref()) {
            return wrong(reward.id.span(), format!("two rewards have the id \"{}\"", reward.id.get_ref()));
        }
        rewards.push(reward_rule(reward, currency, exponent)?);
    }
    Ok(rewards)
}

fn reward_rule(text: &RewardText, currency: &str, exponent: u32) -> Loaded<Reward> {
    let id = text.id.get_ref();
    let price = match (&text.cost, &text.pay_with_points, text.kind) {
        (None, None, RewardKind::Grantable) => Price::Free,
        (Some(cost), None, RewardKind::Redeemable) if *cost.get_ref() > 0 => Price::Fixed(*cost.get_ref()),
        (None, Some(pay), RewardKind::Redeemable) => {
            let terms = pay.get_ref();
            let worth = parse_amount(&terms.worth, exponent).ok().filter(|&worth| worth > 0);
            match worth {
                Some(worth) if terms.points > 0 && terms.min > 0 && terms.step > 0 => {
                    Price::PayWithPoints { points: terms.points, worth, min: terms.min, step: terms.step }
                }
                _ => {
                    return wrong(pay.span(), format!("reward \"{id}\": points, worth, min and step must be above 0"));
                }
            }
        }
        (Some(cost), None, RewardKind::Redeemable) => {
            return wrong(cost.span(), format!("reward \"{id}\": cost must be above 0"));
        }
        (_, _, RewardKind::Redeemable) => {
            return wrong(text.id.span(), format!("reward \"{id}\" is redeemable: give it either `cost` or `pay_with_points`"));
        }
        (_, _, RewardKind::Grantable) => {
            return wrong(text.id.span(), format!("reward \"{id}\" is grantable, so free: remove its cost"));
        }
    };
    let benefit = match &text.benefit {
        BenefitText::Amount(text) => {
            amount(text, exponent)?;
            format!("amount {} {currency}", text.get_ref())
        }
        BenefitText::Percent(percent) if (1..=100).contains(percent.get_ref()) => format!("percent {}", percent.get_ref()),
        BenefitText::Percent(percent) => return wrong(percent.span(), format!("reward \"{id}\": percent must be from 1 to 100")),
        BenefitText::Product(product) => format!("product {product}"),
        BenefitText::FreeShipping(_) => "free_shipping".to_string(),
    };
    let coupon = text.coupon.as_ref().map(|coupon| coupon_rule(coupon, id)).transpose()?;
    let (id, name) = (SmolStr::new(id), SmolStr::new(&text.name));
    let per_member = text.per_member.as_ref().map(|limit| counted::per_member(limit, &id)).transpose()?;
    let (kind, restore_on_expiry) = (text.kind, text.restore_on_expiry);
    Ok(Reward { id, name, kind, price, benefit: benefit.into(), coupon, restore_on_expiry, per_member, tiers: 0 })
}

fn coupon_rule(text: &super::text::CouponText, reward: &str) -> Loaded<CouponRule> {
    let uses = text.uses.as_ref().map_or(1, |uses| *uses.get_ref());
    if uses == 0 {
        return wrong(
            text.uses.as_ref().map_or(0..0, Spanned::span),
            format!("reward \"{reward}\": a coupon has at least one use"),
        );
    }
    let prefix = text.prefix.as_ref().map_or("", |prefix| prefix.get_ref());
    if prefix.len() > 16 || !prefix.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()) {
        let span = text.prefix.as_ref().map_or(0..0, Spanned::span);
        return wrong(span, format!("reward \"{reward}\": a prefix has at most 16 capital letters and digits"));
    }
    Ok(CouponRule { valid_for: text.valid_for, uses, prefix: SmolStr::new(prefix) })
}
