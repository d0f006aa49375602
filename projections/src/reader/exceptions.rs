//! Exceptions of all members.

use super::LedgerReader;
use crate::answer::ExceptionAnswer;
use crate::error::ProjectionError;

impl LedgerReader {
    /// Exceptions that wait for a person, of members after `after`, of at most `limit` members. Looks at every member.
    ///
    /// # Errors
    /// As [`LedgerReader::member`].
    pub fn exceptions(&self, program: &str, after: &str, limit: usize) -> Result<Vec<ExceptionAnswer>, ProjectionError> {
        let (mut found, mut members) = (Vec::new(), 0);
        self.each_member(program, after, |member, state| {
            let troubles = state.counters.iter().flat_map(|counters| &counters.troubles);
            let before = found.len();
            found.extend(troubles.map(|trouble| ExceptionAnswer::of(member, trouble)));
            members += usize::from(found.len() > before);
            Ok(members < limit)
        })?;
        Ok(found)
    }
}
