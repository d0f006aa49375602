//! Owned types to the ledger's, the long way: no wire, no checks.

use accrue_ledger as ledger;
use accrue_ledger::{Body, Cause, CouponRef, Instant, Kind, ReferralFact, When};
use accrue_proto::pb::{self, fact::Body as Owned};
use prost_types::Timestamp;

pub fn fact(fact: &pb::Fact) -> ledger::Fact<'_> {
    let owned = fact.body.as_ref().expect("a body");
    ledger::Fact {
        id: &fact.id,
        source: &fact.source,
        program: &fact.program,
        member: &fact.member,
        occurred_at: instant(fact.occurred_at.as_ref().expect("an instant")),
        actor: text(&fact.actor),
        kind: kind(owned),
        body: body(owned),
    }
}

fn instant(at: &Timestamp) -> Instant {
    Instant(at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000)
}

fn text(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn cause(cause: pb::Cause) -> Cause {
    match cause {
        pb::Cause::Staff => Cause::Staff,
        pb::Cause::System | pb::Cause::Unspecified => Cause::System,
    }
}

/// From the name prost gives it.
fn kind(owned: &Owned) -> Kind {
    let debug = format!("{owned:?}");
    let camel = debug.split('(').next().expect("a name");
    let snake: String = camel
        .char_indices()
        .flat_map(|(index, letter)| {
            let blank = if letter.is_ascii_uppercase() && index > 0 { "_" } else { "" };
            blank.chars().chain(letter.to_lowercase())
        })
        .collect();
    Kind::from_name(&snake).expect("a kind")
}

fn body(owned: &Owned) -> Body<'_> {
    match owned {
        Owned::OrderPlaced(order) => Body::OrderPlaced(self::order(order)),
        Owned::OrderFulfilled(order) => Body::OrderFulfilled { order_id: &order.order_id },
        Owned::OrderCancelled(order) => Body::OrderCancelled { order_id: &order.order_id },
        Owned::RefundRecorded(refund) => Body::RefundRecorded(self::refund(refund)),
        Owned::RedemptionRecorded(recorded) => Body::Redemption(ledger::Redemption {
            redemption_id: &recorded.redemption_id,
            reward: text(&recorded.reward),
            points: recorded.points,
            ledger: text(&recorded.ledger),
            coupon_code: text(&recorded.coupon_code),
            order_id: text(&recorded.order_id),
        }),
        Owned::RedemptionRequested(requested) => Body::Redemption(ledger::Redemption {
            redemption_id: &requested.redemption_id,
            reward: text(&requested.reward),
            points: requested.points,
            ledger: text(&requested.ledger),
            coupon_code: None,
            order_id: text(&requested.order_id),
        }),
        Owned::ActivityRecorded(activity) => {
            Body::ActivityRecorded { activity_id: &activity.activity_id, activity: &activity.activity }
        }
        Owned::PointsImported(imported) => Body::PointsImported(ledger::PointsImported {
            import_id: &imported.import_id,
            ledger: text(&imported.ledger),
            lots: imported.lots.iter().map(lot).collect(),
            tier_credit: imported.tier_credit,
        }),
        Owned::MemberExcluded(excluded) => Body::MemberExcluded(ledger::Exclusion {
            from: excluded.from.as_ref().map(instant),
            until: excluded.until.as_ref().map(instant),
            earn: excluded.earn,
            redeem: excluded.redeem,
        }),
        Owned::MemberIncluded(_) => Body::MemberIncluded,
        Owned::MembersMerged(merged) => Body::MembersMerged { loser: &merged.loser },
        Owned::MembersUnmerged(unmerged) => Body::MembersUnmerged { loser: &unmerged.loser },
        Owned::CardIssued(card) => Body::CardIssued { code: &card.code },
        Owned::CardStatusChanged(card) => Body::CardStatusChanged {
            code: &card.code,
            status: match card.status() {
                pb::CardStatus::Active => ledger::CardStatus::Active,
                pb::CardStatus::Inactive => ledger::CardStatus::Inactive,
                pb::CardStatus::Blocked => ledger::CardStatus::Blocked,
                pb::CardStatus::Unspecified => unreachable!("refused"),
            },
        },
        Owned::CardReplaced(card) => Body::CardReplaced { old: &card.old, new: &card.new },
        Owned::RulesApplied(applied) => Body::RulesApplied { application: &applied.application, record: &applied.record },
        Owned::RulesetActivated(activated) => Body::RulesetActivated {
            ruleset: &activated.ruleset,
            hash: &activated.hash,
            effective_from: instant(activated.effective_from.as_ref().expect("an instant")),
        },
        Owned::RedemptionReversed(reversed) => Body::RedemptionReversed {
            redemption_id: &reversed.redemption_id,
            points: reversed.points,
            cause: cause(reversed.cause()),
        },
        Owned::RewardGranted(granted) => {
            let (reward, reason) = (granted.reward.as_str(), granted.reason.as_str());
            Body::RewardGranted { grant_id: &granted.grant_id, reward, reason, deduct: granted.deduct }
        }
        Owned::PointsReceived(received) => Body::PointsReceived(ledger::PointsReceived {
            transfer_id: &received.transfer_id,
            from_member: &received.from_member,
            ledger: text(&received.ledger),
            lots: received.lots.iter().map(lot).collect(),
            returned: received.returned,
        }),
        Owned::ReferralVisited(said) => Body::Referral(ReferralFact::Visited { code: &said.code }),
        Owned::ReferralJoined(said) => Body::Referral(ReferralFact::Joined { code: &said.code }),
        Owned::ReferralCodeChanged(said) => Body::Referral(ReferralFact::CodeChanged { slug: &said.slug }),
        Owned::ReferralCodeClaimed(said) => Body::Referral(ReferralFact::CodeClaimed { code: &said.code, owner: &said.owner }),
        Owned::ReferralAsked(said) => Body::Referral(ReferralFact::Asked { code: &said.code, friend: &said.friend }),
        Owned::ReferralCodeSettled(said) => Body::Referral(ReferralFact::CodeSettled { code: &said.code, taken: said.taken }),
        Owned::ReferralAnswered(said) => Body::Referral(ReferralFact::Answered { code: &said.code, owner: &said.owner }),
        Owned::ReferralTold(said) => Body::Referral(ReferralFact::Told(ledger::Told {
            friend: &said.friend,
            code: &said.code,
            stage: ledger::Stage::from_number(i64::from(said.stage)).expect("refused"),
            revision: said.revision,
            order_id: &said.order_id,
            amount: said.amount,
            withdrawn: said.withdrawn,
        })),
        Owned::FactForwarded(forwarded) => Body::FactForwarded {
            about: &forwarded.about,
            fact: &forwarded.fact,
            decision: Some(&forwarded.decision[..]).filter(|bytes| !bytes.is_empty()),
        },
        Owned::HandOverContinued(next) => {
            Body::HandOverContinued { to: &next.to, started: next.started.unsigned_abs(), after: next.after.unsigned_abs() }
        }
        Owned::MembersHandedOver(of) => Body::MembersHandedOver { members: of.members.iter().map(String::as_str).collect() },
        Owned::PointsTransferred(transfer) => Body::PointsTransferred {
            transfer_id: &transfer.transfer_id,
            to: match transfer.to.as_ref().expect("one of two") {
                pb::points_transferred::To::ToMember(to) => ledger::TransferTo::Member(to),
                pb::points_transferred::To::ToLedger(to) => ledger::TransferTo::Ledger(to),
            },
            ledger: text(&transfer.ledger),
            points: transfer.points,
        },
        Owned::MemberRegistered(registered) => Body::MemberRegistered { guest: registered.guest },
        Owned::ExceptionResolved(resolved) => Body::ExceptionResolved {
            exception: &resolved.exception,
            order_id: text(&resolved.order_id),
            line_id: text(&resolved.line_id),
            reason: &resolved.reason,
        },
        Owned::PointsAdjusted(adjusted) => Body::PointsAdjusted(self::adjusted(adjusted)),
        Owned::CouponUsed(_) | Owned::CouponReleased(_) | Owned::CouponReserved(_) | Owned::CouponRevoked(_) => coupon(owned),
        Owned::TierCreditAdjusted(adjusted) => Body::TierCreditAdjusted { amount: adjusted.amount },
        Owned::TierCreditRecalculated(_) => Body::TierCreditRecalculated,
        Owned::TierOverridden(over) => Body::TierOverridden {
            tier: &over.tier,
            floor: over.mode() == pb::tier_overridden::Mode::Floor,
            until: over.until.as_ref().map(instant),
        },
        Owned::TierOverrideEnded(_) => Body::TierOverrideEnded,
        _ => Body::Noted,
    }
}

