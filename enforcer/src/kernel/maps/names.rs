//! What profiles are called, and which pods there are.

use aya::maps::MapError;
use portcullis_abi::{ProfileName, pod::Tail};
use std::collections::BTreeMap;

use super::{Maps, MapsError, absent_is_fine, failed};

/// What a profile is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// How many rules it has.
    pub rules: u32,
    /// Which features that its rules need the kernel lacks.
    pub unjudged: u32,
    /// `NAMESPACE/PROFILE/CONTAINER`.
    pub text: String,
}

impl Maps {
    /// What a profile is called; `None` where nobody has said.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn name(&self, index: u32) -> Result<Option<Name>, MapsError> {
        let bytes = match self.names.get(&index, 0) {
            Ok(bytes) => bytes,
            Err(MapError::KeyNotFound) => return Ok(None),
            Err(source) => return Err(failed("read", "NAMES")(source)),
        };
        let name = ProfileName::from_bytes(&bytes);
        Ok(name.map(|name| Name { rules: name.rules, unjudged: name.unjudged, text: name.text.to_owned() }))
    }

    /// Says what a profile is called. A name that no object can have is left out.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn set_name(&mut self, index: u32, name: ProfileName<'_>) -> Result<(), MapsError> {
        match name.to_bytes() {
            Some(bytes) => self.names.insert(index, bytes, 0).map_err(failed("write", "NAMES")),
            None => self.remove_name(index),
        }
    }

    /// Forgets what a profile is called.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn remove_name(&mut self, index: u32) -> Result<(), MapsError> {
        absent_is_fine(self.names.remove(&index)).map_err(failed("write", "NAMES"))
    }

    /// The profile of each pod's containers whose names are not known, by the end of the path of the pod's cgroup.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn pods(&self) -> Result<BTreeMap<Tail, u32>, MapsError> {
        self.pods.iter().collect::<Result<_, _>>().map_err(failed("read", "PODS"))
    }

    /// Arms a pod.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn set_pod(&mut self, tail: &Tail, index: u32) -> Result<(), MapsError> {
        self.pods.insert(tail, index, 0).map_err(failed("write", "PODS"))
    }

    /// Forgets a pod.
    ///
    /// # Errors
    /// [`MapsError`].
    pub fn remove_pod(&mut self, tail: &Tail) -> Result<(), MapsError> {
        absent_is_fine(self.pods.remove(tail)).map_err(failed("write", "PODS"))
    }
}
