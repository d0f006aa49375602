//! Decisions on the wire.

use crate::time::to_timestamp;
use crate::{Malformed, check, pb};
use accrue_ledger::{Decision, ImportedLot, Instant, IssuedCoupon, Outcome, Promise, Rejection};
use prost::Message as _;
use prost_types::Timestamp;

/// Appends the decision as a [`pb::Decision`].
pub fn write_decision(decision: &Decision, out: &mut Vec<u8>) {
    let message = to_message(decision);
    out.reserve(message.encoded_len());
    message.encode_raw(out);
}

/// Reads a [`pb::Decision`].
///
/// # Errors
/// `undecodable`, `missing_field`, `unknown_value` (a rejection of a later version), `out_of_range`.
pub fn read_decision(bytes: &[u8]) -> Result<Decision, Malformed> {
    let message = pb::Decision::decode(bytes).map_err(|error| Malformed::new("undecodable", format!("protobuf: {error}")))?;
    from_message(message)
}

fn to_message(decision: &Decision) -> pb::Decision {
    let outcome = match &decision.outcome {
        Outcome::Accepted(promise) => pb::decision::Outcome::Accepted(pb::Promise {
            points: promise.points,
            coupon: promise.coupon.as_ref().map(|coupon| pb::IssuedCoupon {
                code: coupon.code.to_string(),
                value: coupon.value.to_string(),
                expires_at: coupon.expires_at.map(to_timestamp),
                uses: coupon.uses,
            }),
            starts_at: promise.starts_at.map(to_timestamp),
            expires_at: promise.expires_at.map(to_timestamp),
            lots: promise.lots.iter().map(lot_to).collect(),
        }),
        Outcome::Rejected(rejection) => pb::decision::Outcome::Rejected(i32::from(*rejection as u8)),
    };
    pb::Decision {
        at: Some(to_timestamp(decision.at)),
        ruleset: decision.ruleset,
        balance_before: decision.balance_before,
        saw_position: decision.saw_position,
        outcome: Some(outcome),
    }
}

fn from_message(message: pb::Decision) -> Result<Decision, Malformed> {
    let outcome = match message.outcome.ok_or_else(|| check::missing("decision: one of accepted and rejected"))? {
        pb::decision::Outcome::Accepted(promise) => Outcome::Accepted(from_promise(promise)?),
        pb::decision::Outcome::Rejected(number) => {
            let known = u32::try_from(number).ok().and_then(Rejection::from_number);
            let unknown =
                || Malformed::new("unknown_value", format!("decision.rejected is {number}: no reason this version knows"));
            Outcome::Rejected(known.ok_or_else(unknown)?)
        }
    };
    Ok(Decision {
        at: instant(message.at, "decision.at")?.ok_or_else(|| check::missing("decision.at"))?,
        outcome,
        ruleset: message.ruleset,
        balance_before: message.balance_before,
        saw_position: message.saw_position,
    })
}

fn from_promise(promise: pb::Promise) -> Result<Promise, Malformed> {
    let coupon = promise.coupon.map(|coupon| {
        Ok::<_, Malformed>(IssuedCoupon {
            code: coupon.code.into(),
            value: coupon.value.into(),
            expires_at: instant(coupon.expires_at, "decision.accepted.coupon.expires_at")?,
            uses: coupon.uses,
        })
    });
    let lots = promise.lots.into_iter().map(lot_from).collect::<Result<_, _>>()?;
    Ok(Promise {
        lots,
        points: promise.points,
        coupon: coupon.transpose()?,
        starts_at: instant(promise.starts_at, "decision.accepted.starts_at")?,
        expires_at: instant(promise.expires_at, "decision.accepted.expires_at")?,
    })
}

/// A lot as it is written.
pub fn lot_to(lot: &ImportedLot) -> pb::ImportedLot {
    pb::ImportedLot {
        points: lot.points,
        earned_at: lot.earned_at.map(to_timestamp),
        starts_at: lot.starts_at.map(to_timestamp),
        expires_at: lot.expires_at.map(to_timestamp),
    }
}

fn lot_from(lot: pb::ImportedLot) -> Result<ImportedLot, Malformed> {
    Ok(ImportedLot {
        points: lot.points,
        earned_at: instant(lot.earned_at, "decision.accepted.lots.earned_at")?,
        starts_at: instant(lot.starts_at, "decision.accepted.lots.starts_at")?,
        expires_at: instant(lot.expires_at, "decision.accepted.lots.expires_at")?,
    })
}

/// Our own bytes: every `Instant` comes back, those outside the calendar too.
fn instant(at: Option<Timestamp>, field: &str) -> Result<Option<Instant>, Malformed> {
    let Some(at) = at else { return Ok(None) };
    let micros = i128::from(at.seconds) * 1_000_000 + i128::from(at.nanos / 1_000);
    match i64::try_from(micros) {
        Ok(micros) => Ok(Some(Instant(micros))),
        Err(_) => Err(Malformed::new("out_of_range", format!("{field} is {} s: no instant", at.seconds))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(decision: &Decision) -> Decision {
        let mut bytes = vec![];
        write_decision(decision, &mut bytes);
        read_decision(&bytes).expect("reads what was written")
    }

    #[test]
    fn decisions_and_back() {
        let mut decision = Decision {
            at: Instant(1_700_000_000_123_456),
            outcome: Outcome::Accepted(Promise {
                points: -5,
                coupon: Some(IssuedCoupon {
                    code: "TEN-AB12".into(),
                    value: "amount 10.00 GBP".into(),
                    expires_at: Some(Instant(-1)),
                    uses: 3,
                }),
                starts_at: Some(Instant::MIN),
                expires_at: Some(Instant::MAX),
                lots: vec![ImportedLot { points: 3, expires_at: Some(Instant(9)), ..ImportedLot::default() }],
            }),
            ruleset: u64::MAX - 7,
            balance_before: -3,
            saw_position: 42,
        };
        assert_eq!(round(&decision), decision);
        decision.outcome = Outcome::Accepted(Promise::default());
        assert_eq!(round(&decision), decision);
        for rejection in Rejection::ALL {
            decision.outcome = Outcome::Rejected(*rejection);
            assert_eq!(round(&decision), decision);
        }
    }

    /// `fact.proto` and the rules speak of the same reasons.
    #[test]
    fn rejections_are_the_same_list() {
        for rejection in Rejection::ALL {
            let named = pb::Rejection::try_from(i32::from(*rejection as u8)).map(|known| known.as_str_name().to_lowercase());
            assert_eq!(named, Ok(format!("rejection_{}", rejection.name())), "{rejection:?}: add it to fact.proto");
        }
        assert!(pb::Rejection::try_from(Rejection::ALL.len() as i32 + 1).is_err(), "fact.proto has one the rules don't");
    }

    #[test]
    fn what_is_no_decision() {
        assert_eq!(read_decision(&[0xff]).map_err(|error| error.code), Err("undecodable"));
        assert_eq!(read_decision(&[]).map_err(|error| error.code), Err("missing_field"));
        let mut unknown = pb::Decision { at: Some(Timestamp::default()), ..Default::default() };
        unknown.outcome = Some(pb::decision::Outcome::Rejected(200));
        assert_eq!(read_decision(&unknown.encode_to_vec()).map_err(|error| error.code), Err("unknown_value"));
    }
}
