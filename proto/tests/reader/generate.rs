//! Facts of every kind that are in order, from a seed.

use accrue_ledger::Kind;
use accrue_proto::pb::{self, fact::Body};
use prost_types::Timestamp;

/// A small reproducible generator (splitmix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn flip(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// Small and large ones, from `least`.
    fn amount(&mut self, least: i64) -> i64 {
        let most = [1, 100, 100_000, 1_000_000_000_000_000_u64][self.below(4) as usize];
        (self.below(most) as i64 + least).min(1_000_000_000_000_000)
    }

    fn id(&mut self) -> String {
        let words = ["a", "A-1", "m/7", "Ω≠ß", "with blank", "0", "x\u{200b}y"];
        let mut id = words[self.below(words.len() as u64) as usize].to_owned();
        id.push_str(&self.below(20).to_string());
        if self.below(50) == 0 {
            id.push_str(&"y".repeat(256 - id.len()));
        }
        id
    }

    fn maybe_id(&mut self) -> String {
        if self.flip() { self.id() } else { String::new() }
    }

    fn text(&mut self) -> String {
        if self.flip() { format!("{}\nand more\t", self.id()) } else { String::new() }
    }

    fn ids(&mut self) -> Vec<String> {
        (0..self.below(4)).map(|_| self.id()).collect()
    }

    fn at(&mut self) -> Timestamp {
        let seconds = [0, -1, 1_700_000_000, 253_402_207_200, -62_135_596_800][self.below(5) as usize];
        Timestamp { seconds, nanos: [0, 1, 999, 1_000, 123_456_789, 999_999_999][self.below(6) as usize] }
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.flip() { Some(make(self)) } else { None }
    }

    fn currency(&mut self) -> String {
        ["GBP", "JPY", "KWD", "CLF"][self.below(4) as usize].to_owned()
    }
}

pub fn fact(dice: &mut Dice) -> pb::Fact {
    let kind = Kind::ALL[dice.below(Kind::ALL.len() as u64) as usize];
    pb::Fact {
        id: dice.id(),
        source: dice.id(),
        program: "acme".into(),
        member: if kind.is_control() { String::new() } else { dice.id() },
        occurred_at: Some(dice.at()),
        actor: dice.maybe_id(),
        body: Some(body(kind, dice)),
    }
}

fn body(kind: Kind, dice: &mut Dice) -> Body {
    match kind {
        Kind::OrderPlaced => Body::OrderPlaced(order(dice)),
        Kind::OrderFulfilled => Body::OrderFulfilled(pb::OrderFulfilled { order_id: dice.id() }),
        Kind::OrderCancelled => Body::OrderCancelled(pb::OrderCancelled { order_id: dice.id() }),
        Kind::RefundRecorded => Body::RefundRecorded(refund(dice)),
        Kind::RedemptionRecorded => Body::RedemptionRecorded(pb::RedemptionRecorded {
            redemption_id: dice.id(),
            reward: dice.id(),
            points: dice.maybe(|dice| dice.amount(1)),
            ledger: dice.maybe_id(),
            coupon_code: dice.maybe_id(),
            order_id: dice.maybe_id(),
        }),
        Kind::ActivityRecorded => Body::ActivityRecorded(pb::ActivityRecorded {
            activity_id: dice.id(),
            activity: dice.id(),
            attributes: dice.ids().into_iter().map(|name| (name, dice.text())).collect(),
        }),
        Kind::PointsImported => Body::PointsImported(pb::PointsImported {
            import_id: dice.id(),
            ledger: dice.maybe_id(),
            lots: (0..=dice.below(3)).map(|_| lot(dice)).collect(),
            tier_credit: dice.amount(0),
        }),
        Kind::MemberExcluded => Body::MemberExcluded(excluded(dice)),
        Kind::RulesApplied => Body::RulesApplied(pb::RulesApplied { application: dice.id(), record: "{}".into() }),
        Kind::RulesetActivated => Body::RulesetActivated(pb::RulesetActivated {
            ruleset: "program = \"acme\"\n".into(),
            hash: "00ff".into(),
            effective_from: Some(dice.at()),
        }),
        Kind::CouponUsed => Body::CouponUsed(pb::CouponUsed {
            coupon: Some(match dice.below(3) {
                0 => pb::coupon_used::Coupon::Code(dice.id()),
                1 => pb::coupon_used::Coupon::RedemptionId(dice.id()),
                _ => pb::coupon_used::Coupon::GrantId(dice.id()),
            }),
            order_id: dice.id(),
        }),
        Kind::CouponReleased => Body::CouponReleased(pb::CouponReleased {
            coupon: Some(pb::coupon_released::Coupon::GrantId(dice.id())),
            order_id: dice.id(),
        }),
        _ if kind.is_request() || kind.is_of_hand_over() => request(kind, dice),
        _ => noted(kind, dice),
    }
}

