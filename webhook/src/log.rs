//! The log: JSON lines on standard output.
//!
//! `RUST_LOG` sets what is logged; without it everything of this program at level `info`.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Starts the log. Later calls change nothing.
pub fn init() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    // It fails only where a log was started before, as in tests; then that one stays.
    let _ = tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(filter).with_writer(std::io::stdout).try_init();
}
