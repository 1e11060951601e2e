//! The program that records system calls, which is attached only while a profile is being learned: its tracepoint costs every system call of the
//! node something. It is pinned itself, beside the links of the others; its link is the agent's own and ends with it, as learning does.

use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, Program, ProgramError, links::FdLink},
};
use std::path::Path;

use super::{LoadError, object_hash};
use crate::kernel::pins::Pins;

/// Its name, and that of its pin.
pub(super) const PROGRAM: &str = "sys_enter";

/// Loads the program and pins it in the folder of links. How many instructions the verifier processed.
pub(super) fn pin(ebpf: &mut Ebpf, links: &Path) -> Result<(&'static str, u32), LoadError> {
    let program = match ebpf.program_mut(PROGRAM) {
        Some(Program::BtfTracePoint(program)) => program,
        _ => return Err(refused(ProgramError::UnexpectedProgramType)),
    };
    program.load(PROGRAM, &Btf::from_sys_fs()?).map_err(refused)?;
    program.pin(links.join(PROGRAM)).map_err(|source| LoadError::Link { program: PROGRAM, source })?;
    Ok((PROGRAM, program.info().map_err(refused)?.verified_instruction_count().unwrap_or_default()))
}

/// The program.
pub struct Recorder {
    program: BtfTracePoint,
    link: Option<FdLink>,
}

impl Recorder {
    /// Opens what is pinned. It is not attached.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn open(pins: &Pins) -> Result<Self, LoadError> {
        let program = BtfTracePoint::from_pin(pins.links(&object_hash()).join(PROGRAM)).map_err(refused)?;
        Ok(Self { program, link: None })
    }

    /// Attaches or detaches it, where that is not so yet. It takes no capability, but the descriptor of the program.
    ///
    /// # Errors
    /// [`LoadError::Program`] where the kernel refuses.
    pub fn record(&mut self, wanted: bool) -> Result<(), LoadError> {
        if wanted == self.link.is_some() {
            return Ok(());
        }
        self.link = if wanted {
            let id = self.program.attach().map_err(refused)?;
            Some(self.program.take_link(id).map_err(refused)?.into())
        } else {
            None
        };
        tracing::info!(recording = wanted, "system calls");
        Ok(())
    }
}

const fn refused(source: ProgramError) -> LoadError {
    LoadError::Program { program: PROGRAM, source }
}
