//! Servers that a container may reach: the shop's database, the cloud's metadata service, the attacker's own.
//!
//! Each reads one line and answers with its text. What it was told is printed as `NAME was told: LINE` before the answer is sent, so who has the answer
//! finds it printed.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

/// For a peer that says nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest line, in bytes.
const LINE_MAX: u64 = 64 << 10;

/// Serves at all of `NAME=ADDRESS:PORT=ANSWER` for ever; says `ready` once it listens at each.
pub(crate) fn serve(servers: &[&str]) -> io::Result<()> {
    let mut threads = Vec::new();
    for server in servers {
        let mut parts = server.splitn(3, '=').map(str::to_owned);
        let (Some(name), Some(address), Some(answer)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(io::Error::other(format!("{server} is not NAME=ADDRESS:PORT=ANSWER")));
        };
        let listener = TcpListener::bind(&address)?;
        threads.push(thread::spawn(move || listen(&listener, &name, &answer)));
    }
    println!("ready");
    threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(io::Error::other("a server panicked"))))
}

fn listen(listener: &TcpListener, name: &str, answer: &str) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        if let Err(error) = reply(&stream, name, answer) {
            eprintln!("portcullis-world: {name}: {error}");
        }
    }
}

fn reply(mut stream: &TcpStream, name: &str, answer: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(LINE_MAX)).read_line(&mut line)?;
    println!("{name} was told: {}", line.trim_end().escape_debug());
    writeln!(stream, "{answer}")
}
