//! What `fact.proto` says, as a tree to walk: read once from the embedded descriptors.

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// `accrue.v1.Fact` and everything in it.
pub(super) static FACT: LazyLock<Message> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(crate::DESCRIPTOR_SET).unwrap_or_default();
    let mut types = Types::default();
    for file in &files.file {
        let scope = format!(".{}", file.package());
        file.enum_type.iter().for_each(|one| types.add_enum(&scope, one));
        file.message_type.iter().for_each(|one| types.add_message(&scope, one));
    }
    message(".accrue.v1.Fact", &types)
});

/// Which `int64`s are money: (message, field). All others are whole numbers.
const MONEY: [(&str, &str); 13] = [
    ("OrderPlaced", "discount"),
    ("OrderPlaced", "shipping"),
    ("OrderPlaced", "tax"),
    ("OrderPlaced", "paid_with_gift_card"),
    ("OrderPlaced", "paid_with_points"),
    ("Line", "unit_price"),
    ("Line", "discount"),
    ("RefundRecorded", "amount"),
    ("RefundLine", "amount"),
    ("PointsImported", "tier_credit"),
    ("PointsAdjusted", "tier_credit"),
    ("TierCreditAdjusted", "amount"),
    ("ReferralTold", "amount"),
];

/// A message type.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
}

impl Message {
    pub(super) fn by_name(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub(super) fn by_number(&self, number: u32) -> Option<&Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) number: u32,
    pub(super) shape: Shape,
    pub(super) repeated: bool,
    /// The oneof it is in.
    pub(super) oneof: Option<i32>,
}

/// How a value looks, here and there.
#[derive(Debug)]
pub(super) enum Shape {
    Text,
    Whole,
    Small,
    Bool,
    Money,
    Instant,
    /// `accrue.v1.When`, which JSON writes shorter.
    When(Message),
    /// Names in lower case, without what is common to all.
    Enum(Vec<(String, i32)>),
    Message(Message),
    /// A message that is a body: where the currency of all money in it is found.
    Body(Message),
    /// From text to what the second field of the entry is.
    Map(Message),
}

#[derive(Default)]
struct Types<'a> {
    messages: BTreeMap<String, &'a DescriptorProto>,
    enums: BTreeMap<String, &'a EnumDescriptorProto>,
}

impl<'a> Types<'a> {
    fn add_message(&mut self, scope: &str, message: &'a DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        message.enum_type.iter().for_each(|one| self.add_enum(&name, one));
        message.nested_type.iter().for_each(|one| self.add_message(&name, one));
        self.messages.insert(name, message);
    }

    fn add_enum(&mut self, scope: &str, one: &'a EnumDescriptorProto) {
        self.enums.insert(format!("{scope}.{}", one.name()), one);
    }
}

/// The tree below a message: no message of a fact holds itself.
fn message(full_name: &str, types: &Types<'_>) -> Message {
    let Some(descriptor) = types.messages.get(full_name) else {
        return Message::default();
    };
    // Bytes are what the log has of personal data: nobody is to say or see them as JSON.
    let said = descriptor.field.iter().filter(|one| one.r#type() != Type::Bytes);
    let fields = said.map(|one| field(descriptor.name(), one, types)).collect();
    Message { name: descriptor.name().to_owned(), fields }
}

fn field(message_name: &str, one: &FieldDescriptorProto, types: &Types<'_>) -> Field {
    let shape = match one.r#type() {
        Type::String => Shape::Text,
        Type::Bool => Shape::Bool,
        Type::Uint32 => Shape::Small,
        Type::Int64 if MONEY.contains(&(message_name, one.name())) => Shape::Money,
        Type::Enum => Shape::Enum(types.enums.get(one.type_name()).map_or_else(Vec::new, |one| names(one))),
        Type::Message => match one.type_name() {
            ".google.protobuf.Timestamp" => Shape::Instant,
            ".accrue.v1.When" => Shape::When(message(one.type_name(), types)),
            name if types
                .messages
                .get(name)
                .is_some_and(|entry| entry.options.as_ref().is_some_and(|options| options.map_entry())) =>
            {
                Shape::Map(message(name, types))
            }
            name if message_name == "Fact" => Shape::Body(message(name, types)),
            name => Shape::Message(message(name, types)),
        },
        _ => Shape::Whole,
    };
    let repeated = one.label() == Label::Repeated && !matches!(shape, Shape::Map(_));
    let oneof = one.oneof_index.filter(|_| !one.proto3_optional());
    Field { name: one.name().to_owned(), number: one.number().unsigned_abs(), shape, repeated, oneof }
}