fn excluded(dice: &mut Dice) -> pb::MemberExcluded {
    let from = dice.maybe(|_| Timestamp { seconds: -62_135_596_800, nanos: 0 });
    // Without a start of its own it starts at the envelope's instant, which may be the last there is.
    let until = from.filter(|_| dice.flip()).map(|_| Timestamp { seconds: 253_402_207_200, nanos: 999_999_999 });
    pb::MemberExcluded { from, until, earn: true, redeem: dice.flip() }
}

fn order(dice: &mut Dice) -> pb::OrderPlaced {
    let count = [0, 1, 3, 20][dice.below(4) as usize];
    pb::OrderPlaced {
        order_id: dice.id(),
        version: dice.below(3) as u32,
        currency: dice.currency(),
        lines: (0..count).map(|index| line(index, dice)).collect(),
        discount: dice.amount(0),
        shipping: dice.amount(0),
        tax: dice.amount(0),
        paid_with_gift_card: dice.amount(0),
        paid_with_points: dice.amount(0),
        coupons: dice.ids(),
        channel: dice.maybe_id(),
        referral_code: dice.maybe_id(),
    }
}

fn line(index: u64, dice: &mut Dice) -> pb::Line {
    let quantity = dice.below(1_000) as i64;
    let unit_price = dice.amount(0) / 1_000;
    let discount = if quantity * unit_price == 0 { 0 } else { dice.amount(0) % (quantity * unit_price + 1) };
    let (collections, tags) = (dice.ids(), dice.ids());
    pb::Line { line_id: index.to_string(), sku: dice.maybe_id(), quantity, unit_price, discount, collections, tags }
}

fn refund(dice: &mut Dice) -> pb::RefundRecorded {
    let lines: Vec<_> = (0..dice.below(3))
        .map(|_| pb::RefundLine { line_id: dice.id(), quantity: dice.amount(0), amount: dice.maybe(|dice| dice.amount(0)) })
        .collect();
    pb::RefundRecorded {
        refund_id: dice.id(),
        order_id: dice.maybe_id(),
        amount: lines.is_empty().then(|| dice.amount(1)),
        lines,
        currency: if dice.flip() { dice.currency() } else { String::new() },
    }
}

fn lot(dice: &mut Dice) -> pb::ImportedLot {
    pb::ImportedLot {
        points: dice.amount(1),
        earned_at: dice.maybe(Dice::at),
        starts_at: dice.maybe(Dice::at),
        expires_at: dice.maybe(Dice::at),
    }
}

fn when(dice: &mut Dice) -> pb::When {
    pb::When {
        when: Some(match dice.below(4) {
            0 => pb::when::When::At(dice.at()),
            1 => pb::when::When::Named(pb::when::Named::Never.into()),
            2 => pb::when::When::Named(pb::when::Named::Immediate.into()),
            _ => {
                let to = ["", "day_start", "year_end"][dice.below(3) as usize].to_owned();
                let after = ["P14D", "PT10M", "P1Y2M3DT4H"][dice.below(3) as usize].to_owned();
                pb::when::When::After(pb::when::After { after, to })
            }
        }),
    }
}

