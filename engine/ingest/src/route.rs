//! Which messages are for every shard.

/// A key that names a program and no member (`<program>/`): a control fact's. A program has no "/" in it, so the first one is
/// the border.
pub(crate) fn is_control(key: &[u8]) -> bool {
    key.iter().position(|byte| *byte == b'/').is_some_and(|border| border + 1 == key.len())
}

#[cfg(test)]
mod tests {
    use super::is_control;

    #[test]
    fn nothing_behind_the_first_border() {
        assert!(is_control(b"acme/") && is_control(b"acme:sandbox/"));
        for member in [&b""[..], b"acme", b"acme/m1", b"acme/m/", b"acme//"] {
            assert!(!is_control(member), "{member:?}");
        }
    }
}
