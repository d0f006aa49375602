//! Finding a member by what it shows or says: card, e-mail, phone (§11). Views hold keyed hashes only; an answer is checked against
//! what the member has now, so that nothing old and nobody erased is found.

use accrue_proto::pb::{self, fact::Body};

/// What a member is looked for by; exact but for what people write in more than one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// The code of a card.
    Card(String),
    /// An e-mail address, in any case.
    Email(String),
    /// A phone number: its digits, without a leading `00`.
    Phone(String),
    /// The 16 digits of a member.
    Number(String),
}

/// A keyed hash of what is looked for.
pub type LookUpHash = [u8; 16];

impl LookUp {
    /// In the one form that is compared; empty: nothing to look for.
    pub fn normal(&self) -> String {
        match self {
            LookUp::Card(text) => text.trim().to_owned(),
            LookUp::Email(text) => text.trim().to_lowercase(),
            LookUp::Phone(text) | LookUp::Number(text) => {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                let international = matches!(self, LookUp::Phone(_)) && text.trim_start().starts_with("00");
                if international { digits[2..].to_owned() } else { digits }
            }
        }
    }

    pub(crate) fn hash(&self, secret: &[u8; 32], program: &str) -> Option<LookUpHash> {
        let kind: u8 = match self {
            LookUp::Card(_) => 1,
            LookUp::Email(_) => 2,
            LookUp::Phone(_) => 3,
            LookUp::Number(_) => return None,
        };
        let normal = self.normal();
        let mut hasher = blake3::Hasher::new_keyed(&blake3::derive_key("accrue 2026 look-ups of members", secret));
        hasher.update(&[kind]);
        hasher.update(&(program.len() as u64).to_le_bytes());
        hasher.update(program.as_bytes());
        hasher.update(normal.as_bytes());
        let mut hash = LookUpHash::default();
        hasher.finalize_xof().fill(&mut hash);
        (!normal.is_empty()).then_some(hash)
    }

    /// Everything that a fact makes its member findable by.
    pub(crate) fn of(fact: &pb::Fact) -> Vec<LookUp> {
        match &fact.body {
            Some(Body::MemberProfileChanged(profile)) => {
                let email = profile.email.clone().map(LookUp::Email);
                email.into_iter().chain(profile.phone.clone().map(LookUp::Phone)).collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form() {
        let phone = |text: &str| LookUp::Phone(text.into()).normal();
        assert_eq!(phone("+44 (20) 7946-0018"), "442079460018");
        assert_eq!(phone("0044 20 7946 0018"), "442079460018");
        assert_eq!(phone("0"), "0");
        assert_eq!(LookUp::Email(" Ann@Example.ORG ".into()).normal(), "ann@example.org");
        assert_eq!(LookUp::Card(" C 1 ".into()).normal(), "C 1");
    }

    #[test]
    fn kinds_programs_and_secrets_are_apart() {
        let (a, b) = (LookUp::Card("1".into()), LookUp::Phone("1".into()));
        let hash = a.hash(&[1; 32], "acme");
        assert_eq!(hash, a.hash(&[1; 32], "acme"));
        let others = [b.hash(&[1; 32], "acme"), a.hash(&[1; 32], "acme:sandbox"), a.hash(&[2; 32], "acme")];
        assert!(others.iter().all(|other| *other != hash));
        assert_eq!(LookUp::Email(" ".into()).hash(&[1; 32], "acme"), None);
    }
}
