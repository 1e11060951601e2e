//! What the harness and the agent in the guest say to each other, over one virtio-serial port.
//!
//! ```text
//! frame = conversation: u32 | header length: u32 | body length: u32 | header: JSON | body: bytes      (little endian)
//! ```
//!
//! The header says what the frame is; bytes of files and of output travel in the body as they are. Each request opens a
//! conversation of its own, so many can be under way at once: the host chooses the number, every answer carries it.
//!
//! ```text
//! Spawn ──► Started, Output…, Exited            Read ──► Contents
//!   │                                           Write, WaitForFile, Kill ──► Done
//!   └ Input…, Signal                            any ──► Failed
//! ```
//!
//! Both ends belong to one build, so there is no version. A frame whose lengths pass the limits is an error, and ends
//! the connection: after it nothing can be trusted to be in step.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The name of the virtio-serial port, as the guest sees it in `/sys/class/virtio-ports/*/name`.
pub const PORT: &str = "portcullis";

/// The longest header, in bytes: a command line with its environment.
const HEADER_MAX: usize = 1 << 20;

/// The longest body, in bytes: a file that is read or written whole.
pub const BODY_MAX: usize = 256 << 20;

/// The conversation that belongs to no request: the agent's greeting.
pub const GREETING: u32 = 0;

/// What the host asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Start a program, in a process group of its own.
    Spawn(Spawn),
    /// The body is input for the conversation's program; an empty body is its end.
    Input,
    /// A signal for the process group of the conversation's program.
    Signal(i32),
    /// A signal for any process.
    Kill {
        /// The process.
        pid: u32,
        /// The signal's number.
        signal: i32,
    },
    /// Send a whole file.
    Read {
        /// Its path.
        path: String,
    },
    /// Make or replace a file; the body is what it shall hold.
    Write {
        /// Its path.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// Answer once the path exists.
    WaitForFile {
        /// The path.
        path: String,
        /// How long to look for it at most, in milliseconds.
        limit_ms: u64,
    },
}

/// A program to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spawn {
    /// A path, or a name to look up in the guest's `PATH`.
    pub program: String,
    /// The arguments after the program's name.
    pub arguments: Vec<String>,
    /// Variables beside the guest's `PATH` and `HOME`.
    pub environment: Vec<(String, String)>,
    /// The working directory.
    pub directory: String,
    /// User and group id; root where absent.
    pub user: Option<u32>,
    /// The folder of the cgroup to start it in; the agent's own where absent.
    pub cgroup: Option<String>,
}

/// What the guest answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// The agent serves.
    Ready,
    /// The program runs.
    Started {
        /// Its process id, which is also its process group.
        pid: u32,
    },
    /// The body is output.
    Output(Stream),
    /// The program has ended and all its output was sent.
    Exited(Status),
    /// The body is the file.
    Contents,
    /// It is done.
    Done,
    /// It could not be done, and why.
    Failed(String),
}

/// Where output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// One message of either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<T> {
    /// The conversation it belongs to.
    pub conversation: u32,
    /// What it is.
    pub header: T,
    /// Its bytes, if it has any.
    pub body: Vec<u8>,
}

impl<T: Serialize + DeserializeOwned> Frame<T> {
    /// A frame without a body.
    pub fn new(conversation: u32, header: T) -> Self {
        Self { conversation, header, body: Vec::new() }
    }

    /// The same frame with this body.
    #[must_use]
    pub fn with(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Writes the frame in one piece.
    ///
    /// # Errors
    /// Those of `out`; [`io::ErrorKind::InvalidData`] where header or body is longer than the protocol allows.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        let header = serde_json::to_vec(&self.header)?;
        let header_length = length(header.len(), HEADER_MAX)?;
        let body_length = length(self.body.len(), BODY_MAX)?;
        let mut bytes = Vec::with_capacity(12 + header.len() + self.body.len());
        for word in [self.conversation, header_length, body_length] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&self.body);
        out.write_all(&bytes)?;
        out.flush()
    }

    /// Reads one frame; `None` where the stream ends before its first byte.
    ///
    /// # Errors
    /// Those of `input`; [`io::ErrorKind::InvalidData`] where the bytes are no frame, [`io::ErrorKind::UnexpectedEof`] where
    /// the stream ends within one.
    pub fn read(mut input: impl Read) -> io::Result<Option<Self>> {
        let Some(conversation) = first_word(&mut input)? else { return Ok(None) };
        let header_length = length_word(&mut input, HEADER_MAX)?;
        let body_length = length_word(&mut input, BODY_MAX)?;
        let mut header = vec![0; header_length];
        input.read_exact(&mut header)?;
        let header = serde_json::from_slice(&header)?;
        let mut body = vec![0; body_length];
        input.read_exact(&mut body)?;
        Ok(Some(Self { conversation, header, body }))
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "frame longer than the protocol allows")
}

fn length(bytes: usize, most: usize) -> io::Result<u32> {
    if bytes > most {
        return Err(too_long());
    }
    u32::try_from(bytes).map_err(|_| too_long())
}

fn length_word(input: &mut impl Read, most: usize) -> io::Result<usize> {
    let mut word = [0; 4];
    input.read_exact(&mut word)?;
    usize::try_from(u32::from_le_bytes(word)).ok().filter(|&length| length <= most).ok_or_else(too_long)
}

/// The first word of a frame; `None` at the end of the stream.
fn first_word(input: &mut impl Read) -> io::Result<Option<u32>> {
    let mut first = [0; 1];
    loop {
        match input.read(&mut first) {
            Ok(0) => return Ok(None),
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut rest = [0; 3];
    input.read_exact(&mut rest)?;
    let ([a], [b, c, d]) = (first, rest);
    Ok(Some(u32::from_le_bytes([a, b, c, d])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back_as_it_was_written() {
        let first = Frame::new(7, Response::Output(Stream::Stderr)).with(vec![0, 255, 10, 13]);
        let second = Frame::new(8, Response::Exited(Status::Signal(9)));
        let mut bytes = Vec::new();
        first.write(&mut bytes).unwrap();
        second.write(&mut bytes).unwrap();
        let mut input = bytes.as_slice();
        assert_eq!(Frame::read(&mut input).unwrap(), Some(first));
        assert_eq!(Frame::read(&mut input).unwrap(), Some(second));
        assert_eq!(Frame::<Response>::read(&mut input).unwrap(), None);
    }

    #[test]
    fn a_stream_that_ends_within_a_frame_is_an_error() {
        let mut bytes = Vec::new();
        Frame::new(1, Request::Read { path: "/f".into() }).write(&mut bytes).unwrap();
        for length in 1..bytes.len() {
            let error = Frame::<Request>::read(&bytes[..length]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "after {length} bytes");
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_anything_is_allocated() {
        let bytes = [1u32, u32::MAX, 0].map(u32::to_le_bytes).concat();
        assert_eq!(Frame::<Request>::read(bytes.as_slice()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
