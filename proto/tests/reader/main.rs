//! The fast reader against prost: whatever it reads is what the owned types say, for any bytes.

mod generate;
mod slow;

use accrue_proto::{fingerprint, json, pb, read_fact, same_content, write_fact};
use generate::Dice;
use proptest::prelude::*;
use prost::Message as _;

fn bytes_of(fact: &pb::Fact) -> Vec<u8> {
    let mut bytes = vec![];
    write_fact(fact, &mut bytes);
    bytes
}

/// What the reader takes, prost takes, and both mean the same.
fn agree(bytes: &[u8]) -> Result<(), TestCaseError> {
    let owned = pb::Fact::decode(bytes);
    if let Ok(read) = read_fact(bytes) {
        let owned = match &owned {
            Ok(owned) => owned,
            Err(error) => return Err(TestCaseError::fail(format!("prost does not take it: {error}"))),
        };
        prop_assert_eq!(&read, &slow::fact(owned));
        prop_assert!(same_content(bytes, &bytes_of(owned)));
        prop_assert_eq!(fingerprint(bytes), fingerprint(&bytes_of(owned)));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_facts(seed: u64) {
        let owned = generate::fact(&mut Dice::new(seed));
        let bytes = bytes_of(&owned);
        let read = read_fact(&bytes);
        prop_assert!(read.is_ok(), "{:?} of {:?}", read, owned);
        agree(&bytes)?;
    }

    /// Fields in another order, twice, embedded messages in parts, fields nobody knows: still protobuf.
    #[test]
    fn the_same_fact_encoded_otherwise(seed: u64) {
        let mut dice = Dice::new(seed);
        let bytes = generate::reencoded(&bytes_of(&generate::fact(&mut dice)), &mut dice);
        let read = read_fact(&bytes);
        prop_assert!(read.is_ok(), "{read:?}");
        agree(&bytes)?;
    }

    #[test]
    fn mutated_bytes_never_panic(seed: u64) {
        let mut dice = Dice::new(seed);
        let mut bytes = bytes_of(&generate::fact(&mut dice));
        for _ in 0..=dice.below(4) {
            generate::mutate(&mut bytes, &mut dice);
        }
        agree(&bytes)?;
        // Neither do the other readers.
        drop(accrue_proto::read_decision(&bytes));
        drop(json::fact_from_json(&bytes, &json::Defaults::default()));
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        agree(&bytes)?;
    }

    #[test]
    fn json_and_back(seed: u64, with_default: bool) {
        let mut owned = generate::fact(&mut Dice::new(seed));
        // Bytes that only the engine makes are not told in JSON.
        if let Some(pb::fact::Body::FactForwarded(forwarded)) = &mut owned.body {
            (forwarded.fact, forwarded.decision) = (Vec::new(), Vec::new());
        }
        let defaults = json::Defaults { currency: with_default.then_some("KWD") };
        let text = json::fact_to_json(&owned, &defaults).to_string();
        let again = json::fact_from_json(text.as_bytes(), &defaults);
        prop_assert!(again.is_ok(), "{:?}: {}", again, text);
        let mut again = again.unwrap_or_default();
        // Money without a currency, read with the default, carries the default from then on.
        if let (Some(pb::fact::Body::RefundRecorded(refund)), Some(pb::fact::Body::RefundRecorded(was))) = (&mut again.body, &owned.body)
            && with_default && was.currency.is_empty() && (was.amount.is_some() || was.lines.iter().any(|line| line.amount.is_some()))
        {
            prop_assert_eq!(&refund.currency, "KWD");
            refund.currency.clear();
        }
        prop_assert_eq!(again, owned, "{}", text);
    }

    #[test]
    fn other_content_is_never_the_same(one: u64, other: u64) {
        let (one, other) = (generate::fact(&mut Dice::new(one)), generate::fact(&mut Dice::new(other)));
        let (a, b) = (bytes_of(&one), bytes_of(&other));
        prop_assert_eq!(same_content(&a, &b), fingerprint(&a) == fingerprint(&b));
        prop_assert!(same_content(&a, &a));
    }
}
