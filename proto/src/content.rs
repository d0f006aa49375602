//! Duplicate or conflict: whether two facts under one identity say the same (facts.md, "Idempotency").
//!
//! Compared are program, member, body by its decoded meaning and, for facts, `occurred_at`: a retried request may be
//! stamped anew. `id`, `source` and `actor` are not compared.

use crate::read::Envelope;
use crate::time::from_timestamp;
use crate::wire::put_bytes;
use crate::{Malformed, pb};
use accrue_ledger::Kind;
use prost::Message as _;
use prost_types::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

/// Whether both say the same. Bytes that can't be decoded are only the same as themselves.
pub fn same_content(a: &[u8], b: &[u8]) -> bool {
    same_content_if(a, b, |a, b| a == b)
}

/// As [`same_content`], where `one_member` says whether two members are the same one (§11).
pub fn same_content_if(a: &[u8], b: &[u8], one_member: impl Fn(&str, &str) -> bool) -> bool {
    if a == b {
        return true;
    }
    let (Ok(a), Ok(b)) = (Envelope::read(a), Envelope::read(b)) else {
        return false;
    };
    if a.program != b.program || !one_member(a.member, b.member) || instant(&a) != instant(&b) {
        return false;
    }
    match (&a.body, &b.body) {
        (None, None) => true,
        (Some((kind, _)), Some((other, _))) if kind != other => false,
        // What was never readable, or is not any more, can't be told from what is said again.
        (Some((kind, parts)), Some((_, others))) if kind.is_personal() && (blank(parts) || blank(others)) => true,
        (Some((_, parts)), Some((_, others))) if parts == others => true,
        (Some(_), Some(_)) => matches!((body(&a), body(&b)), (Ok(a), Ok(b)) if a == b),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// A stable hash of what [`same_content`] compares, for reports: equal for facts with the same content.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    match canonical(bytes) {
        Ok(canonical) => xxh3_64(&canonical),
        Err(_) => xxh3_64(bytes),
    }
}

fn blank(parts: &[&[u8]]) -> bool {
    let is_blank = |sealed: &[u8]| crate::personal::key_of(sealed) == Some(crate::personal::NO_KEY);
    crate::personal::sealed_in(parts).is_some_and(is_blank)
}

fn canonical(bytes: &[u8]) -> Result<Vec<u8>, Malformed> {
    let envelope = Envelope::read(bytes)?;
    let fact = pb::Fact {
        program: envelope.program.to_owned(),
        member: envelope.member.to_owned(),
        occurred_at: instant(&envelope),
        body: body(&envelope)?,
        ..Default::default()
    };
    Ok(fact.encode_to_vec())
}

/// To the microsecond, as the rules see it; `None` for requests.
fn instant(envelope: &Envelope<'_>) -> Option<Timestamp> {
    if envelope.body.as_ref().is_some_and(|(kind, _)| kind.is_request()) {
        return None;
    }
    let at = envelope.occurred_at.map(|stamp| Timestamp { seconds: stamp.seconds, nanos: stamp.nanos })?;
    Some(from_timestamp(&at).map_or(at, crate::to_timestamp))
}

fn body(envelope: &Envelope<'_>) -> Result<Option<pb::fact::Body>, Malformed> {
    let Some((kind, parts)) = &envelope.body else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    for part in parts {
        put_bytes(number(*kind), part, &mut bytes);
    }
    let fact = pb::Fact::decode(bytes.as_slice()).map_err(|error| Malformed::new("undecodable", format!("protobuf: {error}")))?;
    Ok(fact.body.map(plain))
}

fn number(kind: Kind) -> u32 {
    u32::from(kind as u8)
}

/// One way to say a thing that can be said in two.
fn plain(mut body: pb::fact::Body) -> pb::fact::Body {
    match &mut body {
        pb::fact::Body::OrderPlaced(order) => order.version = order.version.max(1),
        pb::fact::Body::RedemptionReversed(reversed) if reversed.cause() == pb::Cause::Unspecified => {
            reversed.set_cause(pb::Cause::System);
        }
        pb::fact::Body::CouponRevoked(revoked) if revoked.cause() == pb::Cause::Unspecified => {
            revoked.set_cause(pb::Cause::System);
        }
        _ => {}
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> pb::Fact {
        pb::Fact {
            id: "e1".into(),
            source: "shop".into(),
            program: "acme".into(),
            member: "m1".into(),
            occurred_at: Some(Timestamp { seconds: 1_700_000_000, nanos: 5_000 }),
            actor: "till".into(),
            body: Some(pb::fact::Body::OrderPlaced(pb::OrderPlaced {
                order_id: "A".into(),
                currency: "GBP".into(),
                ..Default::default()
            })),
        }
    }

    fn request() -> pb::Fact {
        let requested = pb::RedemptionRequested { redemption_id: "R".into(), reward: "ten".into(), ..Default::default() };
        pb::Fact { body: Some(pb::fact::Body::RedemptionRequested(requested)), ..order() }
    }

    fn check(a: &pb::Fact, b: &pb::Fact, same: bool) {
        let (a, b) = (a.encode_to_vec(), b.encode_to_vec());
        assert_eq!(same_content(&a, &b), same);
        assert_eq!(fingerprint(&a) == fingerprint(&b), same);
    }

    #[test]
    fn what_counts_and_what_does_not() {
        let other_id = pb::Fact { id: "e2".into(), source: "pos".into(), actor: String::new(), ..order() };
        check(&order(), &other_id, true);
        check(&order(), &pb::Fact { program: "other".into(), ..order() }, false);
        check(&order(), &pb::Fact { member: "m2".into(), ..order() }, false);
        check(&order(), &request(), false);
        let mut version = order();
        if let Some(pb::fact::Body::OrderPlaced(order)) = &mut version.body {
            order.version = 1;
        }
        check(&order(), &version, true);
        if let Some(pb::fact::Body::OrderPlaced(order)) = &mut version.body {
            order.discount = 1;
        }
        check(&order(), &version, false);
    }

    #[test]
    fn a_retried_request_may_be_stamped_anew_a_fact_may_not() {
        let later = Some(Timestamp { seconds: 1_700_000_001, nanos: 0 });
        check(&order(), &pb::Fact { occurred_at: later, ..order() }, false);
        check(&request(), &pb::Fact { occurred_at: later, ..request() }, true);
        // Instants are microseconds.
        check(&order(), &pb::Fact { occurred_at: Some(Timestamp { seconds: 1_700_000_000, nanos: 5_999 }), ..order() }, true);
    }

    #[test]
    fn other_bytes_same_meaning() {
        // The order's fields in two parts, and a field of a later version.
        let whole = order().encode_to_vec();
        let mut parts = pb::Fact { body: None, ..order() }.encode_to_vec();
        put_bytes(16, b"\x1a\x03GBP\xf8\x07\x01", &mut parts);
        put_bytes(16, b"\x0a\x01A", &mut parts);
        assert!(same_content(&whole, &parts));
        assert_eq!(fingerprint(&whole), fingerprint(&parts));
    }

    #[test]
    fn rubbish_is_only_itself() {
        assert!(same_content(b"\xff", b"\xff"));
        assert!(!same_content(b"\xff", b"\xfe"));
        assert!(!same_content(b"\xff", &order().encode_to_vec()));
        assert_ne!(fingerprint(b"\xff"), fingerprint(b"\xfe"));
    }

    /// Fingerprints are written into reports and compared later: the hash must never change.
    #[test]
    fn fingerprints_are_stable() {
        assert_eq!(format!("{:016x}", fingerprint(&order().encode_to_vec())), "a86f66602c10c37d");
    }
}
