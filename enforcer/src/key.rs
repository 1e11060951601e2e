//! What a container is called, and which cgroups are containers.

use portcullis_api::PathPattern;
use portcullis_matcher::{Builder, CompileError, Pattern, PatternError, pattern::escape};
use std::{collections::BTreeMap, fmt, str::FromStr};
use thiserror::Error;

/// A container of a workload: the profile's namespace and name, and the container's name within it. All replicas share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerKey {
    /// The profile's namespace.
    pub namespace: String,
    /// The profile's name.
    pub profile: String,
    /// The container's name.
    pub container: String,
}

impl ContainerKey {
    /// The key of what is pending for a pod's containers: those whose names are not known yet.
    #[must_use]
    pub fn pending(namespace: &str, profile: &str) -> Self {
        Self { namespace: namespace.to_owned(), profile: profile.to_owned(), container: String::new() }
    }

    /// Whether the container's name is not known. No container's name is empty.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.container.is_empty()
    }

    /// The key that is written so; `None` where none is.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, rest) = text.split_once('/')?;
        let (profile, container) = rest.split_once('/')?;
        let container = if container == PENDING { "" } else { container };
        Some(Self { namespace: namespace.to_owned(), profile: profile.to_owned(), container: container.to_owned() })
    }
}

/// What stands for the name of a container that is not known yet. No name has parentheses.
const PENDING: &str = "(pending)";

impl fmt::Display for ContainerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let container = if self.is_pending() { PENDING } else { &self.container };
        write!(f, "{}/{}/{container}", self.namespace, self.profile)
    }
}

/// Why a glob of cgroups is of no use.
#[derive(Debug, Error)]
pub enum SelectorError {
    /// It is no pattern.
    #[error("{0}")]
    Pattern(#[from] PatternError),
    /// It does not end as it must.
    #[error(
        "{0} does not end in /*/*/*: the last three names of a container's cgroup are the namespace, the profile and the container, as in \
         /portcullis/*/*/* for /portcullis/shop/deployment-web/web"
    )]
    Tail(String),
}

/// The glob of cgroups that are containers: a pattern for what is above them, then one name each for namespace, profile and container.
#[derive(Clone, Debug)]
pub struct Selector {
    above: String,
    pattern: Pattern,
}

/// How the last three names are written.
const TAIL: &str = "/*/*/*";
/// Where the hierarchy is usually mounted: a glob may be given with it.
const MOUNT: &str = "/sys/fs/cgroup";

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(glob: &str) -> Result<Self, SelectorError> {
        let below = glob.strip_prefix(MOUNT).filter(|rest| rest.starts_with('/')).unwrap_or(glob);
        let above = below.strip_suffix(TAIL).ok_or_else(|| SelectorError::Tail(glob.to_owned()))?;
        Ok(Self { above: above.to_owned(), pattern: Pattern::parse(below)? })
    }
}

impl Selector {
    /// The container that has this cgroup (its path below the root of the hierarchy); `None` where it is no container's.
    #[must_use]
    pub fn key(&self, cgroup: &[u8]) -> Option<ContainerKey> {
        if !self.pattern.matches(cgroup) {
            return None;
        }
        let mut names = str::from_utf8(cgroup).ok()?.rsplit('/');
        let (container, profile, namespace) = (names.next()?, names.next()?, names.next()?);
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        Some(ContainerKey { namespace: named(namespace)?, profile: named(profile)?, container: named(container)? })
    }

    /// What names containers by the paths of their cgroups: the index of each known container's profile, and `unknown` for others.
    ///
    /// # Errors
    /// Where there are more containers than a table holds.
    pub fn add_to(&self, builder: &mut Builder, profiles: &BTreeMap<ContainerKey, u32>, unknown: u32) -> Result<(), CompileError> {
        // Indices of known containers are above `unknown`, so the larger is the more specific.
        builder.add(&self.pattern, unknown)?;
        for (key, index) in profiles {
            let names = [&key.namespace, &key.profile, &key.container].map(|name| escape(name.as_bytes()));
            // Names of Kubernetes' objects are always patterns; what is not cannot be the name of a cgroup either.
            if let Ok(pattern) = Pattern::parse(&format!("{}/{}", self.above, names.join("/"))) {
                builder.add(&pattern, *index)?;
            }
        }
        Ok(())
    }
}

/// A path as it stands in a profile, for rules that the enforcer itself makes.
///
/// # Errors
/// Where the text is no pattern.
pub fn path(text: &str) -> anyhow::Result<PathPattern> {
    text.parse().map_err(|error| anyhow::anyhow!("{text}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, profile: &str, container: &str) -> ContainerKey {
        ContainerKey { namespace: namespace.into(), profile: profile.into(), container: container.into() }
    }

    #[test]
    fn the_last_three_names_are_namespace_profile_and_container() {
        let selector: Selector = "/portcullis/*/*/*".parse().unwrap();
        assert_eq!(selector.key(b"/portcullis/shop/deployment-web/web"), Some(key("shop", "deployment-web", "web")));
        assert_eq!(selector.key(b"/portcullis/shop/deployment-web"), None);
        assert_eq!(selector.key(b"/portcullis/shop/deployment-web/web/below"), None);
        assert_eq!(selector.key(b"/other/shop/deployment-web/web"), None);
    }

    #[test]
    fn the_mount_point_may_be_given_with_the_glob() {
        let selector: Selector = "/sys/fs/cgroup/nodes/*/pods/*/*/*".parse().unwrap();
        assert_eq!(selector.key(b"/nodes/n1/pods/a/b/c"), Some(key("a", "b", "c")));
    }

    #[test]
    fn a_glob_that_does_not_end_in_three_names_is_refused_with_an_example() {
        let error = "/portcullis/*".parse::<Selector>().unwrap_err().to_string();
        assert!(error.contains("/portcullis/shop/deployment-web/web"), "{error}");
    }

    #[test]
    fn a_key_is_read_as_it_is_written() {
        for key in [key("shop", "deployment-web", "web"), ContainerKey::pending("shop", "deployment-web")] {
            assert_eq!(ContainerKey::parse(&key.to_string()), Some(key));
        }
    }

    #[test]
    fn the_table_prefers_a_known_container() {
        let selector: Selector = "/p/*/*/*".parse().unwrap();
        let mut builder = Builder::new(u32::max);
        selector.add_to(&mut builder, &[(key("a", "b", "c"), 7)].into(), 1).unwrap();
        let table = builder.build().unwrap();
        assert_eq!(table.accept_of(b"/p/a/b/c"), 7);
        assert_eq!(table.accept_of(b"/p/a/b/d"), 1);
        assert_eq!(table.accept_of(b"/q/a/b/c"), 0);
    }
}
