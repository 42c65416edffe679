//! Answers from flags, made from the same table as everything else.

use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::env::split;
use super::toml::absolute;
use super::{Answers, Entry, KEYS, Kind, Source, Value};

/// One flag for each key, to be flattened into a verb's arguments.
#[derive(Clone, Debug, Default)]
pub struct AnswerFlags(pub Answers);

impl Args for AnswerFlags {
    fn augment_args(command: Command) -> Command {
        command.args(KEYS.iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for AnswerFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for entry in KEYS {
            if matches.value_source(entry.path) != Some(ValueSource::CommandLine) {
                continue;
            }
            let value = match entry.kind {
                Kind::Flag => matches.get_one::<bool>(entry.path).copied().map(Value::Flag),
                kind => matches.get_one::<String>(entry.path).map(|text| match kind {
                    Kind::List => Value::List(split(text)),
                    Kind::Path => Value::Text(absolute(Path::new(text))),
                    _ => Value::Text(text.clone()),
                }),
            };
            if let Some(value) = value {
                self.0.set(entry.key, value, Source::Flag(entry.key.flag()));
            }
        }
        Ok(())
    }
}

fn argument(entry: &'static Entry) -> Arg {
    let flag = entry.key.flag();
    let argument = Arg::new(entry.path)
        .long(flag.trim_start_matches('-').to_owned())
        .value_name(entry.value_name)
        .help(entry.help)
        .hide_short_help(entry.is_advanced())
        .help_heading(if entry.is_advanced() { "Answers few people need" } else { "Answers" })
        .action(ArgAction::Set);
    match entry.kind {
        Kind::Choice(words) => argument.value_parser(PossibleValuesParser::new(words)),
        Kind::Flag => argument
            .value_parser(clap::value_parser!(bool))
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Kind::List | Kind::Number | Kind::Path | Kind::Text => argument,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Key;
    use super::*;

    #[test]
    fn flags_are_answers() {
        let command = AnswerFlags::augment_args(Command::new("x"));
        let words = ["x", "--chat-domain", "chat.example.org", "--accept-end-of-life", "--acme-rehearsal=false"];
        let matches = command.clone().try_get_matches_from(words).unwrap();
        let answers = AnswerFlags::from_arg_matches(&matches).unwrap().0;
        assert_eq!(answers.text(Key::ChatDomain), Some("chat.example.org"));
        assert_eq!(answers.flag(Key::AcceptEndOfLife), Some(true));
        assert_eq!(answers.flag(Key::AcmeRehearsal), Some(false));
        assert_eq!(answers.get(Key::AcmeRehearsal).unwrap().source.to_string(), "from --acme-rehearsal");
        assert!(!answers.has(Key::Email));
        assert!(command.try_get_matches_from(["x", "--profile", "conduit"]).is_err());
    }
}
