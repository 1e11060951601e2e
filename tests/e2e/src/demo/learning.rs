//! Waiting until the enforcer has learned the shop: its profile is written, and visitors cause nothing new any more.

use portcullis_api::{WorkloadProfile, event::Action};

use super::{
    Failure, VISITS,
    scene::{PROFILE, Scene},
};
use crate::{Error, enforcer::PROFILES};

/// How often visitors may come before the profile must hold all that they cause.
const ROUNDS: usize = 10;

/// The profile's text, and what it says.
pub(super) fn learned(scene: &mut Scene<'_>) -> Result<(String, WorkloadProfile), Failure> {
    let mut observed = 0;
    for _ in 0..ROUNDS {
        scene.visitors.wait_for_more(VISITS)?;
        let now = scene.enforcer.events()?.iter().filter(|event| event.action == Action::Observed).count();
        // What is in the profile is not observed again, so a quiet round says that all of a round is in it.
        if now > 0 && now == observed {
            return read(scene);
        }
        observed = now;
    }
    let message = format!("after {ROUNDS} times {VISITS} visits there is still something new");
    Err(Error::Guest { what: "wait until the shop is learned".to_owned(), message }.into())
}

fn read(scene: &Scene<'_>) -> Result<(String, WorkloadProfile), Failure> {
    let text = scene.vm.read_text(&format!("{PROFILES}/{PROFILE}"))?;
    let profiles = portcullis_api::load(PROFILE, &format!("{text}\n")).map_err(|error| Failure::Profile(error.to_string()))?;
    match <[WorkloadProfile; 1]>::try_from(profiles) {
        Ok([profile]) => Ok((text, profile)),
        Err(profiles) => Err(Failure::Profile(format!("there are {}, not one", profiles.len()))),
    }
}
