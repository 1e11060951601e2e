//! `portcullis-web LISTEN DATABASE`: a web shop with one hole, the program of the demo's container.
//!
//! ```text
//!  GET /               a page from a file
//!  GET /product?id=N   asks the database
//!  POST /cart          the body is an object: the name of its class, then its arguments, one a line; kept in a temporary file
//! ```
//!
//! Every request adds a line to a log file.
//!
//! The hole is in how carts are read: an object of *any* class is made, as by deserialisers that follow the sender's word. Visitors send `Item`s. An
//! attacker sends [`gadget`]s, and so has code of his choice run inside this process, without any program being executed:
//!
//! ```text
//!  Runtime.exec  PATH ARGUMENT...     File.read  PATH     Socket.send  ADDRESS:PORT TEXT
//! ```
//!
//! What an object's making gives is the answer: 200 and a text, or 500 and the error's number and text.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Command, ExitCode, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

const PAGE: &str = "/srv/shop/index.html";
const LOG: &str = "/var/log/shop/access.log";
/// A cart's temporary file; its number follows.
const CART: &str = "/tmp/cart-";

/// For a peer that says nothing, and one that does not take what it is sent.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest request, and the longest answer of a peer, in bytes.
const LENGTH_MAX: u64 = 64 << 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [listen, database] = &arguments[..] else {
        eprintln!("usage: portcullis-web LISTEN DATABASE, not {arguments:?}");
        return ExitCode::from(2);
    };
    match serve(listen, database) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("portcullis-web: {listen}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(listen: &str, database: &str) -> io::Result<std::convert::Infallible> {
    let database: SocketAddr = database.parse().map_err(io::Error::other)?;
    let listener = TcpListener::bind(listen)?;
    println!("listening");
    loop {
        let (stream, _) = listener.accept()?;
        thread::spawn(move || {
            if let Err(error) = answer(&stream, database) {
                eprintln!("portcullis-web: {error}");
            }
        });
    }
}

/// One request, one answer, and the connection's end.
fn answer(mut stream: &TcpStream, database: SocketAddr) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = Request::read(stream)?;
    let done = log(&request).and_then(|()| match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/") => fs::read_to_string(PAGE),
        ("GET", product) if product.starts_with("/product?id=") => talk(database, product),
        ("POST", "/cart") => deserialise(&request.body),
        _ => Err(io::ErrorKind::NotFound.into()),
    });
    let (status, body) = match done {
        Ok(body) => ("200 OK", body),
        Err(error) => ("500 Internal Server Error", format!("errno {}: {error}", error.raw_os_error().unwrap_or_default())),
    };
    write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

struct Request {
    method: String,
    path: String,
    body: String,
}

impl Request {
    fn read(stream: &TcpStream) -> io::Result<Self> {
        let mut reader = BufReader::new(stream.take(LENGTH_MAX));
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let (Some(method), Some(path)) = (words.next(), words.next()) else { return Err(io::ErrorKind::InvalidData.into()) };
        let (method, path) = (method.to_owned(), path.to_owned());
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = String::new();
        reader.take(length).read_to_string(&mut body)?;
        Ok(Self { method, path, body })
    }
}

fn log(request: &Request) -> io::Result<()> {
    writeln!(fs::OpenOptions::new().create(true).append(true).open(LOG)?, "{} {}", request.method, request.path)
}

/// Sends a line and reads what comes back.
fn talk(address: SocketAddr, text: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    writeln!(stream, "{text}")?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.take(LENGTH_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}

fn deserialise(object: &str) -> io::Result<String> {
    let mut lines = object.lines();
    let class = lines.next().unwrap_or_default();
    let arguments: Vec<&str> = lines.collect();
    if class == "Item" { keep(object) } else { gadget(class, &arguments) }
}

/// Writes the cart aside, as frameworks do with what is uploaded, and reads it back.
fn keep(cart: &str) -> io::Result<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(10);
    let path = format!("{CART}{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    fs::write(&path, cart)?;
    let kept = fs::read_to_string(&path)?;
    fs::remove_file(&path)?;
    Ok(format!("{} in the cart\n", kept.lines().count().saturating_sub(1)))
}

/// The hole: what it can be made to do is what the process can do.
fn gadget(class: &str, arguments: &[&str]) -> io::Result<String> {
    match (class, arguments) {
        ("Runtime.exec", [program, rest @ ..]) => {
            let output = Command::new(program).args(rest).stdin(Stdio::null()).output()?;
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        ("File.read", [path]) => fs::read_to_string(path),
        ("Socket.send", [address, text]) => talk(address.parse().map_err(io::Error::other)?, text),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}
