//! What the enforcer has told, read piece by piece: a flood is megabytes, and tests look again and again.

use std::sync::{Mutex, PoisonError};

use portcullis_api::Event;

use super::EVENTS;
use crate::{Error, Vm};

/// The events since a moment.
pub(super) struct Told(Mutex<Read>);

struct Read {
    /// How many bytes of the file lie before what is to be read next.
    offset: usize,
    events: Vec<Event>,
}

impl Told {
    /// None yet; those that are there already belong to others.
    pub(super) fn from_now_on(vm: &Vm) -> Result<Self, Error> {
        let size = vm.command("sh").args(["-c", &format!("cat {EVENTS} 2>/dev/null | wc -c")]).check()?;
        let offset = size
            .trim()
            .parse()
            .map_err(|error| Error::Guest { what: format!("read the size of {EVENTS}"), message: format!("{error}: {size}") })?;
        Ok(Self(Mutex::new(Read { offset, events: Vec::new() })))
    }

    /// All of them. A line that an agent is writing, or was when a test killed it, is left until it has an end; the next agent ends it.
    pub(super) fn events(&self, vm: &Vm) -> Result<Vec<Event>, Error> {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tail = format!("tail -c +{} {EVENTS} 2>/dev/null || true", read.offset + 1);
        let new = vm.command("sh").args(["-c", &tail]).run()?.stdout;
        let length = new.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let whole = String::from_utf8_lossy(new.get(..length).unwrap_or_default());
        for line in whole.lines() {
            match serde_json::from_str(line) {
                Ok(event) => read.events.push(event),
                Err(error) if error.is_eof() => {}
                Err(error) => return Err(Error::Guest { what: format!("read the event {line}"), message: error.to_string() }),
            }
        }
        read.offset += length;
        Ok(read.events.clone())
    }
}