/// `CARD_STATUS_ACTIVE` of `CardStatus` is `active`; number 0 has no name.
fn names(one: &EnumDescriptorProto) -> Vec<(String, i32)> {
    let mut prefix = String::new();
    for letter in one.name().chars() {
        if letter.is_ascii_uppercase() && !prefix.is_empty() {
            prefix.push('_');
        }
        prefix.push(letter.to_ascii_uppercase());
    }
    prefix.push('_');
    let named = one.value.iter().filter(|value| value.number() != 0);
    let short = |name: &str| name.strip_prefix(&prefix).unwrap_or(name).to_ascii_lowercase();
    named.map(|value| (short(value.name()), value.number())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_ledger::Kind;

    /// The contract between `fact.proto` and the rules: names and numbers of all bodies.
    #[test]
    fn bodies_are_the_kinds_of_the_ledger() {
        let bodies: Vec<(&str, u32)> =
            FACT.fields.iter().filter(|field| field.oneof.is_some()).map(|field| (field.name.as_str(), field.number)).collect();
        let kinds: Vec<(&str, u32)> = Kind::ALL.iter().map(|kind| (kind.name(), u32::from(*kind as u8))).collect();
        assert_eq!(bodies, kinds);
        let envelope: Vec<&str> =
            FACT.fields.iter().filter(|field| field.oneof.is_none()).map(|field| field.name.as_str()).collect();
        assert_eq!(envelope, ["id", "source", "program", "member", "occurred_at", "actor"]);
    }

    fn wholes(message: &Message, found: &mut Vec<String>, money: &mut usize) {
        for field in &message.fields {
            match &field.shape {
                Shape::Whole => found.push(format!("{}.{}", message.name, field.name)),
                Shape::Money => *money += 1,
                Shape::Message(inner) | Shape::Body(inner) | Shape::When(inner) | Shape::Map(inner) => {
                    wholes(inner, found, money)
                }
                Shape::Enum(names) => assert!(!names.is_empty(), "{}", field.name),
                Shape::Text | Shape::Small | Shape::Bool | Shape::Instant => {}
            }
        }
    }

    /// A new `int64` must be put on one of the two lists: read as the wrong one it would be off by a hundred.
    #[test]
    fn every_number_is_money_or_whole() {
        let (mut found, mut money) = (vec![], 0);
        wholes(&FACT, &mut found, &mut money);
        found.sort();
        found.dedup();
        let known = [
            "HandOverContinued.after",
            "HandOverContinued.started",
            "ImportedLot.points",
            "Line.quantity",
            "PointsAdjusted.points",
            "PointsTransferred.points",
            "RedemptionRecorded.points",
            "RedemptionRequested.points",
            "RedemptionReversed.points",
            "ReferralTold.revision",
            "RefundLine.quantity",
        ];
        assert_eq!(found, known);
        assert_eq!(money, MONEY.len());
    }

    #[test]
    fn enum_names() {
        let Some(Shape::Body(card)) = FACT.by_name("card_status_changed").map(|field| &field.shape) else { panic!("a message") };
        let Some(Shape::Enum(names)) = card.by_name("status").map(|field| &field.shape) else { panic!("an enum") };
        assert_eq!(names, &[("active".to_owned(), 1), ("inactive".to_owned(), 2), ("blocked".to_owned(), 3)]);
    }
}
