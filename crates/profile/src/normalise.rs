//! Many data files of one directory become `dir/*`, many directories with files of one name become `dir/*/name`.
//!
//! A program that writes a file a request would fill a profile, and each next file would be denied. So where more files of a directory were
//! learned than a threshold says, all of its files are granted, for the use (reading, writing) that was learned and no other. What is
//! executed or mapped as code is never collapsed, and nothing is collapsed in a directory below which something is granted to be
//! executed or mapped: no file that may run becomes writable because others beside it are written.
//!
//! The outcome depends on the set of rules and not on their order, and collapsing again changes nothing. It is not undone when rules come
//! later that would have prevented it.

use crate::merge::{Limits, by_use, merge};
use portcullis_api::{ContainerRules, FileAccess, FileRule, PathPattern, Rule};
use std::collections::{BTreeMap, BTreeSet};

/// From how many siblings on a directory is collapsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// The most files, and the most directories, of one directory that are listed one by one, where no prefix says otherwise.
    pub siblings: usize,
    /// The same for the trees below these directories, of which the longest that fits counts. `None`: never collapsed.
    pub below: Vec<(String, Option<usize>)>,
}

impl Default for Thresholds {
    /// 50 siblings, 100 in `/etc` as in Kubescape's node agent, and none where each name is an interface or a program of its own.
    fn default() -> Self {
        let never =
            ["/bin", "/boot", "/dev", "/lib", "/lib32", "/lib64", "/proc", "/run/secrets", "/sbin", "/sys", "/usr", "/var/run/secrets"];
        let below = never.into_iter().map(|prefix| (prefix.to_owned(), None));
        let below =
            below.chain([("/etc".to_owned(), Some(100)), ("/etc/apache2".to_owned(), Some(50)), ("/usr/share".to_owned(), Some(50))]);
        Self { siblings: 50, below: below.collect() }
    }
}

impl Thresholds {
    /// For the directory of that text. The root and its directories are never collapsed together.
    fn of(&self, directory: &str) -> Option<usize> {
        if directory.is_empty() {
            return None;
        }
        let is_below = |prefix: &str| directory.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let fitting = self.below.iter().filter(|(prefix, _)| is_below(prefix));
        fitting.max_by_key(|(prefix, _)| prefix.len()).map_or(Some(self.siblings), |(_, threshold)| *threshold)
    }
}

/// The uses of data files: all but mapping as code, and what lets a file be code.
const DATA: [FileAccess; 6] =
    [FileAccess::Read, FileAccess::Write, FileAccess::Create, FileAccess::Delete, FileAccess::Attributes, FileAccess::Connect];

/// Collapses what the thresholds say. Whether the rules changed.
pub fn normalise(rules: &mut ContainerRules, thresholds: &Thresholds) -> bool {
    let uses = by_use(&rules.files);
    let code = rules.exec.iter().map(|rule| &rule.path).chain(uses.get(&FileAccess::Map).into_iter().flatten());
    let code: Vec<_> = code.map(PathPattern::as_str).collect();
    let collapsed = DATA.map(|used| {
        let listed = uses.get(&used).into_iter().flatten();
        (used, Directory::of(listed).collapsed(thresholds, &code))
    });
    let mut changed = false;
    for (used, paths) in collapsed {
        for path in paths {
            let rule = Rule::File(FileRule { path, access: [used].into() });
            // The limit is no limit here: a collapsed rule takes the place of those that it came from.
            changed |= merge(rules, &rule, Limits { rules: usize::MAX }).unwrap_or(false);
        }
    }
    changed
}

/// A tree of the components of paths, by their texts.
#[derive(Clone, Debug, Default)]
struct Directory {
    entries: BTreeMap<String, Self>,
    /// Whether a path ends here.
    file: bool,
}

