//! The server on loopback: TLS, certificates that change, clients that are slow, and stopping.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/client.rs"]
mod client;

use std::time::{Duration, Instant};

use client::{ClientPair, REVIEW, Running, connect_as, exchange, head, issue, post, receive};
use portcullis_webhook::listener::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn answers_a_review_over_tls_and_probes_without() {
    let server = Running::start(Limits::default()).await;
    let (status, body) = exchange(server.connect().await, &post()).await;
    assert_eq!(status, 200);
    assert!(body.contains(r#""uid":"u-1""#) && body.contains("hostNetwork=true"), "{body}");
    assert_eq!(server.probe("/livez").await, (200, "ok\n".to_owned()));
    assert_eq!(server.probe("/readyz").await, (200, "ok\n".to_owned()));
    let (status, metrics) = server.probe("/metrics").await;
    assert_eq!(status, 200);
    let denied = r#"pod_security_evaluations_total{decision="deny",policy_level="baseline",policy_version="latest",mode="enforce""#;
    for expected in [denied, r#"portcullis_webhook_responses_total{code="200"} 1"#, "portcullis_webhook_connections_accepted_total 1"] {
        assert!(metrics.contains(expected), "{metrics}");
    }
}

/// An authority's certificate, and a client's that it signed.
fn issue_client() -> (String, ClientPair) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = rcgen::CertifiedIssuer::self_signed(params, ca_key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["kube-apiserver".to_owned()]).unwrap();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let client = params.signed_by(&key, &ca).unwrap();
    (ca.pem(), (client.pem(), key.serialize_pem()))
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_only_callers_whose_certificate_the_client_authority_signed() {
    let (client_ca, client) = issue_client();
    let (_, stranger) = issue_client();
    let server = Running::start_for(Limits::default(), Some(&client_ca)).await;
    let known = connect_as(server.address, &server.certificate, Some(&client)).await.unwrap();
    assert_eq!(exchange(known, &post()).await.0, 200);
    for caller in [None, Some(&stranger)] {
        // The server's refusal may come after the client's part of the handshake is done.
        let status = match connect_as(server.address, &server.certificate, caller).await {
            Ok(mut stream) => {
                let _ = stream.write_all(post().as_bytes()).await;
                receive(stream).await.0
            }
            Err(_) => 0,
        };
        assert_eq!(status, 0, "no answer");
    }
    assert_eq!(server.probe("/readyz").await.0, 200, "probes need no certificate");
}

#[tokio::test(flavor = "multi_thread")]
async fn lets_in_whom_the_file_of_client_authorities_names_now() {
    let ((old_ca, old), (new_ca, new)) = (issue_client(), issue_client());
    let server = Running::start_for(Limits::default(), Some(&old_ca)).await;
    let status = async |caller: &ClientPair| match connect_as(server.address, &server.certificate, Some(caller)).await {
        Ok(mut stream) => {
            let _ = stream.write_all(post().as_bytes()).await;
            receive(stream).await.0
        }
        Err(_) => 0,
    };
    assert_eq!((status(&old).await, status(&new).await), (200, 0));
    let file = server.folder.path().join("client-ca.crt");
    std::fs::write(&file, format!("{old_ca}{new_ca}")).unwrap();
    until(async || status(&new).await == 200).await;
    assert_eq!(status(&old).await, 200);
    std::fs::write(&file, &new_ca).unwrap();
    until(async || status(&old).await == 0).await;
    std::fs::write(&file, "").unwrap();
    // Longer than it takes to see the change.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((status(&old).await, status(&new).await), (0, 200), "a file that cannot be used changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_after_requests_that_it_refuses() {
    let server = Running::start(Limits::default()).await;
    let garbage = TcpStream::connect(server.address).await.unwrap();
    exchange(garbage, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let (status, _) = exchange(server.connect().await, "no HTTP at all\r\n\r\n").await;
    assert_eq!(status, 400);
    let too_large = "POST /validate HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 9999999999\r\n\r\n";
    let (status, _) = exchange(server.connect().await, too_large).await;
    assert_eq!(status, 413);
    let (status, _) = exchange(server.connect().await, &post()).await;
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn uses_a_new_certificate_without_a_restart_and_reports_one_that_it_cannot_use() {
    let mut server = Running::start(Limits::default()).await;
    let mut kept = server.connect().await;
    let previous = std::mem::take(&mut server.certificate);
    server.certificate = issue(&server.folder);
    until(async || server.connect_trusting(&server.certificate).await.is_ok()).await;
    assert!(server.connect_trusting(&previous).await.is_err(), "the previous certificate is not used for new connections");
    kept.write_all(post().as_bytes()).await.unwrap();
    assert_eq!(receive(&mut kept).await.0, 200, "a connection lives on through the change");

    std::fs::write(server.folder.path().join("tls.crt"), "no certificate").unwrap();
    until(async || server.probe("/readyz").await.1.contains("the previous one is in use")).await;
    assert_eq!(server.probe("/readyz").await.0, 200);
    let (status, _) = exchange(server.connect().await, &post()).await;
    assert_eq!(status, 200);
}

/// Waits for what happens within the few seconds of a poll.
async fn until(condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !condition().await {
        assert!(Instant::now() < deadline, "it did not happen in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serves_others_while_slow_clients_take_every_connection() {
    let limits = Limits { connections: 50, ..Limits::default() };
    let server = Running::start(limits).await;
    let mut slow = Vec::new();
    for number in 0..100 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // The first byte of a TLS record, and no more.
        if number % 2 == 0 {
            stream.write_all(&[22]).await.unwrap();
        }
        slow.push(stream);
    }
    for _ in 0..5 {
        let begun = Instant::now();
        let (status, _) = exchange(server.connect().await, &post()).await;
        assert_eq!(status, 200);
        assert!(begun.elapsed() < Duration::from_secs(2), "a quick client waited {:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serves_others_while_slow_clients_dribble_heads_and_bodies() {
    let server = Running::start(Limits { connections: 20, ..Limits::default() }).await;
    let mut slow = Vec::new();
    for number in 0..20 {
        let mut stream = server.connect().await;
        let begun = if number % 2 == 0 { "POST /validate HTTP/1.1\r\nhos".to_owned() } else { head(REVIEW.len()) + "{" };
        stream.write_all(begun.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        slow.push(stream);
    }
    let begun = Instant::now();
    for _ in 0..30 {
        let (status, _) = exchange(server.connect().await, &post()).await;
        assert_eq!(status, 200);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn serves_others_while_idle_clients_have_every_connection() {
    let server = Running::start(Limits { connections: 20, ..Limits::default() }).await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut stream = server.connect().await;
        stream.write_all(post().replace("connection: close\r\n", "").as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        idle.push(stream);
    }
    // All are there before any says a word: each that is taken in must not lose its place to the next.
    let mut begun = Vec::new();
    for _ in 0..8 {
        begun.push(TcpStream::connect(server.address).await.unwrap());
    }
    for stream in begun {
        let (status, _) = exchange(server.secure(stream).await, &post()).await;
        assert_eq!(status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closes_connections_that_send_no_request_in_time() {
    let server = Running::start(Limits { first_request: Duration::from_millis(200), ..Limits::default() }).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut dribbling = server.connect().await;
    dribbling.write_all(b"POST /validate HTTP/1.1\r\n").await.unwrap();
    let within = Duration::from_secs(5);
    let mut nothing = Vec::new();
    tokio::time::timeout(within, silent.read_to_end(&mut nothing)).await.expect("the silent connection is closed").ok();
    tokio::time::timeout(within, dribbling.read_to_end(&mut nothing)).await.expect("the dribbling connection is closed").ok();
    assert!(nothing.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn finishes_requests_that_were_begun_when_it_is_told_to_stop() {
    let mut server = Running::start(Limits::default()).await;
    let mut begun = server.connect().await;
    let (first, rest) = REVIEW.split_at(10);
    begun.write_all((head(REVIEW.len()) + first).as_bytes()).await.unwrap();
    begun.flush().await.unwrap();
    let idle = server.connect().await;
    server.stop();
    until(async || TcpStream::connect(server.address).await.is_err()).await;
    assert_eq!(server.probe("/readyz").await, (503, "stopping\n".to_owned()));
    assert_eq!(server.probe("/livez").await.0, 200);
    begun.write_all(rest.as_bytes()).await.unwrap();
    let (status, _) = receive(begun).await;
    assert_eq!(status, 200);
    drop(idle);
    server.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_in_bounded_time_though_a_request_never_ends() {
    let mut server = Running::start(Limits { drain: Duration::from_millis(300), ..Limits::default() }).await;
    let mut endless = server.connect().await;
    endless.write_all(head(REVIEW.len()).as_bytes()).await.unwrap();
    endless.flush().await.unwrap();
    let begun = Instant::now();
    server.stop();
    server.stopped().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_accepting_for_a_while_after_the_stop_and_closes_each_connection_with_its_answer() {
    let mut server = Running::start(Limits { linger: Duration::from_secs(2), ..Limits::default() }).await;
    let mut begun = server.connect().await;
    server.stop();
    until(async || server.probe("/readyz").await.0 == 503).await;
    let mut late = server.connect().await;
    for stream in [&mut begun, &mut late] {
        let request = post().replace("connection: close\r\n", "");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // To the end: it is the server that closes.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close\r\n"), "{answer}");
    }
    server.stopped().await;
    assert!(server.connect_trusting(&server.certificate).await.is_err(), "nobody is accepted any more");
}
