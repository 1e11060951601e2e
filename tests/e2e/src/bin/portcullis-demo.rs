//! `portcullis-demo`: tells the story of [`portcullis_e2e::demo`] and ends with its table.

use clap::{Parser, ValueEnum};
use portcullis_e2e::{Kernel, demo};
use std::{
    io::{self, Write},
    process::ExitCode,
};

/// Shows an attack on a web pod, watched in audit and stopped in enforce, in a virtual machine.
#[derive(Debug, Parser)]
#[command(
    name = "portcullis-demo",
    version,
    after_help = "Example:\n  portcullis-demo --kernel 6.1 -o json\n\n\
                  Exit status: 0 every step is as it should be, 1 one is not or the demonstration broke off, 2 usage."
)]
struct Args {
    /// The kernel that the machine boots; hack/kernels fetches it.
    #[arg(long, value_name = "SERIES", default_value = "6.12", value_parser = kernel)]
    kernel: Kernel,
    /// How the table is written. With json the story goes to standard error, and the table alone to standard output.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

fn kernel(series: &str) -> Result<Kernel, String> {
    let known = Kernel::ALL.map(Kernel::series);
    Kernel::ALL.into_iter().find(|kernel| kernel.series() == series).ok_or_else(|| format!("one of: {}", known.join(", ")))
}

fn main() -> ExitCode {
    let args = Args::parse();
    match show(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("portcullis-demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every step is as it should be.
fn show(args: &Args) -> Result<bool, Box<dyn std::error::Error>> {
    let mut story: Box<dyn Write> = match args.output {
        Format::Text => Box::new(io::stdout()),
        Format::Json => Box::new(io::stderr()),
    };
    let table = demo::run(args.kernel, &mut story)?.table;
    match args.output {
        Format::Text => println!("\n{table}"),
        Format::Json => println!("{:#}", table.to_json()),
    }
    Ok(table.is_as_it_should_be())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent_and_names_the_kernels() {
        Args::command().debug_assert();
        assert_eq!(Args::parse_from(["portcullis-demo"]).kernel, Kernel::V6_12);
        assert_eq!(kernel("5.4").unwrap_err(), "one of: 6.1, 6.12");
    }
}