impl Directory {
    fn of<'p>(paths: impl Iterator<Item = &'p PathPattern>) -> Self {
        let mut root = Self::default();
        // A path whose components cannot be told apart in its text stays as it is.
        for path in paths.map(PathPattern::as_str).filter(|path| !path.contains("**") && !path.contains(r"\/")) {
            let mut directory = &mut root;
            for component in path.split('/').skip(1) {
                directory = directory.entries.entry(component.to_owned()).or_default();
            }
            directory.file = true;
        }
        root
    }

    /// The patterns that take the place of many, each of them new.
    fn collapsed(mut self, thresholds: &Thresholds, code: &[&str]) -> BTreeSet<PathPattern> {
        let mut found = BTreeSet::new();
        self.collapse("", false, &|directory| thresholds.of(directory).filter(|_| !holds_code(directory, code)), &mut found);
        found
    }

    /// `within_new`: the text of this directory was made by collapsing, so its files are new too.
    fn collapse(&mut self, text: &str, within_new: bool, threshold: &impl Fn(&str) -> Option<usize>, found: &mut BTreeSet<PathPattern>) {
        let mut star_is_new = false;
        if let Some(threshold) = threshold(text) {
            if self.entries.values().filter(|entry| entry.file).count() > threshold {
                self.entries.values_mut().for_each(|entry| entry.file = false);
                self.entries.entry("*".to_owned()).or_default().file = true;
                found.extend(format!("{text}/*").parse::<PathPattern>());
            }
            if self.entries.values().filter(|entry| !entry.entries.is_empty()).count() > threshold {
                let mut all = Self::default();
                for entry in self.entries.values_mut() {
                    all.absorb(std::mem::take(&mut entry.entries));
                }
                self.entries.entry("*".to_owned()).or_default().absorb(all.entries);
                star_is_new = true;
            }
        }
        for (name, entry) in &mut self.entries {
            let path = format!("{text}/{name}");
            let is_new = within_new || star_is_new && name == "*";
            if entry.file && is_new {
                found.extend(path.parse::<PathPattern>());
            }
            entry.collapse(&path, is_new, threshold, found);
        }
    }

    fn absorb(&mut self, entries: BTreeMap<String, Self>) {
        for (name, entry) in entries {
            let own = self.entries.entry(name).or_default();
            own.file |= entry.file;
            own.absorb(entry.entries);
        }
    }
}

