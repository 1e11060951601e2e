//! A stand-in for the API server: it answers as a test says, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without what follows a `?`.
    pub(crate) path: String,
    /// Null where there was none.
    pub(crate) body: Value,
}

/// A server that ends with the process.
pub(crate) struct ApiServer {
    address: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl ApiServer {
    pub(crate) fn start(answer: impl Fn(&Request) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (asked, answer) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::new(answer));
        let remembered = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, answer, remembered) = (stream.unwrap(), Arc::clone(&answer), Arc::clone(&remembered));
                std::thread::spawn(move || serve(stream, &*answer, &remembered));
            }
        });
        Self { address, asked }
    }

    /// Writes a kubeconfig that names it.
    pub(crate) fn write_kubeconfig(&self, path: &Path) {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "it", "user": {}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        });
        std::fs::write(path, config.to_string()).unwrap();
    }

    /// Every request of a method, in order.
    pub(crate) fn asked(&self, method: &str) -> Vec<Request> {
        self.asked.lock().unwrap().iter().filter(|request| request.method == method).cloned().collect()
    }
}

fn serve(stream: TcpStream, answer: &dyn Fn(&Request) -> (u16, Value), asked: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap_or_default() > 0 {
        let mut words = line.split_whitespace();
        let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap());
        let path = target.split('?').next().unwrap().to_owned();
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let Some((name, value)) = header.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let request = Request { method, path, body: serde_json::from_slice(&body).unwrap_or_default() };
        asked.lock().unwrap().push(request.clone());
        let (status, body) = answer(&request);
        let body = body.to_string();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        let _ = (&stream).write_all(format!("{head}{body}").as_bytes());
        line.clear();
    }
}

/// A refusal, as the API server writes one.
pub(crate) fn refusal(code: u16, message: &str) -> (u16, Value) {
    (code, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": "", "code": code}))
}

/// A list of objects.
pub(crate) fn list(items: &[Value]) -> (u16, Value) {
    (200, json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": items}))
}
