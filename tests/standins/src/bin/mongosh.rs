//! The mongosh stand-in.

use std::path::PathBuf;
use std::process::ExitCode;

use rcfed_standins::mongo::client::Client;
use rcfed_standins::mongo::script;

fn main() -> ExitCode {
    let mut out = String::new();
    let result = run(&mut out);
    print!("{out}");
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn run(out: &mut String) -> Result<(), String> {
    let (mut host, mut port, mut source) = (String::from("127.0.0.1"), 27017, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("Error: {argument} needs a value"));
        match argument.as_str() {
            "--quiet" | "--norc" => {}
            "--host" => host = value()?,
            "--port" => port = value()?.parse().map_err(|_| "Error: --port needs a number".to_owned())?,
            "--eval" => source = Some(value()?),
            _ => return Err(format!("Error parsing command line: unrecognized option: {argument}")),
        }
    }
    let source = source.ok_or("Error: the stand-in has no prompt; give --eval")?;
    // The real one connects before it reads the script.
    let mut client = Client::connect(&host, port).map_err(|error| error.to_string())?;
    // Where secrets are is said by the script itself; tests cannot write there.
    let secrets = std::env::var_os("STANDIN_SECRETS").map_or_else(|| PathBuf::from("/run/rcfed"), PathBuf::from);
    script::run(&script::parse(&source)?, &mut client, &secrets, out)
}
