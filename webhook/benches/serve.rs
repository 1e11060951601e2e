//! What the server does under load: reviews a second, latencies, memory; over TLS, on connections that stay open as the API server's do.
//!
//! `cargo bench -p portcullis-webhook`. Server and clients share this process and its processors, so a server of its own does better.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a benchmark may fail by panicking")]

#[path = "../tests/support/client.rs"]
#[allow(dead_code, reason = "the benchmark needs a part of it")]
mod client;

use std::time::{Duration, Instant};

use client::{REVIEW, Running, head};
use portcullis_webhook::listener::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const REQUESTS: usize = 20_000;

#[tokio::main]
async fn main() {
    println!("{:>11} {:>10} {:>10} {:>10} {:>10} {:>10}", "connections", "reviews/s", "p50, us", "p99, us", "p99.9, us", "RSS, KiB");
    for connections in [1, 8, 64] {
        let server = Running::start(Limits::default()).await;
        let begun = Instant::now();
        let mut tasks = Vec::new();
        for _ in 0..connections {
            let stream = server.connect().await;
            tasks.push(tokio::spawn(ask(stream, REQUESTS / connections)));
        }
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await.unwrap());
        }
        let rate = latencies.len() as f64 / begun.elapsed().as_secs_f64();
        latencies.sort_unstable();
        let at = |per_mille: usize| latencies[(latencies.len() - 1) * per_mille / 1000].as_micros();
        println!("{connections:>11} {rate:>10.0} {:>10} {:>10} {:>10} {:>10}", at(500), at(990), at(999), rss_kib());
    }
}

async fn ask(mut stream: TlsStream<TcpStream>, requests: usize) -> Vec<Duration> {
    let request = head(REVIEW.len()).replace("connection: close\r\n", "") + REVIEW;
    let mut answer = vec![0; 16 * 1024];
    let mut latencies = Vec::with_capacity(requests);
    for _ in 0..requests {
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        // An answer is small, and written at once.
        let length = stream.read(&mut answer).await.unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200 OK"));
        latencies.push(begun.elapsed());
    }
    latencies
}

/// The memory that the process holds, from `/proc`.
fn rss_kib() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").to_owned()
}