/// Whether one of the paths may lie below the directory. Where a wildcard or an escape leaves it open, it may.
fn holds_code(directory: &str, code: &[&str]) -> bool {
    let open = |component: &str| component.contains(['*', '?', '[', '\\']);
    let may_hold = |path: &&str| {
        let mut components = path.split('/').skip(1);
        for own in directory.split('/').skip(1) {
            match components.next() {
                Some(theirs) if theirs.contains("**") => return true,
                Some(theirs) if theirs == own || open(theirs) || open(own) => {}
                _ => return false,
            }
        }
        components.next().is_some()
    };
    code.iter().any(may_hold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prelude::*, sample::Index};

    fn rule(text: &str) -> Rule {
        let (list, rest) = text.split_once(' ').unwrap();
        let path = |path: &str| path.parse().unwrap();
        match list {
            "exec" => Rule::Exec(portcullis_api::ExecRule::any(path(rest))),
            "map" => Rule::File(FileRule { path: path(rest), access: [FileAccess::Map].into() }),
            "read" => Rule::File(FileRule { path: path(rest), access: [FileAccess::Read].into() }),
            _ => Rule::File(FileRule { path: path(rest), access: [FileAccess::Write].into() }),
        }
    }

    fn container(rules: impl IntoIterator<Item = String>) -> ContainerRules {
        let mut container = ContainerRules::default();
        for text in rules {
            merge(&mut container, &rule(&text), Limits::default()).unwrap();
        }
        container
    }

    fn normal(rules: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut container = container(rules);
        normalise(&mut container, &Thresholds::default());
        Rule::all_of(&container).map(|rule| rule.to_string()).collect()
    }

    fn written(directory: &str, count: usize) -> Vec<String> {
        (0..count).map(|number| format!("write {directory}/f{number}.dat")).collect()
    }

    #[test]
    fn the_threshold_is_the_most_that_is_listed() {
        assert_eq!(normal(written("/data", 50)).len(), 50);
        assert_eq!(normal(written("/data", 51)), ["files write /data/*"]);
    }

    #[test]
    fn only_the_use_that_was_learned_is_granted() {
        let rules = written("/data", 51).into_iter().chain(["read /data/f1.dat".to_owned(), "read /data/f2.dat".to_owned()]);
        assert_eq!(normal(rules), ["files write /data/*", "files read /data/f1.dat", "files read /data/f2.dat"]);
    }

    #[test]
    fn files_collapse_without_their_sibling_directories() {
        let rules = written("/data", 51).into_iter().chain(["write /data/sub/x".to_owned()]);
        assert_eq!(normal(rules), ["files write /data/*", "files write /data/sub/x"]);
    }

    #[test]
    fn many_directories_with_the_same_files_become_one() {
        let rules = (0..51).flat_map(|tenant| [format!("write /data/t{tenant}/db"), format!("write /data/t{tenant}/log")]);
        assert_eq!(normal(rules), ["files write /data/*/db", "files write /data/*/log"]);
    }

    #[test]
    fn what_collapsed_may_collapse_again_below() {
        let rules = (0..60).map(|number| format!("write /data/t{number}/f{number}"));
        assert_eq!(normal(rules), ["files write /data/*/*"]);
    }

    #[test]
    fn code_is_never_collapsed() {
        for list in ["exec", "map"] {
            assert_eq!(normal((0..200).map(|number| format!("{list} /app/m{number}"))).len(), 200, "{list}");
        }
    }

    #[test]
    fn nothing_is_collapsed_around_what_may_run() {
        for code in ["exec /data/bin/run", "map /data/x.so", "exec /data/**", "exec /*/run", "map /d?ta/x"] {
            assert_eq!(normal(written("/data", 60).into_iter().chain([code.to_owned()])).len(), 61, "{code}");
        }
        assert_eq!(normal(written("/data", 60).into_iter().chain(["exec /database/run".to_owned()])).len(), 2);
    }

    #[test]
    fn directories_have_thresholds_of_their_own() {
        assert_eq!(normal(written("/etc", 100)).len(), 100);
        assert_eq!(normal(written("/etc", 101)), ["files write /etc/*"]);
        assert_eq!(normal(written("/etc/apache2", 51)), ["files write /etc/apache2/*"]);
        for never in ["", "/proc/sys", "/usr/lib", "/dev"] {
            assert_eq!(normal(written(never, 300)).len(), 300, "{never}");
        }
    }

    #[test]
    fn a_wider_rule_of_a_person_stays() {
        assert_eq!(normal(written("/data", 60).into_iter().chain(["write /data/**".to_owned()])), ["files write /data/**"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_outcome_does_not_depend_on_the_order_nor_on_earlier_collapses(
            names in proptest::collection::vec((0..3usize, 0..70usize), 40..160), at: Index, seed in any::<Vec<Index>>(),
        ) {
            let rules: Vec<_> = names.iter().map(|(directory, file)| format!("write /data/d{directory}/f{file}")).collect();
            let mut shuffled = rules.clone();
            for (from, to) in seed.iter().enumerate() {
                let last = shuffled.len();
                shuffled.swap(from % last, to.index(last));
            }
            prop_assert_eq!(normal(rules.clone()), normal(shuffled));

            let (first, rest) = rules.split_at(at.index(rules.len()));
            let mut twice = container(first.iter().cloned());
            normalise(&mut twice, &Thresholds::default());
            for text in rest {
                merge(&mut twice, &rule(text), Limits::default()).unwrap();
            }
            normalise(&mut twice, &Thresholds::default());
            prop_assert_eq!(Rule::all_of(&twice).map(|rule| rule.to_string()).collect::<Vec<_>>(), normal(rules));
            prop_assert!(!normalise(&mut twice, &Thresholds::default()));
        }
    }
}
