//! Members of a ledger in order of id, as bytes, some at a time: the writer goes on in between, and what is the same is never read.

use crate::digest::{Digest, put_member};
use crate::error::ProjectionError;
use crate::reader::{Known, LedgerReader, RecordsInOrder};
use crate::rows::unpack_member;
use accrue_ledger::Member;
use crossbeam_channel::{Receiver, bounded};
use std::ops::Range;
use std::thread::Scope;

/// Members looked at before the writer may go on.
const PAGE_MEMBERS: usize = 2 * 1024;

/// What of a member is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compared {
    /// The state: balances, lots, tiers, coupons.
    States,
    /// Its records, too.
    #[default]
    All,
}

/// A member as a ledger has it, as bytes.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub member: &'a str,
    /// What its digest is over,
    pub bytes: &'a [u8],
    /// and of it the state.
    pub state: &'a [u8],
    /// `None`: nobody has computed it yet.
    digest: Option<Digest>,
}

/// One that was read.
pub(super) struct Opened {
    pub state: Member,
    pub digest: Digest,
}

impl Seen<'_> {
    pub fn open(&self) -> Result<Opened, ProjectionError> {
        Ok(Opened { state: unpack_member(self.state)?, digest: self.digest.unwrap_or_else(|| Digest::of(self.bytes)) })
    }
}

/// Some members one behind the other.
#[derive(Default)]
struct Page {
    names: String,
    bytes: Vec<u8>,
    /// Where the name, the bytes, and of them the state of each are.
    members: Vec<[Range<usize>; 3]>,
    /// Of each of them; empty: whoever needs one computes it.
    digests: Vec<Digest>,
}

impl Page {
    fn get(&self, number: usize) -> Option<Seen<'_>> {
        let [name, bytes, state] = self.members.get(number)?.clone();
        let digest = self.digests.get(number).copied();
        Some(Seen { member: self.names.get(name)?, bytes: self.bytes.get(bytes)?, state: self.bytes.get(state)?, digest })
    }
}

/// Members one after the other, looked at by a thread of their own, one page ahead.
pub(super) struct Walk {
    pages: Receiver<Result<Page, ProjectionError>>,
    page: Page,
    /// The next one, by its number in the page.
    next: usize,
}

impl Walk {
    /// The thread ends with the members, or as soon as nobody asks any more. `digests`: it computes them, too.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        (reader, compared): (&'scope LedgerReader, Compared),
        program: &'scope str,
        digests: bool,
    ) -> Walk {
        let (tell, pages) = bounded(1);
        scope.spawn(move || {
            let mut after = Some(String::new());
            while let Some(from) = after.take() {
                let mut page = look((reader, compared), program, &from);
                if let Ok(page) = &mut page
                    && digests
                {
                    page.digests = (0..page.members.len())
                        .filter_map(|number| page.get(number))
                        .map(|seen| Digest::of(seen.bytes))
                        .collect();
                }
                let last = |page: &Page| Some(page.get(PAGE_MEMBERS - 1)?.member.to_owned());
                after = page.as_ref().ok().and_then(last);
                if tell.send(page).is_err() {
                    break;
                }
            }
        });
        Walk { pages, page: Page::default(), next: 0 }
    }

    /// The next one; it stays the next.
    pub fn peek(&mut self) -> Result<Option<Seen<'_>>, ProjectionError> {
        if self.next == self.page.members.len()
            && let Ok(page) = self.pages.recv()
        {
            (self.page, self.next) = (page?, 0);
        }
        Ok(self.page.get(self.next))
    }

    /// Goes on behind the next one.
    pub fn skip(&mut self) {
        self.next += 1;
    }
}

/// A page of those behind `after`.
fn look((reader, compared): (&LedgerReader, Compared), program: &str, after: &str) -> Result<Page, ProjectionError> {
    let mut page = Page { members: Vec::with_capacity(PAGE_MEMBERS), ..Page::default() };
    reader.each_known(program, after, |member, known, records| {
        let (name, begun) = (page.names.len(), page.bytes.len());
        page.names.push_str(member);
        let records = (compared == Compared::All).then_some(records);
        let state = put_member((program, member), &known, records, &mut page.bytes)?;
        page.members.push([name..page.names.len(), begun..page.bytes.len(), state]);
        Ok(page.members.len() < PAGE_MEMBERS)
    })?;
    Ok(page)
}

/// One member, as it is now.
pub(super) fn now(
    (reader, compared): (&LedgerReader, Compared),
    program: &str,
    member: &str,
) -> Result<Option<Opened>, ProjectionError> {
    let tiers = reader.shared().tiers.read();
    let Some((state, _)) = tiers.state(accrue_store::member_hash(program, member), program, member)? else { return Ok(None) };
    let (mut records, mut bytes) = (RecordsInOrder::new(&tiers, program), Vec::new());
    put_member((program, member), &Known::Memory(&state), (compared == Compared::All).then_some(&mut records), &mut bytes)?;
    Ok(Some(Opened { digest: Digest::of(&bytes), state }))
}