fn request(kind: Kind, dice: &mut Dice) -> Body {
    match kind {
        Kind::RedemptionRequested => Body::RedemptionRequested(pb::RedemptionRequested {
            redemption_id: dice.id(),
            reward: dice.maybe_id(),
            points: dice.maybe(|dice| dice.amount(1)),
            ledger: dice.maybe_id(),
            order_id: dice.maybe_id(),
        }),
        Kind::RedemptionReversed => Body::RedemptionReversed(pb::RedemptionReversed {
            redemption_id: dice.id(),
            points: dice.maybe(|dice| dice.amount(1)),
            cause: 1 + dice.below(2) as i32,
        }),
        Kind::RewardGranted => {
            let deduct = dice.maybe(Dice::flip);
            Body::RewardGranted(pb::RewardGranted { grant_id: dice.id(), reward: dice.id(), reason: dice.text(), deduct })
        }
        Kind::CouponReserved => Body::CouponReserved(pb::CouponReserved {
            coupon: Some(pb::coupon_reserved::Coupon::Code(dice.id())),
            order_id: dice.id(),
            until: Some(dice.at()),
        }),
        Kind::CouponRevoked => Body::CouponRevoked(pb::CouponRevoked {
            coupon: Some(pb::coupon_revoked::Coupon::RedemptionId(dice.id())),
            restore_points: dice.flip(),
            cause: 1 + dice.below(2) as i32,
        }),
        Kind::PointsAdjusted => {
            let points = if dice.flip() { dice.amount(1) } else { -dice.amount(1) };
            Body::PointsAdjusted(pb::PointsAdjusted {
                adjustment_id: dice.id(),
                ledger: dice.maybe_id(),
                points,
                tier_credit: if dice.flip() { dice.amount(0) } else { -dice.amount(0) },
                reason: dice.text(),
                note: dice.text(),
                message: dice.text(),
                starts: dice.maybe(when),
                expires: dice.maybe(when),
                allow_debt: dice.flip(),
                takes_back: if points < 0 { dice.maybe_id() } else { String::new() },
            })
        }
        Kind::PointsTransferred => Body::PointsTransferred(pb::PointsTransferred {
            transfer_id: dice.id(),
            to: Some(pb::points_transferred::To::ToLedger(dice.id())),
            points: dice.amount(1),
            ledger: dice.maybe_id(),
        }),
        Kind::PointsReceived => Body::PointsReceived(pb::PointsReceived {
            transfer_id: dice.id(),
            from_member: dice.id(),
            ledger: dice.maybe_id(),
            lots: vec![pb::ImportedLot { points: dice.amount(1), expires_at: dice.maybe(Dice::at), ..Default::default() }],
            returned: dice.flip(),
        }),
        Kind::ReferralCodeClaimed => Body::ReferralCodeClaimed(pb::ReferralCodeClaimed { code: dice.id(), owner: dice.id() }),
        Kind::ReferralAsked => Body::ReferralAsked(pb::ReferralAsked { code: dice.id(), friend: dice.id() }),
        Kind::FactForwarded => {
            let (fact, decision) = (dice.text().into_bytes(), dice.text().into_bytes());
            Body::FactForwarded(pb::FactForwarded { about: dice.id(), fact, decision })
        }
        Kind::HandOverContinued => {
            Body::HandOverContinued(pb::HandOverContinued { to: dice.id(), started: dice.amount(0), after: dice.amount(0) })
        }
        Kind::MembersHandedOver => Body::MembersHandedOver(pb::MembersHandedOver { members: vec![dice.id(), dice.id()] }),
        Kind::TierOverridden => Body::TierOverridden(pb::TierOverridden {
            tier: dice.id(),
            mode: 1 + dice.below(2) as i32,
            until: dice.maybe(Dice::at),
            reason: dice.text(),
        }),
        _ => Body::TierOverrideEnded(pb::TierOverrideEnded {}),
    }
}

