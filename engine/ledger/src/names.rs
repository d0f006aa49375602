//! A few borrowed names: two of them need no memory of their own, which is what lines of orders have.

/// Names, in order. Covariant, unlike a `SmallVec` of references, so that facts may be borrowed for shorter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names<'a> {
    first: [Option<&'a str>; 2],
    rest: Vec<&'a str>,
}

impl<'a> Names<'a> {
    /// Adds a name.
    pub fn push(&mut self, name: &'a str) {
        match self.first.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(name),
            None => self.rest.push(name),
        }
    }

    /// All names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.first.iter().copied().flatten().chain(self.rest.iter().copied())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first[0].is_none()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.first.iter().flatten().count() + self.rest.len()
    }

    /// Whether `name` is one of them.
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|known| known == name)
    }
}

impl<'a> FromIterator<&'a str> for Names<'a> {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        let mut all = Names::default();
        names.into_iter().for_each(|name| all.push(name));
        all
    }
}

impl<'a, const N: usize> From<[&'a str; N]> for Names<'a> {
    fn from(names: [&'a str; N]) -> Self {
        names.into_iter().collect()
    }
}

impl<'a> Extend<&'a str> for Names<'a> {
    fn extend<I: IntoIterator<Item = &'a str>>(&mut self, names: I) {
        names.into_iter().for_each(|name| self.push(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_beyond_two() {
        let names: Names<'_> = ["a", "b", "c"].into();
        assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(names.contains("c") && !names.contains("d") && names.len() == 3 && !names.is_empty());
    }
}
