//! Reproducible chance: every invented value is drawn from a hash of the seed and of what it
//! belongs to, so that a row never depends on which rows were made before it.

/// A small generator (splitmix64), good enough for invented data and stable for ever.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The generator of a thing, named by the parts of its key.
    pub(crate) fn of(seed: u64, kind: &str, number: u64) -> Chance {
        Chance(mix(mix(seed ^ text(kind)) ^ number))
    }

    /// The generator of a part of a thing that has an id.
    pub(crate) fn of_id(id: u128, part: &str) -> Chance {
        Chance(mix((id as u64) ^ ((id >> 64) as u64).rotate_left(17) ^ text(part)))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`; 0 where there is nothing to choose from.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        if bound == 0 {
            return 0;
        }
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// A number of `from..=to`.
    pub(crate) fn within(&mut self, from: i64, to: i64) -> i64 {
        from + self.below((to - from + 1).max(1) as usize) as i64
    }

    /// True in this many of a hundred cases.
    pub(crate) fn percent(&mut self, cases: usize) -> bool {
        self.below(100) < cases
    }

    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// An index below `bound` that favours the small ones, as few projects get most of the work.
    pub(crate) fn skewed(&mut self, bound: usize) -> usize {
        let a = self.below(bound);
        let b = self.below(bound);
        a.min(b)
    }
}

/// The finalizer of splitmix64.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// FNV-1a of a text.
pub(crate) fn text(s: &str) -> u64 {
    s.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_key_same_numbers() {
        let draw = |seed| {
            let mut chance = Chance::of(seed, "users", 7);
            (chance.next(), chance.below(10), chance.within(-3, 3))
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn bounds_hold() {
        let mut chance = Chance::of(1, "bounds", 0);
        for _ in 0..1000 {
            assert!(chance.below(3) < 3);
            assert!((-2..=2).contains(&chance.within(-2, 2)));
            assert!(chance.skewed(5) < 5);
        }
        assert_eq!(chance.below(0), 0);
    }
}
