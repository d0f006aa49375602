//! Members of a ledger in order of id, some at a time, with a digest each: the writer goes on in between.

use crate::digest::{Digest, of_member};
use crate::error::ProjectionError;
use crate::reader::LedgerReader;
use accrue_ledger::Member;

/// Members looked at before the writer may go on.
const PAGE_MEMBERS: usize = 2 * 1024;

/// A member as a ledger has it.
#[derive(Clone)]
pub(super) struct Seen {
    pub member: String,
    pub state: Member,
    pub digest: Digest,
}

/// Members one after the other.
pub(super) struct Walk<'a> {
    reader: &'a LedgerReader,
    program: &'a str,
    after: String,
    /// In descending order: the next is the last.
    page: Vec<Seen>,
    ended: bool,
}

impl<'a> Walk<'a> {
    pub fn new(reader: &'a LedgerReader, program: &'a str) -> Walk<'a> {
        Walk { reader, program, after: String::new(), page: Vec::new(), ended: false }
    }

    /// The next one; it stays the next.
    pub fn peek(&mut self) -> Result<Option<&Seen>, ProjectionError> {
        if self.page.is_empty() && !self.ended {
            self.look()?;
        }
        Ok(self.page.last())
    }

    /// The next one.
    pub fn take(&mut self) -> Result<Option<Seen>, ProjectionError> {
        self.peek()?;
        Ok(self.page.pop())
    }

    fn look(&mut self) -> Result<(), ProjectionError> {
        let (mut bytes, after) = (Vec::new(), std::mem::take(&mut self.after));
        self.reader.each_member(self.program, &after, |member, state, tiers| {
            let digest = of_member(tiers, (self.program, member), &state, &mut bytes)?;
            self.page.push(Seen { member: member.to_owned(), state, digest });
            Ok(self.page.len() < PAGE_MEMBERS)
        })?;
        self.ended = self.page.len() < PAGE_MEMBERS;
        if let Some(last) = self.page.last() {
            self.after.clone_from(&last.member);
        }
        self.page.reverse();
        Ok(())
    }
}

/// One member, as it is now.
pub(super) fn now(reader: &LedgerReader, program: &str, member: &str) -> Result<Option<Seen>, ProjectionError> {
    let tiers = reader.shared().tiers.read();
    let Some((state, _)) = tiers.state(accrue_store::member_hash(program, member), program, member)? else { return Ok(None) };
    let digest = of_member(&tiers, (program, member), &state, &mut Vec::new())?;
    Ok(Some(Seen { member: member.to_owned(), state, digest }))
}
