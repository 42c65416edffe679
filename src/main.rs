//! Parses, runs, and turns an error and its hint into stderr and an exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use rcfed::cli::{Cli, Command};
use rcfed::error::{Error, Result, not_started};
use rcfed::ui::Ui;
use tokio::runtime::Builder;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout, the rest to stderr; that nobody reads them is no error of ours.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let context = cli.global.context();
    let ui = context.ui.clone();
    match run(cli, context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.message().is_empty() {
                report(&error, &ui);
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: Cli, context: rcfed::cli::Context) -> Result<()> {
    let mut builder = match cli.command {
        // It asks one thing after the other, twice a day on small machines: threads would only wake each other.
        Command::Renew(_) => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build().map_err(|error| not_started(&error))?;
    let outcome = runtime.block_on(cli.command.run(context));
    // A question that was interrupted still waits for its line on a thread; it is not waited for.
    runtime.shutdown_background();
    outcome
}

fn report(error: &Error, ui: &Ui) {
    let mut text = format!("{} {}\n", ui.bold(&ui.red("error:")), error.message());
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\n{} {hint}\n", ui.bold("hint:")));
    }
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
