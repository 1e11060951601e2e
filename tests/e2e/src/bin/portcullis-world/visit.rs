//! Visitors of the shop: normal traffic.

use std::{io, thread, time::Duration};

use crate::http;

/// Between two visits, so that the machine has time for what is watched.
const PAUSE: Duration = Duration::from_millis(100);

/// What a visitor does, and what the answer then holds.
const VISITS: [(&str, &str, &str); 3] =
    [("GET /", "", "Welcome"), ("GET /product?id=7", "", "teapot"), ("POST /cart", "Item\nteapot\n", "1 in the cart")];

/// Visits for ever; prints `served REQUEST` or `failed REQUEST: ANSWER` for each.
pub(crate) fn visit(shop: &str) -> io::Result<()> {
    loop {
        for (request, body, wanted) in VISITS {
            match http::connect(shop).and_then(|stream| http::exchange(stream, request, shop, body)) {
                Ok((200, answer)) if answer.contains(wanted) => println!("served {request}"),
                Ok((status, answer)) => println!("failed {request}: {status} {}", answer.escape_debug()),
                Err(error) => println!("failed {request}: {error}"),
            }
            thread::sleep(PAUSE);
        }
    }
}
