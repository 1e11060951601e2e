//! Which applications there are.

use portcullis_api::event::Operation;

use super::Application;

/// A script of an application.
macro_rules! text {
    ($path:literal) => {
        include_str!(concat!("../../applications/", $path))
    };
}

const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGTERM: i32 = 15;

const ROOT: u32 = 0;
// As in the image's /etc/passwd: see `hack/applications`.
const WWW_DATA: u32 = 33;
const POSTGRES: u32 = 70;
const REDIS: u32 = 71;

/// A foreign address, which nothing in the guest has a way to.
const ELSEWHERE: &str = "203.0.113.7";

/// A web server, with a cache and two workers.
pub const NGINX: Application = Application {
    name: "nginx",
    arguments: &["/usr/sbin/nginx", "-g", "daemon off;"],
    user: ROOT,
    files: &[
        ("/etc/nginx/nginx.conf", text!("nginx/nginx.conf"), 0o644),
        ("/srv/www/index.html", "welcome", 0o644),
        ("/srv/www/about.html", "about", 0o644),
        ("/srv/www/contact.html", "contact", 0o644),
    ],
    volume: ("/var/log/nginx", ROOT),
    stop: SIGQUIT,
    learn: text!("nginx/learn.sh"),
    enforce: text!("nginx/enforce.sh"),
    attack: text!("nginx/attack.sh"),
    attacks: &[(Operation::Exec, "/usr/bin/dash"), (Operation::Open, "/run/secrets/token"), (Operation::Connect, ELSEWHERE)],
};

/// A store of keys that saves in the background.
pub const REDIS_SERVER: Application = Application {
    name: "redis",
    arguments: &["/usr/bin/redis-server", "/etc/redis.conf"],
    user: REDIS,
    files: &[("/etc/redis.conf", text!("redis/redis.conf"), 0o644)],
    volume: ("/data", REDIS),
    stop: SIGTERM,
    learn: text!("redis/learn.sh"),
    enforce: text!("redis/enforce.sh"),
    attack: text!("redis/attack.sh"),
    attacks: &[
        (Operation::Exec, "/usr/bin/dash"),
        (Operation::Open, "/run/secrets/token"),
        (Operation::Connect, ELSEWHERE),
        (Operation::Create, "/etc/temp-"),
    ],
};

/// A database, which makes its cluster at its first start.
pub const POSTGRESQL: Application = Application {
    name: "postgresql",
    arguments: &["/bin/sh", "/start.sh"],
    user: POSTGRES,
    files: &[("/start.sh", text!("postgresql/start.sh"), 0o755)],
    volume: ("/var/lib/postgresql/data", POSTGRES),
    stop: SIGINT,
    learn: text!("postgresql/learn.sh"),
    enforce: text!("postgresql/enforce.sh"),
    attack: text!("postgresql/attack.sh"),
    // The subscription needs a library that was never mapped, and does not get as far as to connect.
    attacks: &[(Operation::Exec, "/usr/bin/id"), (Operation::Open, "/run/secrets/token"), (Operation::Map, "/libpqwalreceiver.so")],
};

/// An application in Python, with two workers and a child for each request.
pub const PYTHON: Application = Application {
    name: "python",
    arguments: &["/usr/bin/python3.11", "/srv/app/app.py"],
    user: WWW_DATA,
    files: &[
        ("/srv/app/app.py", text!("python/app.py"), 0o644),
        ("/srv/app/templates/home.html", "<h1>notes</h1>$notes", 0o644),
        ("/srv/app/templates/note.html", "<p>$text</p>", 0o644),
    ],
    volume: ("/data", WWW_DATA),
    stop: SIGTERM,
    learn: text!("python/learn.sh"),
    enforce: text!("python/enforce.sh"),
    attack: text!("python/attack.sh"),
    attacks: &[(Operation::Exec, "/usr/bin/dash"), (Operation::Open, "/run/secrets/token"), (Operation::Connect, ELSEWHERE)],
};

/// Every application.
pub const ALL: [&Application; 4] = [&NGINX, &REDIS_SERVER, &POSTGRESQL, &PYTHON];
