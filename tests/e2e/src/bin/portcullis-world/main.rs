//! `portcullis-world`: everything outside the demo's container, on the loopback device of its machine.
//!
//! ```text
//!  serve NAME=ADDRESS:PORT=ANSWER...     servers that answer any line with a text, and print who was told what
//!  visit ADDRESS:PORT                    visitors of the shop, again and again; prints each visit's outcome
//!  post ADDRESS:PORT                     one object for the shop's cart, from the standard input; prints the answer
//!  review ADDRESS:PORT NAME CA-FILE      one AdmissionReview by HTTPS, from the standard input, as the API server sends it; prints the answer
//! ```
//!
//! `post` and `review` end with 0 for HTTP status 200, with 1 for another, with 2 where there was no answer.

mod http;
mod review;
mod serve;
mod visit;

use std::{
    env,
    io::{self, Read},
    process::ExitCode,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["serve", ref servers @ ..] => serve::serve(servers).map(|()| 200),
        ["visit", shop] => visit::visit(shop).map(|()| 200),
        ["post", shop] => input().and_then(|object| tell(http::exchange(http::connect(shop)?, "POST /cart", shop, &object)?)),
        ["review", address, name, authority] => {
            input().and_then(|review| tell(review::send(http::connect(address)?, name, authority, &review)?))
        }
        _ => {
            eprintln!("portcullis-world: what is {arguments:?}?");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(200) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("portcullis-world: {error}");
            ExitCode::from(2)
        }
    }
}

fn input() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// Prints the body and gives the status.
fn tell((status, body): (u16, String)) -> io::Result<u16> {
    println!("{body}");
    Ok(status)
}
