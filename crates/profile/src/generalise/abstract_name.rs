//! Abstract names of UNIX sockets, which differ from start to start by a pid, or because the kernel chose them.

use portcullis_api::{AbstractName, Token};

/// The token with what differs in its name left open; any other token as it is.
pub(super) fn general(token: &Token) -> Token {
    match token {
        Token::UnixConnect(name) => Token::UnixConnect(wider(name)),
        Token::UnixBind(name) => Token::UnixBind(wider(name)),
        other => other.clone(),
    }
}

fn wider(name: &AbstractName) -> AbstractName {
    if name.may_be_chosen() {
        return AbstractName::chosen();
    }
    let digits = name.name().iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let before = name.name().get(..name.name().len() - digits).unwrap_or_default();
    let is_counted = digits > 0 && before.len() > 1 && before.last().is_some_and(|last| b"-_.:/".contains(last));
    if is_counted { AbstractName::beginning(before).unwrap_or_else(|_| name.clone()) } else { name.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_start_to_start_is_left_open_and_nothing_else() {
        for (name, general) in [
            ("@0003f", "@"),
            ("@bus-4711", "@bus-*"),
            ("@/tmp/.X11-unix/X0", "@/tmp/.X11-unix/X0"),
            ("@7", "@7"),
            ("@-7", "@-7"),
            ("@a.b", "@a.b"),
            ("@", "@"),
        ] {
            let name: AbstractName = name.parse().unwrap();
            assert_eq!(wider(&name).to_string(), general);
        }
    }
}
