//! Personal data as the log has it: the body of a fact sealed under a key of the member's own (§11).
//!
//! The bytes of `sealed` are the number of the member's key (big-endian, 0: none, the content is gone), then what the key opens.

use crate::error::{Fault, fault};
use crate::read::Envelope;
use crate::wire::each_field;
use crate::{Malformed, pb, write_fact};
use accrue_ledger::Kind;
use pb::fact::Body;
use prost::Message as _;

/// The number of no key: nobody can ever read it.
pub const NO_KEY: u32 = 0;
/// Bytes of a key's number.
const NUMBER_BYTES: usize = 4;
/// `sealed` in all three bodies.
const FIELD: u32 = 15;

/// What sealing and opening need to know of a fact with personal data.
#[derive(Clone, Debug, PartialEq)]
pub struct Personal {
    /// The fact; its body is whole or sealed.
    pub fact: pb::Fact,
    /// Which of the three it is.
    pub kind: Kind,
}

impl Personal {
    /// Reads a fact. `None`: it is not one of those with personal data.
    ///
    /// # Errors
    /// It can't be decoded.
    pub fn read(bytes: &[u8]) -> Result<Option<Personal>, Malformed> {
        let Some((kind, _)) = Envelope::read(bytes)?.body.filter(|(kind, _)| kind.is_personal()) else {
            return Ok(None);
        };
        let fact = pb::Fact::decode(bytes).map_err(|error| Malformed::new("undecodable", format!("protobuf: {error}")))?;
        Ok(Some(Personal { fact, kind }))
    }

    /// Its sealed bytes; empty: it is not sealed.
    pub fn sealed(&self) -> &[u8] {
        match &self.fact.body {
            Some(Body::MemberProfileChanged(pb::MemberProfileChanged { sealed, .. }))
            | Some(Body::NoteAdded(pb::NoteAdded { sealed, .. }))
            | Some(Body::TagsChanged(pb::TagsChanged { sealed, .. })) => sealed,
            _ => &[],
        }
    }

    /// The body alone, in one form whatever form it came in: what is sealed.
    pub fn content(&self) -> Vec<u8> {
        match &self.fact.body {
            Some(Body::MemberProfileChanged(body)) => body.encode_to_vec(),
            Some(Body::NoteAdded(body)) => body.encode_to_vec(),
            Some(Body::TagsChanged(body)) => body.encode_to_vec(),
            _ => Vec::new(),
        }
    }

    /// The fact with nothing but these sealed bytes in its body.
    pub fn with_sealed(mut self, sealed: Vec<u8>) -> Vec<u8> {
        self.fact.body = match self.kind {
            Kind::MemberProfileChanged => {
                Some(Body::MemberProfileChanged(pb::MemberProfileChanged { sealed, ..Default::default() }))
            }
            Kind::NoteAdded => Some(Body::NoteAdded(pb::NoteAdded { sealed, ..Default::default() })),
            Kind::TagsChanged => Some(Body::TagsChanged(pb::TagsChanged { sealed, ..Default::default() })),
            _ => self.fact.body,
        };
        let mut bytes = Vec::new();
        write_fact(&self.fact, &mut bytes);
        bytes
    }

    /// The fact with its body whole again. `None`: the content is not that of such a body.
    pub fn with_content(mut self, content: &[u8]) -> Option<pb::Fact> {
        self.fact.body = Some(match self.kind {
            Kind::MemberProfileChanged => Body::MemberProfileChanged(pb::MemberProfileChanged::decode(content).ok()?),
            Kind::NoteAdded => Body::NoteAdded(pb::NoteAdded::decode(content).ok()?),
            _ => Body::TagsChanged(pb::TagsChanged::decode(content).ok()?),
        });
        Some(self.fact)
    }
}

/// Sealed bytes that nobody can ever read.
pub fn blank() -> Vec<u8> {
    NO_KEY.to_be_bytes().to_vec()
}

/// The number of the key and what it opens.
pub fn split(sealed: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = sealed.split_at_checked(NUMBER_BYTES)?;
    Some((u32::from_be_bytes(number.try_into().ok()?), rest))
}

pub(crate) fn key_of(sealed: &[u8]) -> Option<u32> {
    split(sealed).map(|(number, _)| number)
}

/// `sealed` of a body that may have come in parts.
pub(crate) fn sealed_in<'a>(parts: &[&'a [u8]]) -> Option<&'a [u8]> {
    let mut sealed = None;
    let read = each_field(parts, |reader, key| match key.number() {
        FIELD => reader.bytes(key, "sealed").map(|bytes| sealed = Some(bytes)),
        _ => reader.skip(key),
    });
    read.ok().and(sealed)
}

/// A sealed body has nothing beside.
pub(crate) fn only_sealed(body: &Body) -> Result<(), Fault> {
    let alone = match body {
        Body::MemberProfileChanged(body) => {
            *body == pb::MemberProfileChanged { sealed: body.sealed.clone(), ..Default::default() }
                && key_of(&body.sealed).is_some()
        }
        Body::NoteAdded(body) => body.text.is_empty() && key_of(&body.sealed).is_some(),
        Body::TagsChanged(body) => body.add.is_empty() && body.remove.is_empty() && key_of(&body.sealed).is_some(),
        _ => true,
    };
    if alone { Ok(()) } else { Err(fault("unexpected_field", "personal data is either said or sealed, not both")) }
}
