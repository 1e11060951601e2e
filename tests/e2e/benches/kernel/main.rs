//! What the kernel programs cost, in instructions: every operation without the enforcer, outside any container, and in containers whose
//! profiles have from 10 to 100,000 rules.
//!
//! Each kernel is booted once, in a machine whose clock counts instructions, and everything is measured in that one boot: so a baseline and
//! what is compared with it differ in the enforcer alone. The figures repeat, however busy the host is.
//!
//! The exit status is not 0 where the cost grows with the number of rules, or where the clock turns out to count something else. A cost above
//! its limit is shown, not judged.
#![forbid(unsafe_code)]

mod guest;
mod profiles;

use clap::{Parser, ValueEnum};
use portcullis_e2e::{Kernel, cost::Report, document};
use std::{error::Error, fs, path::Path, process::ExitCode};

/// Where the tables are kept.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance.md");

/// The command that puts them there.
const UPDATE: &str = "cargo bench -p portcullis-e2e --bench kernel -- --update";

/// Measures what the kernel programs add to operations, in instructions.
#[derive(Parser)]
#[command(name = "kernel")]
struct Arguments {
    /// The kernels; all that are tested where none is named.
    kernels: Vec<String>,
    /// How the result is written.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// Also put the tables into docs/performance.md.
    #[arg(long)]
    update: bool,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Markdown.
    Text,
    /// One array with an object for each kernel.
    Json,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let mut reports = Vec::new();
    for kernel in kernels(&arguments.kernels)? {
        eprintln!("measuring on Linux {kernel}: takes minutes");
        reports.push(guest::measure(kernel)?);
    }
    let tables: Vec<String> =
        reports.iter().map(|report| format!("### Linux {}\n\n{}\n{}", report.kernel, report.table(), report.parts())).collect();
    let tables = tables.join("\n");
    match arguments.output {
        Format::Text => println!("{tables}"),
        Format::Json => println!("{}", serde_json::to_string_pretty(&reports)?),
    }
    if arguments.update {
        fs::write(DOCUMENT, document::with_part(&fs::read_to_string(Path::new(DOCUMENT))?, UPDATE, &tables)?)?;
    }
    let failed: Vec<_> = reports.iter().flat_map(Report::checks).collect();
    for check in &failed {
        eprintln!("{check}");
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn kernels(names: &[String]) -> Result<Vec<Kernel>, String> {
    let named = |name: &String| {
        Kernel::ALL.into_iter().find(|kernel| kernel.to_string() == *name).ok_or_else(|| {
            let known: Vec<String> = Kernel::ALL.iter().map(ToString::to_string).collect();
            format!("no kernel {name}; there are {}", known.join(", "))
        })
    };
    if names.is_empty() { Ok(Kernel::ALL.to_vec()) } else { names.iter().map(named).collect() }
}
