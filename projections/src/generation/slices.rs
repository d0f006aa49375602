//! Members of a ledger in order of id, some at a time, with a digest each: the writer goes on in between.

use crate::digest::{Digest, of_member};
use crate::error::ProjectionError;
use crate::reader::{LedgerReader, RecordsInOrder};
use accrue_ledger::Member;
use crossbeam_channel::{Receiver, bounded};
use std::thread::Scope;

/// Members looked at before the writer may go on.
const PAGE_MEMBERS: usize = 2 * 1024;

/// A member as a ledger has it.
#[derive(Clone)]
pub(super) struct Seen {
    pub member: String,
    pub state: Member,
    pub digest: Digest,
}

/// Members one after the other, looked at by a thread of their own, one page ahead.
pub(super) struct Walk {
    pages: Receiver<Result<Vec<Seen>, ProjectionError>>,
    /// In descending order: the next is the last.
    page: Vec<Seen>,
}

impl Walk {
    /// The thread ends with the members, or as soon as nobody asks any more.
    pub fn start<'scope>(scope: &'scope Scope<'scope, '_>, reader: &'scope LedgerReader, program: &'scope str) -> Walk {
        let (tell, pages) = bounded(1);
        scope.spawn(move || {
            let mut after = Some(String::new());
            while let Some(from) = after.take() {
                let page = look(reader, program, &from);
                let last = |page: &Vec<Seen>| page.first().map(|last| last.member.clone()).filter(|_| page.len() == PAGE_MEMBERS);
                after = page.as_ref().ok().and_then(last);
                if tell.send(page).is_err() {
                    break;
                }
            }
        });
        Walk { pages, page: Vec::new() }
    }

    /// The next one; it stays the next.
    pub fn peek(&mut self) -> Result<Option<&Seen>, ProjectionError> {
        if self.page.is_empty()
            && let Ok(page) = self.pages.recv()
        {
            self.page = page?;
        }
        Ok(self.page.last())
    }

    /// The next one.
    pub fn take(&mut self) -> Result<Option<Seen>, ProjectionError> {
        self.peek()?;
        Ok(self.page.pop())
    }
}

/// A page of those behind `after`, in descending order.
fn look(reader: &LedgerReader, program: &str, after: &str) -> Result<Vec<Seen>, ProjectionError> {
    let (mut bytes, mut page) = (Vec::new(), Vec::with_capacity(PAGE_MEMBERS));
    reader.each_member(program, after, |member, state, records| {
        let digest = of_member(records, (program, member), &state, &mut bytes)?;
        page.push(Seen { member: member.to_owned(), state, digest });
        Ok(page.len() < PAGE_MEMBERS)
    })?;
    page.reverse();
    Ok(page)
}

/// One member, as it is now.
pub(super) fn now(reader: &LedgerReader, program: &str, member: &str) -> Result<Option<Seen>, ProjectionError> {
    let tiers = reader.shared().tiers.read();
    let Some((state, _)) = tiers.state(accrue_store::member_hash(program, member), program, member)? else { return Ok(None) };
    let digest = of_member(&mut RecordsInOrder::new(&tiers, program), (program, member), &state, &mut Vec::new())?;
    Ok(Some(Seen { member: member.to_owned(), state, digest }))
}
