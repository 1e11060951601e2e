//! Operations by an `io_uring`: one ring, one request, one answer.

use std::{
    ffi::{CString, c_long, c_void},
    io,
    net::SocketAddr,
    os::fd::AsRawFd,
    ptr,
    sync::atomic::{AtomicU32, Ordering},
};

// `include/uapi/linux/io_uring.h`
const IORING_OP_CONNECT: u8 = 16;
const IORING_OP_OPENAT: u8 = 18;
const IORING_OP_UNLINKAT: u8 = 36;
const IORING_ENTER_GETEVENTS: c_long = 1;
const IORING_OFF_SQES: i64 = 0x1000_0000;
const IOSQE_ASYNC: u8 = 1 << 4;
/// Where the offsets of the two queues begin in `struct io_uring_params`, in words of 32 bits.
const SUBMISSION_AT: usize = 10;
const COMPLETION_AT: usize = 20;

/// Attempts what the words say; `None` where they say nothing of this.
pub(crate) fn attempt(words: &[&str]) -> Option<io::Result<()>> {
    Some(match *words {
        ["ring"] => Ring::new().map(drop),
        ["ring-write", path] => file(path, |path| Request { operation: IORING_OP_OPENAT, how: libc::O_WRONLY.cast_unsigned(), ..at(path) }),
        // By a thread of the kernel's on this process's behalf.
        ["ring-write-later", path] => {
            file(path, |path| Request { operation: IORING_OP_OPENAT, flags: IOSQE_ASYNC, how: libc::O_WRONLY.cast_unsigned(), ..at(path) })
        }
        ["ring-unlink", path] => file(path, |path| Request { operation: IORING_OP_UNLINKAT, ..at(path) }),
        ["ring-connect", address] => connect(address),
        _ => return None,
    })
}

/// `struct io_uring_sqe`.
#[repr(C)]
#[derive(Default)]
struct Request {
    operation: u8,
    flags: u8,
    priority: u16,
    fd: i32,
    offset: u64,
    address: u64,
    length: u32,
    how: u32,
    rest: [u64; 4],
}

fn at(path: &CString) -> Request {
    Request { fd: libc::AT_FDCWD, address: path.as_ptr() as u64, ..Request::default() }
}

fn file(path: &str, request: impl FnOnce(&CString) -> Request) -> io::Result<()> {
    let path = CString::new(path)?;
    Ring::new()?.submit(request(&path))
}

fn connect(address: &str) -> io::Result<()> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let Ok(SocketAddr::V4(address)) = address.parse() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let name = libc::sockaddr_in {
        sin_family: 2, // AF_INET
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
        sin_zero: [0; 8],
    };
    let (address, offset) = (ptr::from_ref(&name) as u64, size_of_val(&name) as u64);
    Ring::new()?.submit(Request { operation: IORING_OP_CONNECT, fd: socket.as_raw_fd(), address, offset, ..Request::default() })
}

struct Ring {
    fd: c_long,
    parameters: [u32; 30],
}

impl Ring {
    fn new() -> io::Result<Self> {
        let mut parameters = [0u32; 30];
        // SAFETY: `struct io_uring_params` is 120 bytes.
        let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, parameters.as_mut_ptr()) };
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(Self { fd, parameters }) }
    }

    /// Submits the request and gives back what came of it.
    fn submit(&self, request: Request) -> io::Result<()> {
        const QUEUES: usize = 4096;
        let queues = self.map(QUEUES, 0)?;
        let requests = self.map(4 * size_of::<Request>(), IORING_OFF_SQES)?;
        let word = |offset: u32| queues.wrapping_byte_add(offset as usize).cast::<u32>();
        let part = |at: usize| self.parameters.get(at).copied().unwrap_or_default();
        // head, tail, mask, entries, flags, dropped, array; and head, tail, mask, entries, overflow, completions.
        let (tail, array) = (word(part(SUBMISSION_AT + 1)), word(part(SUBMISSION_AT + 6)));
        let completions = word(part(COMPLETION_AT + 5));
        // SAFETY: the offsets are the kernel's, within what it mapped; the first request is at index 0.
        unsafe {
            requests.cast::<Request>().write(request);
            array.write(0);
            AtomicU32::from_ptr(tail).store(1, Ordering::Release);
            if libc::syscall(libc::SYS_io_uring_enter, self.fd, 1, 1, IORING_ENTER_GETEVENTS, 0, 0) < 0 {
                return Err(io::Error::last_os_error());
            }
            // `struct io_uring_cqe`: the request's own number, then the result.
            let result = completions.add(2).cast::<i32>().read_volatile();
            if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(()) }
        }
    }

    fn map(&self, length: usize, offset: i64) -> io::Result<*mut c_void> {
        #[expect(clippy::cast_possible_truncation, reason = "a file descriptor")]
        let fd = self.fd as i32;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let address = unsafe {
            libc::mmap(ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_POPULATE, fd, offset)
        };
        if address == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(address) }
    }
}