fn noted(kind: Kind, dice: &mut Dice) -> Body {
    match kind {
        Kind::MemberRegistered => Body::MemberRegistered(pb::MemberRegistered { guest: dice.flip() }),
        Kind::MemberProfileChanged => Body::MemberProfileChanged(pb::MemberProfileChanged {
            name: dice.maybe(Dice::text),
            email: dice.maybe(Dice::text),
            phone: dice.maybe(Dice::text),
            birthday: dice.maybe(|_| "1990-02-28".into()),
            attributes: dice.ids().into_iter().map(|name| (name, dice.text())).collect(),
            consents: dice.ids().into_iter().map(|name| (name, dice.flip())).collect(),
            sealed: Vec::new(),
        }),
        Kind::MemberLeft => Body::MemberLeft(pb::MemberLeft {}),
        Kind::MemberIncluded => Body::MemberIncluded(pb::MemberIncluded {}),
        Kind::MembersMerged => Body::MembersMerged(pb::MembersMerged { loser: dice.id() }),
        Kind::MembersUnmerged => Body::MembersUnmerged(pb::MembersUnmerged { loser: dice.id() }),
        Kind::NoteAdded => Body::NoteAdded(pb::NoteAdded { text: format!("{}!", dice.text()), sealed: Vec::new() }),
        Kind::TagsChanged => {
            let mut add = dice.ids();
            add.push(dice.id());
            Body::TagsChanged(pb::TagsChanged { add, remove: dice.ids(), sealed: Vec::new() })
        }
        Kind::CardIssued => Body::CardIssued(pb::CardIssued { code: dice.id() }),
        Kind::CardStatusChanged => {
            Body::CardStatusChanged(pb::CardStatusChanged { code: dice.id(), status: 1 + dice.below(3) as i32 })
        }
        Kind::CardReplaced => Body::CardReplaced(pb::CardReplaced { old: dice.id(), new: dice.id() }),
        Kind::ReferralVisited => Body::ReferralVisited(pb::ReferralVisited { code: dice.id() }),
        Kind::ReferralJoined => Body::ReferralJoined(pb::ReferralJoined { code: dice.id() }),
        Kind::ReferralCodeChanged => Body::ReferralCodeChanged(pb::ReferralCodeChanged { slug: "Ann-7".into() }),
        Kind::ReferralCodeSettled => Body::ReferralCodeSettled(pb::ReferralCodeSettled { code: dice.id(), taken: dice.flip() }),
        Kind::ReferralAnswered => Body::ReferralAnswered(pb::ReferralAnswered { code: dice.id(), owner: dice.id() }),
        Kind::ReferralTold => Body::ReferralTold(pb::ReferralTold {
            friend: dice.id(),
            code: dice.id(),
            stage: 1 + dice.below(3) as i32,
            revision: dice.amount(1),
            order_id: dice.maybe_id(),
            amount: dice.amount(0),
            withdrawn: dice.flip(),
        }),
        Kind::ExceptionResolved => {
            let (order_id, line_id) = if dice.flip() { (dice.id(), dice.maybe_id()) } else { (String::new(), String::new()) };
            Body::ExceptionResolved(pb::ExceptionResolved { exception: dice.id(), order_id, line_id, reason: dice.text() })
        }
        Kind::TierCreditAdjusted => {
            Body::TierCreditAdjusted(pb::TierCreditAdjusted { amount: -dice.amount(1), reason: dice.text() })
        }
        Kind::TierCreditRecalculated => Body::TierCreditRecalculated(pb::TierCreditRecalculated {}),
        _ => Body::MemberErased(pb::MemberErased {}),
    }
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// The fields of a well-formed message of varints and bytes: (key, whole field, payload).
fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>, Vec<u8>)> {
    let mut fields = vec![];
    while !message.is_empty() {
        let whole = message;
        let key = varint(&mut message);
        let mut payload = &message[..0];
        match key & 7 {
            0 => drop(std::hint::black_box(varint(&mut message))),
            2 => {
                let length = varint(&mut message) as usize;
                (payload, message) = message.split_at(length);
            }
            other => panic!("wire type {other}"),
        }
        fields.push((key, whole[..whole.len() - message.len()].to_vec(), payload.to_vec()));
    }
    fields
}

/// The same fact, as another writer might put it.
pub fn reencoded(fact: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut pieces: Vec<Vec<u8>> = vec![];
    for (key, whole, payload) in fields(fact) {
        let number = key >> 3;
        if number >= 16 || number == 5 {
            // Embedded messages in as many parts as they have fields.
            let mut parts: Vec<Vec<u8>> = fields(&payload).into_iter().map(|(_, whole, _)| whole).collect();
            parts.push(vec![0xfa, 0x3f, 1, b'?']); // field 1023
            for part in parts {
                let mut piece = vec![];
                put_varint(key, &mut piece);
                put_varint(part.len() as u64, &mut piece);
                piece.extend(part);
                pieces.push(piece);
            }
        } else {
            if dice.flip() {
                // An earlier value of the same field loses.
                let mut earlier = vec![];
                put_varint(key, &mut earlier);
                earlier.extend([3, b'o', b'l', b'd']);
                pieces.push(earlier);
            }
            pieces.push(whole);
        }
        match dice.below(4) {
            0 => pieces.push(vec![0x38, 0xff, 0x01]),             // field 7, varint
            1 => pieces.push(vec![0x45, 1, 2, 3, 4]),             // field 8, 32 bits
            2 => pieces.push(vec![0x4b, 0x08, 1, 0x4c]),          // field 9, a group
            _ => pieces.push(vec![0x51, 1, 2, 3, 4, 5, 6, 7, 8]), // field 10, 64 bits
        }
    }
    // Fields of different numbers may change places.
    let turn = dice.below(pieces.len() as u64) as usize;
    let numbers = |piece: &Vec<u8>| varint(&mut piece.as_slice()) >> 3;
    let (tail, head): (Vec<Vec<u8>>, Vec<Vec<u8>>) = {
        let first = numbers(&pieces[turn]);
        pieces.into_iter().partition(|piece| numbers(piece) == first)
    };
    [head.concat(), tail.concat()].concat()
}

/// Damages the bytes a little.
pub fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.below(bytes.len().max(1) as u64) as usize;
    match dice.below(5) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
        1 if !bytes.is_empty() => bytes[at] = dice.next() as u8,
        2 if !bytes.is_empty() => drop(bytes.remove(at)),
        3 => bytes.truncate(at),
        _ => bytes.insert(at, dice.next() as u8),
    }
}
