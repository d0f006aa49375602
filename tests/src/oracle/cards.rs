//! Cards: handed out, out of use, replaced (§11).

use super::state::State;

/// A card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OCard {
    /// What is printed on it.
    pub code: String,
    /// `active`, `inactive`, `blocked`
    pub status: String,
    /// When it was handed out.
    pub issued_at: i64,
    /// By which card.
    pub replaced_by: Option<String>,
}

impl State {
    /// A new one, unless it is there already.
    pub fn issue_card(&mut self, code: &str) {
        if self.cards.iter().all(|card| card.code != code) {
            let (code, status) = (code.to_owned(), "active".to_owned());
            self.cards.push(OCard { code, status, issued_at: self.now, replaced_by: None });
        }
    }

    /// `card_status_changed`
    pub fn card_status(&mut self, code: &str, status: &str, fact: &str) {
        match self.cards.iter_mut().find(|card| card.code == code) {
            Some(card) => status.clone_into(&mut card.status),
            None => self.exception("card_unknown", fact, 0),
        }
    }

    /// `card_replaced`: the old one is inactive, or stays blocked.
    pub fn replace_card(&mut self, old: &str, new: &str, fact: &str) {
        match self.cards.iter_mut().find(|card| card.code == old) {
            Some(card) => {
                card.replaced_by = Some(new.to_owned());
                if card.status != "blocked" {
                    "inactive".clone_into(&mut card.status);
                }
            }
            None => self.exception("card_unknown", fact, 0),
        }
        self.issue_card(new);
    }
}
