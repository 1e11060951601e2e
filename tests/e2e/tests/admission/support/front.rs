//! What stands before the replicas of a webhook, as a Service and the kubelet's probes do: a new connection goes to a replica that said it was ready
//! when it was asked last. Like them it learns late that one is going.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::Scene;

/// From one probe to the next. A kubelet takes seconds; the webhook is told to linger accordingly.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug, Clone)]
struct Replica {
    address: SocketAddr,
    health: SocketAddr,
    ready: bool,
}

/// A port of its own, and the replicas behind it.
#[derive(Debug)]
pub(crate) struct Front {
    port: u16,
    replicas: Arc<Mutex<Vec<Replica>>>,
    tasks: [JoinHandle<()>; 2],
}

impl Front {
    /// Listens, as the scene's Service, which leads here: the API server follows the name that it stands for.
    pub(crate) async fn start(scene: &Scene) -> Self {
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "webhook"},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        });
        scene.create(&scene.system(), &service).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let replicas: Arc<Mutex<Vec<Replica>>> = Arc::default();
        let tasks = [tokio::spawn(accept(listener, Arc::clone(&replicas))), tokio::spawn(probe(Arc::clone(&replicas)))];
        Self { port, replicas, tasks }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Sends to a replica, too, from the time that it says it is ready.
    pub(crate) fn add(&self, address: SocketAddr, health: SocketAddr) {
        self.replicas.lock().unwrap().push(Replica { address, health, ready: false });
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn accept(listener: TcpListener, replicas: Arc<Mutex<Vec<Replica>>>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let replicas = Arc::clone(&replicas);
        tokio::spawn(async move {
            if first_ready(&replicas).is_none() {
                // It may be ready since the last probe, and registered.
                look(&replicas).await;
            }
            let chosen = first_ready(&replicas);
            // Where there is no replica the connection is just closed, and where the replica refuses it likewise.
            if let Some(address) = chosen
                && let Ok(mut replica) = TcpStream::connect(address).await
            {
                let _ = copy_bidirectional(&mut client, &mut replica).await;
            }
        });
    }
}

async fn probe(replicas: Arc<Mutex<Vec<Replica>>>) {
    let mut ticks = tokio::time::interval(PROBE_INTERVAL);
    loop {
        ticks.tick().await;
        look(&replicas).await;
    }
}

/// Asks every replica whether it is ready.
async fn look(replicas: &Mutex<Vec<Replica>>) {
    let known = replicas.lock().unwrap().clone();
    for replica in known {
        let ready = is_ready(replica.health).await;
        replicas.lock().unwrap().iter_mut().filter(|other| other.health == replica.health).for_each(|other| other.ready = ready);
    }
}

fn first_ready(replicas: &Mutex<Vec<Replica>>) -> Option<SocketAddr> {
    replicas.lock().unwrap().iter().find(|replica| replica.ready).map(|replica| replica.address)
}

async fn is_ready(health: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(health).await else { return false };
    let request = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut answer = Vec::new();
    stream.write_all(request).await.is_ok() && stream.read_to_end(&mut answer).await.is_ok() && answer.starts_with(b"HTTP/1.1 200")
}
