//! Table names from paths: the API's words in snake_case, plural, a nested list prefixed with
//! its parent in the singular (`/projects/{projectId}/members` → `project_members`).

use crate::overrides::Overrides;

/// The name that the rule gives a path. `doubled` keeps a prefix that the list's own name
/// already says, for a path whose shorter name is taken.
pub(crate) fn table(path: &str, overrides: &Overrides, doubled: bool) -> Result<String, String> {
    let segments: Vec<&str> =
        path.split('/').filter(|s| !s.is_empty() && !s.starts_with('{')).collect();
    let (last, parents) = segments.split_last().ok_or_else(|| format!("{path} has no name"))?;
    let words = |segment: &str| {
        overrides
            .words
            .get(segment)
            .ok_or_else(|| format!("overrides.toml has no words for \"{segment}\" of {path}"))
    };
    let mut name = words(last)?[1].clone();
    for parent in parents.iter().rev() {
        let prefix = &words(parent)?[0];
        let said = name.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('_'));
        if !said || doubled {
            name = format!("{prefix}_{name}");
        }
    }
    Ok(name)
}
