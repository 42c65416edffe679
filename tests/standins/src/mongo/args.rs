//! The command line of mongod, as far as it is accepted here; anything else is refused with mongod's own exit code.

use std::path::PathBuf;

/// What the command line asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Args {
    pub repl_set: Option<String>,
    pub key_file: Option<PathBuf>,
    pub bind_ip_all: bool,
    pub port: u16,
    pub dbpath: PathBuf,
    pub quiet: bool,
    pub auth: bool,
    pub version: bool,
}

impl Args {
    /// Reads arguments; the error is what mongod prints before it exits with 2 (EXIT_BADOPTIONS, MongoDB manual "Exit
    /// Codes and Statuses").
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut args = Self {
            repl_set: None,
            key_file: None,
            bind_ip_all: false,
            port: 27017,
            dbpath: "/data/db".into(),
            quiet: false,
            auth: false,
            version: false,
        };
        let mut rest = arguments.into_iter();
        while let Some(argument) = rest.next() {
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            let mut value = || {
                inline
                    .clone()
                    .or_else(|| rest.next())
                    .ok_or_else(|| bad(&format!("the required argument for option '{name}' is missing")))
            };
            match name.as_str() {
                "--auth" => args.auth = true,
                "--bind_ip_all" => args.bind_ip_all = true,
                // Without it the real one listens on IPv4 only (net.ipv6 in its manual); this one listens on both.
                "--ipv6" => {}
                "--dbpath" => args.dbpath = value()?.into(),
                "--keyFile" => args.key_file = Some(value()?.into()),
                "--oplogSize" => drop(number::<u32>(&name, &value()?)?),
                "--port" => args.port = number(&name, &value()?)?,
                "--quiet" => args.quiet = true,
                "--replSet" => args.repl_set = Some(value()?),
                "--setParameter" => parameter(&value()?)?,
                "--version" => args.version = true,
                "--wiredTigerCacheSizeGB" => cache_size(&name, &value()?)?,
                _ => return Err(bad(&format!("unrecognised option '{name}'"))),
            }
        }
        if args.repl_set.as_deref() == Some("") {
            return Err(bad("the argument for option '--replSet' is invalid"));
        }
        // MongoDB manual, "Deploy Replica Set With Keyfile Authentication": members with access control need a key file.
        if args.auth && args.repl_set.is_some() && args.key_file.is_none() {
            return Err("BadValue: security.keyFile is required when authorization is enabled with replica sets".into());
        }
        Ok(args)
    }

    /// A key file switches access control on by itself (MongoDB manual, `--keyFile`: "implies --auth").
    pub fn access_control(&self) -> bool {
        self.auth || self.key_file.is_some()
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| bad(&format!("the argument ('{value}') for option '{name}' is invalid")))
}

/// Values range from 0.25 GB to 10000 GB (MongoDB manual, `storage.wiredTiger.engineConfig.cacheSizeGB`).
fn cache_size(name: &str, value: &str) -> Result<(), String> {
    let size: f64 = number(name, value)?;
    if (0.25..=10_000.0).contains(&size) {
        return Ok(());
    }
    let bound = if size < 0.25 { "greater than or equal to 0.25" } else { "less than or equal to 10000" };
    Err(format!("BadValue: storage.wiredTiger.engineConfig.cacheSizeGB must be {bound}"))
}

/// Only parameters of the manual's list "MongoDB Server Parameters"; others end mongod.
fn parameter(assignment: &str) -> Result<(), String> {
    let Some((name, _)) = assignment.split_once('=') else {
        return Err(format!("BadValue: Illegal option assignment: \"{assignment}\""));
    };
    if PARAMETERS.contains(&name) {
        return Ok(());
    }
    Err(format!("BadValue: Unknown --setParameter '{name}'"))
}

fn bad(what: &str) -> String {
    format!("Error parsing command line: {what}\ntry 'mongod --help' for more information")
}

const PARAMETERS: [&str; 8] = [
    "authenticationMechanisms",
    "diagnosticDataCollectionDirectorySizeMB",
    "diagnosticDataCollectionEnabled",
    "enableLocalhostAuthBypass",
    "internalQueryMaxBlockingSortMemoryUsageBytes",
    "logLevel",
    "transactionLifetimeLimitSeconds",
    "ttlMonitorEnabled",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn the_usual_line_is_accepted() {
        let args = parse(
            "--replSet rs0 --keyFile /run/key --bind_ip_all --port=27018 --dbpath /d --wiredTigerCacheSizeGB 0.25 \
             --quiet --setParameter diagnosticDataCollectionEnabled=false --oplogSize 64",
        )
        .unwrap();
        assert!(args.access_control() && args.bind_ip_all && args.quiet);
        assert_eq!((args.port, args.repl_set.as_deref()), (27018, Some("rs0")));
    }

    #[test]
    fn what_mongod_refuses_is_refused() {
        for line in [
            "--bindIpAll",
            "--port",
            "--port 70000",
            "--wiredTigerCacheSizeGB 0.1",
            "--setParameter nonsense=1",
            "--replSet rs0 --auth",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
