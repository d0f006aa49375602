//! The smallest story that still shows a difference: steps are left out one by one while the same number stays as wrong as it was.
//!
//! Six orders, a refund and a wrong balance on one ledger: what remains are the two facts that made it.

use super::file::Story;
use super::play::Play;
use super::step::What;
use super::{Difference, Smallest, StepRow, StoryError};
use crate::reader::AsOf;
use std::path::Path;

/// Times a story is played again, at most: each of them opens a store.
const TRIES_MAX: usize = 150;

/// Leaves out what the first difference does not need. `None`: it is of no step, or asks what was known earlier.
pub(super) fn shrink(story: &Story, differences: &[Difference], scratch: &Path) -> Result<Option<Smallest>, StoryError> {
    let Some(shown) = differences.iter().find(|difference| difference.step > 0 && !difference.what.contains('(')) else {
        return Ok(None);
    };
    let target = shown.step - 1;
    if matches!(&story.steps[target].what, What::Expect(expect) if expect.as_known_after.is_some()) {
        return Ok(None);
    }
    let is_fact = |index: &usize| matches!(story.steps[*index].what, What::Fact(_));
    let mut kept: Vec<usize> = (0..target).filter(is_fact).collect();
    let mut tries = 0;
    let mut still = |kept: &[usize]| -> Result<bool, StoryError> {
        tries += 1;
        let play = tell(story, kept, target, &scratch.join(tries.to_string()))?;
        Ok(play.differences.contains(shown))
    };
    if !still(&kept)? {
        return Ok(None);
    }
    // Halves first, then quarters, at last one by one; the latest first, so that facts go before those they are about.
    let mut size = kept.len().div_ceil(2);
    let mut left = TRIES_MAX;
    while size > 0 {
        let mut end = kept.len();
        while end > 0 && left > 0 {
            let start = end.saturating_sub(size);
            let fewer: Vec<usize> = kept[..start].iter().chain(&kept[end..]).copied().collect();
            left -= 1;
            if still(&fewer)? {
                kept = fewer;
            }
            end = start;
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    let play = tell(story, &kept, target, &scratch.join("told"))?;
    smallest(story, &kept, target, shown, &play).map(Some)
}

/// Plays some facts and the step that differs, and nothing else.
fn tell<'a>(story: &'a Story, kept: &[usize], target: usize, scratch: &Path) -> Result<Play<'a>, StoryError> {
    let mut play = Play::begin(story, scratch)?;
    for index in kept.iter().copied().chain([target]) {
        play.step(&story.steps[index])?;
    }
    Ok(play)
}

fn smallest(story: &Story, kept: &[usize], target: usize, shown: &Difference, play: &Play<'_>) -> Result<Smallest, StoryError> {
    let steps = kept.iter().copied().chain([target]).map(|index| {
        let step = &story.steps[index];
        let what = match &step.what {
            What::Fact(fact) => fact.body.clone(),
            What::Expect(_) => format!("expect {} = {}, found {}", shown.what, shown.expected, shown.found),
        };
        StepRow { step: step.number, at: step.at.to_string(), member: step.member.clone(), what }
    });
    let mut entries = Vec::new();
    let reader = play.desk.reader()?;
    let (member, at) = (&story.steps[target].member, story.steps[target].at);
    let asked = AsOf { as_of: Some(at), ..AsOf::default() };
    entries.extend(reader.entries(&story.rules.program, member, asked, at)?.unwrap_or_default());
    Ok(Smallest { steps: steps.collect(), entries })
}
