//! The client's side of HTTP/1.1, as little of it as one request on one connection needs.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// For a peer that says nothing.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest answer, in bytes.
const ANSWER_MAX: u64 = 1 << 20;

/// A connection on which nothing lasts for ever.
pub(crate) fn connect(address: &str) -> io::Result<TcpStream> {
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends a request (`POST /path`) and reads the answer: its status and its body.
pub(crate) fn exchange(mut stream: impl Read + Write, request: &str, host: &str, body: &str) -> io::Result<(u16, String)> {
    write!(
        stream,
        "{request} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8(answer).map_err(io::Error::other)?;
    parse(&answer).ok_or_else(|| io::Error::other(format!("no HTTP answer: {answer:?}")))
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_its_body() {
        assert_eq!(parse("HTTP/1.1 403 Forbidden\r\na: b\r\n\r\nno\r\n\r\nway"), Some((403, "no\r\n\r\nway".to_owned())));
        assert_eq!(parse("HTTP/1.1 200 OK\r\n"), None);
        assert_eq!(parse("220 ready\r\n\r\n"), None);
    }
}