fn order(order: &pb::OrderPlaced) -> ledger::OrderPlaced<'_> {
    ledger::OrderPlaced {
        order_id: &order.order_id,
        version: if order.version == 0 { 1 } else { order.version },
        currency: &order.currency,
        lines: order
            .lines
            .iter()
            .map(|line| ledger::Line {
                line_id: &line.line_id,
                sku: &line.sku,
                quantity: line.quantity,
                unit_price: line.unit_price,
                discount: line.discount,
                collections: line.collections.iter().map(String::as_str).collect(),
                tags: line.tags.iter().map(String::as_str).collect(),
            })
            .collect(),
        discount: order.discount,
        shipping: order.shipping,
        tax: order.tax,
        paid_with_gift_card: order.paid_with_gift_card,
        paid_with_points: order.paid_with_points,
        coupons: order.coupons.iter().map(String::as_str).collect(),
        channel: text(&order.channel),
        referral_code: text(&order.referral_code),
    }
}

fn refund(refund: &pb::RefundRecorded) -> ledger::RefundRecorded<'_> {
    ledger::RefundRecorded {
        refund_id: &refund.refund_id,
        order_id: text(&refund.order_id),
        lines: refund
            .lines
            .iter()
            .map(|line| ledger::RefundLine { line_id: &line.line_id, quantity: line.quantity, amount: line.amount })
            .collect(),
        amount: refund.amount,
        currency: text(&refund.currency),
    }
}

