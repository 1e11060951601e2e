//! Levels and versions of the Pod Security Standards, as people write them: `restricted:v1.31`, `baseline`, `latest`.
//!
//! A *standard* here is one level at one version. The words, the syntax and the two messages for bad ones are those of Pod Security Admission,
//! so that a namespace label means to us what it means to the API server. What is not here: where a standard comes from (a flag, a label) and
//! what happens to a pod that violates it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The newest minor version of Kubernetes whose standards these checks know. A later version means this one, as in Pod Security Admission.
pub const NEWEST_MINOR: u64 = 37;

/// How much a standard forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing is forbidden.
    Privileged,
    /// Known ways to more privilege are forbidden; a pod that sets nothing passes.
    Baseline,
    /// Hardening is demanded: a pod has to opt in to it.
    Restricted,
}

impl Level {
    /// The word that labels and flags use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A level that is none of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be one of privileged, baseline, restricted")]
pub struct UnknownLevel;

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "privileged" => Ok(Self::Privileged),
            "baseline" => Ok(Self::Baseline),
            "restricted" => Ok(Self::Restricted),
            _ => Err(UnknownLevel),
        }
    }
}

/// The version of Kubernetes whose edition of a level is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// `v1.N`. It may be newer than [`NEWEST_MINOR`]; it is shown as written and means the newest.
    Minor(u64),
    /// `latest`.
    Latest,
}

impl Version {
    /// The minor version whose checks apply: never above [`NEWEST_MINOR`].
    pub const fn effective_minor(self) -> u64 {
        match self {
            Self::Minor(minor) if minor < NEWEST_MINOR => minor,
            Self::Minor(_) | Self::Latest => NEWEST_MINOR,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minor(minor) => write!(f, "v1.{minor}"),
            Self::Latest => f.write_str("latest"),
        }
    }
}

/// A version that is neither `latest` nor `v1.N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(r#"must be "latest" or "v1.x""#)]
pub struct UnknownVersion;

impl FromStr for Version {
    type Err = UnknownVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        let digits = text.strip_prefix("v1.").ok_or(UnknownVersion)?;
        let canonical = digits == "0" || !digits.starts_with('0');
        if !canonical || digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(UnknownVersion);
        }
        digits.parse().map(Self::Minor).map_err(|_| UnknownVersion)
    }
}

/// One level at one version: what a pod is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Standard {
    /// How much is forbidden.
    pub level: Level,
    /// In which edition.
    pub version: Version,
}

impl Standard {
    /// Forbids nothing.
    pub const PRIVILEGED: Self = Self { level: Level::Privileged, version: Version::Latest };

    /// Whether no pod can violate it.
    pub const fn allows_everything(self) -> bool {
        matches!(self.level, Level::Privileged)
    }
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.level, self.version)
    }
}

/// A standard that is not `LEVEL` or `LEVEL:VERSION`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnknownStandard {
    /// The part before the colon.
    #[error("level {0:?} {UnknownLevel}")]
    Level(String),
    /// The part after the colon.
    #[error("version {0:?} {UnknownVersion}")]
    Version(String),
}

impl FromStr for Standard {
    type Err = UnknownStandard;

    /// `LEVEL` means `LEVEL:latest`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (level, version) = text.split_once(':').unwrap_or((text, "latest"));
        Ok(Self {
            level: level.parse().map_err(|_| UnknownStandard::Level(level.to_owned()))?,
            version: version.parse().map_err(|_| UnknownStandard::Version(version.to_owned()))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_versions_as_pod_security_admission_does() {
        for (text, minor) in [("v1.0", 0), ("v1.9", 9), ("v1.37", 37), ("v1.38", 37), ("v1.9000000000", 37), ("latest", 37)] {
            let version: Version = text.parse().unwrap();
            assert_eq!(version.effective_minor(), minor, "{text}");
            assert_eq!(version.to_string(), text, "a version is shown as it was written");
        }
    }

    #[test]
    fn rejects_versions_as_pod_security_admission_does() {
        for text in ["", "1.30", "v1", "v1.", "v1.01", "v1.+3", "v1.-1", "v1.3.0", "v2.0", "Latest", " v1.1", "v1.99999999999999999999999"]
        {
            let error = text.parse::<Version>().unwrap_err();
            assert_eq!(error.to_string(), r#"must be "latest" or "v1.x""#, "{text}");
        }
    }

    #[test]
    fn rejects_levels_that_are_not_spelled_exactly() {
        for text in ["", "Baseline", "default", "restricted "] {
            let error = text.parse::<Level>().unwrap_err();
            assert_eq!(error.to_string(), "must be one of privileged, baseline, restricted", "{text}");
        }
    }

    #[test]
    fn reads_back_what_it_shows() {
        for text in ["privileged:latest", "baseline:v1.0", "restricted:v1.31"] {
            assert_eq!(text.parse::<Standard>().unwrap().to_string(), text);
        }
        assert_eq!("baseline".parse::<Standard>().unwrap().to_string(), "baseline:latest");
    }

    #[test]
    fn names_the_part_of_a_standard_that_is_wrong() {
        assert_eq!(
            "strict:latest".parse::<Standard>().unwrap_err().to_string(),
            r#"level "strict" must be one of privileged, baseline, restricted"#
        );
        assert_eq!("baseline:1.2".parse::<Standard>().unwrap_err().to_string(), r#"version "1.2" must be "latest" or "v1.x""#);
    }
}
