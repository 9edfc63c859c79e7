//! The ways in which the sandbox is run: what awork's documentation leaves open is tried either
//! way, since the wrapper must return the same rows under each.

use awork_sandbox::{Config, Feature, Refused};

/// A way to run the sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mode {
    /// What `--mode` calls it.
    pub name: String,
    /// Texts compare with regard to case.
    pub case_sensitive: bool,
    /// Nulls come last in ascending order.
    pub nulls_last: bool,
    /// `ne` and `not` leave out the rows of which they cannot be said, as in SQL.
    pub ne_excludes_null: bool,
    /// A part of filters and orders that is refused.
    pub refused: Option<Feature>,
    /// `in` is understood outside of `any`.
    pub top_level_in: bool,
    /// Filters and orders work on lists that do not declare them.
    pub filter_undeclared: bool,
    /// Answers serve again in later queries.
    pub cached: bool,
}

/// Every mode, in the order in which they are run.
pub fn modes() -> Vec<Mode> {
    let mut modes = Vec::new();
    for case_sensitive in [false, true] {
        for nulls_last in [false, true] {
            for ne_excludes_null in [false, true] {
                let case = if case_sensitive { "case" } else { "nocase" };
                let nulls = if nulls_last { "nulls-last" } else { "nulls-first" };
                let ne = if ne_excludes_null { "-ne-sql" } else { "" };
                modes.push(Mode {
                    name: format!("{case}-{nulls}{ne}"),
                    case_sensitive,
                    nulls_last,
                    ne_excludes_null,
                    ..Mode::default()
                });
            }
        }
    }
    for feature in Feature::ALL {
        let name = format!("no-{feature}");
        modes.push(Mode { name, refused: Some(feature), ..Mode::default() });
    }
    modes.push(Mode { name: "in".into(), top_level_in: true, ..Mode::default() });
    modes.push(Mode { name: "undeclared".into(), filter_undeclared: true, ..Mode::default() });
    modes.push(Mode { name: "cached".into(), cached: true, ..Mode::default() });
    modes
}

/// The sandbox of a mode. This is the only place that knows what the sandbox can be told.
pub fn config(mode: &Mode, scale: usize) -> Config {
    Config {
        scale,
        case_sensitive: mode.case_sensitive,
        nulls_last: mode.nulls_last,
        ne_excludes_null: mode.ne_excludes_null,
        refused: Refused::features(mode.refused),
        top_level_in: mode.top_level_in,
        filter_undeclared: mode.filter_undeclared,
        // Both ends are on this machine: compressing costs time and shows nothing.
        gzip: false,
        ..Config::default()
    }
}