fn lot(lot: &pb::ImportedLot) -> ledger::ImportedLot {
    ledger::ImportedLot {
        points: lot.points,
        earned_at: lot.earned_at.as_ref().map(instant),
        starts_at: lot.starts_at.as_ref().map(instant),
        expires_at: lot.expires_at.as_ref().map(instant),
    }
}

fn adjusted(adjusted: &pb::PointsAdjusted) -> ledger::PointsAdjusted<'_> {
    ledger::PointsAdjusted {
        adjustment_id: &adjusted.adjustment_id,
        ledger: text(&adjusted.ledger),
        points: adjusted.points,
        tier_credit: adjusted.tier_credit,
        reason: &adjusted.reason,
        message: text(&adjusted.message),
        starts: adjusted.starts.as_ref().map(when),
        expires: adjusted.expires.as_ref().map(when),
        allow_debt: adjusted.allow_debt,
        takes_back: text(&adjusted.takes_back),
    }
}

fn when(when: &pb::When) -> When<'_> {
    match when.when.as_ref().expect("one of three") {
        pb::when::When::At(at) => When::At(instant(at)),
        pb::when::When::Named(named) => match pb::when::Named::try_from(*named).expect("a word") {
            pb::when::Named::Never => When::Never,
            pb::when::Named::Immediate => When::Immediate,
            pb::when::Named::Unspecified => panic!("no word"),
        },
        pb::when::When::After(pb::when::After { after, to }) => When::After { after, to },
    }
}

fn coupon(owned: &Owned) -> Body<'_> {
    macro_rules! named {
        ($coupon:expr, $module:ident) => {
            match $coupon.as_ref().expect("one of three") {
                pb::$module::Coupon::Code(id) => CouponRef::Code(id),
                pb::$module::Coupon::RedemptionId(id) => CouponRef::Redemption(id),
                pb::$module::Coupon::GrantId(id) => CouponRef::Grant(id),
            }
        };
    }
    match owned {
        Owned::CouponUsed(pb::CouponUsed { coupon, order_id }) => {
            Body::CouponUsed { coupon: named!(coupon, coupon_used), order_id }
        }
        Owned::CouponReleased(pb::CouponReleased { coupon, order_id }) => {
            Body::CouponReleased { coupon: named!(coupon, coupon_released), order_id }
        }
        Owned::CouponReserved(pb::CouponReserved { coupon, order_id, until }) => Body::CouponReserved {
            coupon: named!(coupon, coupon_reserved),
            order_id,
            until: instant(until.as_ref().expect("an instant")),
        },
        Owned::CouponRevoked(revoked) => Body::CouponRevoked {
            coupon: named!(revoked.coupon, coupon_revoked),
            restore_points: revoked.restore_points,
            cause: cause(revoked.cause()),
        },
        _ => panic!("no coupon"),
    }
}
