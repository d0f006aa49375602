//! Who a member is: what has been told of the person, as long as it can be read.

use super::When;
use crate::print::Style;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Notes that are shown, the latest.
const NOTES_SHOWN: usize = 3;

/// What the page needs of a profile.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Profile {
    name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    birthday: Option<String>,
    attributes: BTreeMap<String, String>,
    consents: BTreeMap<String, bool>,
    tags: Vec<String>,
    notes: Vec<Note>,
}

#[derive(Deserialize)]
struct Note {
    at: String,
    actor: String,
    text: String,
}

/// The lines; empty: nothing was told.
pub(super) fn lines(profile: &Profile, when: &When, style: Style) -> String {
    let born = profile.birthday.as_ref().map(|day| format!("born {day}"));
    let who = [profile.name.as_ref().map(|name| style.bold(name)), profile.email.clone(), profile.phone.clone(), born];
    let attributes = profile.attributes.iter().map(|(name, value)| format!("{name}: {value}"));
    let consents = profile.consents.iter().map(|(purpose, yes)| format!("{} {purpose}", if *yes { "✓" } else { "✗" }));
    let tags = profile.tags.iter().map(|tag| format!("#{tag}"));
    let mut page = String::new();
    for line in [who.into_iter().flatten().collect(), attributes.chain(consents).chain(tags).collect::<Vec<String>>()] {
        if !line.is_empty() {
            page += &format!("{}\n", line.join(" · "));
        }
    }
    for note in profile.notes.iter().rev().take(NOTES_SHOWN) {
        let by = if note.actor.is_empty() { String::new() } else { format!(", {}", note.actor) };
        page += &format!("{} {}\n", style.dim(&format!("{}{by}:", when.at(&note.at))), note.text);
    }
    if page.is_empty() { page } else { page + "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_shown_and_nothing_else() {
        let profile = serde_json::json!({
            "name": "Ann Lee", "email": "ann@example.org", "consents": { "mail": true, "sms": false }, "tags": ["vip"],
            "notes": [{ "at": "2024-03-01T10:00:00Z", "actor": "kim", "text": "called about order 7" }]
        });
        let profile = Profile::deserialize(&profile).expect("a profile");
        assert_eq!(
            lines(&profile, &When::new("UTC"), Style::plain()),
            "Ann Lee · ann@example.org\n✓ mail · ✗ sms · #vip\n2024-03-01 10:00, kim: called about order 7\n\n"
        );
        assert_eq!(lines(&Profile::default(), &When::new("UTC"), Style::plain()), "");
    }
}
