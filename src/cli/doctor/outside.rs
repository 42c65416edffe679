//! `rcfed doctor NAME…`: any server from outside. It needs neither root nor Docker nor a deployment.

use std::os::fd::AsFd;
use std::path::Path;

use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use jiff::Timestamp;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};

use super::{DoctorArgs, outbound};
use crate::cli::Context;
use crate::dns::Lookup;
use crate::doctor::{self, Redactor, Report, remote};
use crate::error::{Error, Explain, Result};
use crate::matrix::server_name::ServerName;
use crate::matrix::{Blind, Eyes, Wishes, look};

/// Names that are looked at at the same time. Each costs a few connections, most of them spent waiting.
const AT_ONCE: usize = 64;
/// The longest line that can hold a name.
const LONGEST: u64 = 1024;

/// Whether names were given, so that this machine's own deployment is not meant.
pub(super) fn wanted(args: &DoctorArgs) -> bool {
    !args.names.is_empty() || args.from.is_some()
}

/// Looks at every name, tells each as it is done, and ends with an exit code.
pub(super) async fn run(args: &DoctorArgs, context: &Context) -> Result<()> {
    if let Some(flag) = args.changes.then_some("--changes") {
        return Err(Error::usage(
            format!("`{flag}` compares runs on this machine's own deployment"),
            "leave it away, or the names",
        ));
    }
    if let Some(name) = args.outbound.first() {
        return Err(outbound::misplaced(name));
    }
    if let Some(id) = args.only.iter().find(|id| !remote::table().iter().any(|row| row.id == **id && !row.own)) {
        return Err(Error::usage(
            format!("`{id}` can be seen only on the server's own machine"),
            "`rcfed doctor --list-checks` names all; those from outside stand last",
        ));
    }
    if args.names.iter().any(|name| name.trim().is_empty()) {
        return Err(Error::usage(
            "one of the names is empty",
            "a server name is what stands after the colon of a Matrix id, e.g. `rcfed doctor example.org`",
        ));
    }
    let roots = args.ca.as_deref().map(read).transpose()?;
    let mut eyes = Eyes::new(Lookup::new(&context.host), roots.as_deref()).map_err(|blind| match &args.ca {
        Some(file) => unusable(file, &blind),
        None => blind.into(),
    })?;
    eyes.public_resolvers = args.public_resolvers(&context.host);
    if let ([name], None) = (args.names.as_slice(), &args.from)
        && name != "-"
    {
        let name = Name { text: name.clone(), place: None };
        let report = examine(name, eyes, args.only.clone(), args.share).await;
        return args.tell(&context.ui, &report, None);
    }
    if args.html.is_some() || args.junit.is_some() || args.prometheus.is_some() {
        return Err(Error::usage(
            "the other forms of output hold one report",
            "give one name, or use --json: one line for each name",
        ));
    }
    many(args, context, eyes).await
}

async fn many(args: &DoctorArgs, context: &Context, eyes: Eyes) -> Result<()> {
    more_files();
    let reports = names(args).await?.map(|entry| {
        let (eyes, only, share) = (eyes.clone(), args.only.clone(), args.share);
        async move {
            let name = match entry {
                Entry::Name(name) => name,
                Entry::Bad(line) => return Ok((line.report(share), Some(line))),
            };
            // A task of its own, so that handshakes use every processor.
            let report = tokio::spawn(examine(name, eyes, only, share)).await;
            report.map(|report| (report, None)).map_err(lost)
        }
    });
    let mut reports = std::pin::pin!(reports.buffer_unordered(AT_ONCE));
    let (mut total, mut bad, mut lines) = (0_usize, 0_usize, Vec::new());
    let look = args.colours(context.ui.verbosity());
    while let Some(report) = reports.next().await {
        let (report, line) = report?;
        match line {
            Some(line) => lines.push(line),
            None => {
                total += 1;
                bad += usize::from(report.exit_code(args.strict) != 0);
            }
        }
        context.ui.data(&if args.json {
            doctor::json::json(&report, None).to_string()
        } else {
            doctor::terminal::brief(&report, look)
        });
    }
    if total == 0 {
        return Err(match lines.first() {
            Some(line) => Error::usage(format!("{} {}, and no other is a name", line.place, line.why), HINT),
            None => Error::usage(
                "there is no name to look at",
                "give names, or a file with one in each line: `rcfed doctor --from FILE`",
            ),
        });
    }
    context.ui.say(&count(total, bad, lines.len()));
    match (lines.is_empty(), bad) {
        (false, _) => Err(Error::told(2)),
        (true, 0) => Ok(()),
        (true, _) => Err(Error::told(1)),
    }
}

/// A line that a file has.
#[derive(Debug)]
enum Entry {
    /// A name, be it right or wrong.
    Name(Name),
    /// A line in which no name can be read.
    Bad(Line),
}

/// A name as somebody wrote it.
#[derive(Debug)]
struct Name {
    text: String,
    /// Which line of which file it stands in, if it was not given as a word.
    place: Option<String>,
}

/// A line in which no name can be read.
#[derive(Debug)]
struct Line {
    place: String,
    beginning: String,
    why: String,
}

const HINT: &str = "one server name in each line";

impl Line {
    fn report(&self, share: bool) -> Report {
        let place = if share { "a line" } else { &self.place };
        let text = if share { "" } else { &self.beginning };
        remote::unread(text, place, &self.why, HINT, Timestamp::now())
    }
}

async fn examine(name: Name, eyes: Eyes, only: Vec<&'static str>, share: bool) -> Report {
    let hidden = |report: Report, host: &str, others: &[String]| match share {
        true => Redactor::default().and_host(host, others).report(report),
        false => report,
    };
    let Name { text, place } = name;
    match ServerName::parse(&text) {
        Err(error) => {
            let place = place.filter(|_| !share);
            hidden(remote::refused(&text, place.as_deref(), &error, Timestamp::now()), &text, &[])
        }
        Ok(name) => {
            let any =
                |begins: &[&str]| only.is_empty() || only.iter().any(|id| begins.iter().any(|b| id.starts_with(b)));
            let (clients, chat) = (any(&["client.", "support.", "wellknown.type"]), any(&["chat."]));
            let wishes = Wishes { clients, chat, ..Wishes::default() };
            let seen = look(&name, &eyes, &wishes).await;
            let report = remote::report(&seen, Timestamp::now(), &only);
            hidden(report, &name.host().to_string(), &remote::hosts(&seen))
        }
    }
}

/// The names given, then those of the file; `-` among them stands for standard input.
async fn names(args: &DoctorArgs) -> Result<BoxStream<'static, Entry>> {
    let mut all: BoxStream<'static, Entry> = stream::empty().boxed();
    let from = args.from.as_ref().map(|path| path.to_string_lossy().into_owned());
    for (name, is_file) in args.names.iter().map(|name| (name.clone(), false)).chain(from.map(|path| (path, true))) {
        all = match name.as_str() {
            "-" => {
                let input = std::io::stdin().as_fd().try_clone_to_owned();
                let input = input.map_err(|error| unreadable(Path::new("-"), &error))?;
                let input = tokio::fs::File::from_std(input.into());
                all.chain(lines(BufReader::new(input), "standard input".into())).boxed()
            }
            _ if is_file => {
                let file = tokio::fs::File::open(&name).await.map_err(|error| unreadable(Path::new(&name), &error))?;
                all.chain(lines(BufReader::new(file), name)).boxed()
            }
            _ => all.chain(stream::iter([Entry::Name(Name { text: name, place: None })])).boxed(),
        };
    }
    Ok(all)
}

/// One name from each line; empty lines and what stands after `#` are passed over. A line that cannot be read costs nobody
/// the others.
fn lines<R: AsyncBufRead + Unpin + Send + 'static>(reader: R, what: String) -> impl Stream<Item = Entry> + Send {
    stream::unfold(Some((reader, what, 0_usize)), |state| async move {
        let (mut reader, what, mut number) = state?;
        loop {
            number += 1;
            let mut line = Vec::new();
            let place = format!("line {number} of {what}");
            let read = (&mut reader).take(LONGEST).read_until(b'\n', &mut line).await;
            let long = line.len() as u64 == LONGEST && !line.ends_with(b"\n");
            let read = if long { rest(&mut reader).await.and(read) } else { read };
            let bad = |why: String| {
                let beginning = String::from_utf8_lossy(line.get(..60).unwrap_or(&line)).trim_end().to_owned();
                Entry::Bad(Line { place: place.clone(), beginning, why })
            };
            match read {
                Ok(0) => return None,
                Err(error) => return Some((bad(format!("cannot be read: {error}")), None)),
                Ok(_) if long => return Some((bad("is longer than any name".into()), Some((reader, what, number)))),
                Ok(_) => {}
            }
            let Ok(text) = std::str::from_utf8(&line) else {
                return Some((bad("is not text".into()), Some((reader, what, number))));
            };
            // Some editors begin every file with it.
            let text = text.trim_start_matches('\u{feff}');
            let name = text.split('#').next().unwrap_or_default().trim();
            if !name.is_empty() {
                let name = Name { text: name.to_owned(), place: Some(place) };
                return Some((Entry::Name(name), Some((reader, what, number))));
            }
        }
    })
}

/// Passes over what is left of a line, however long it is.
async fn rest<R: AsyncBufRead + Unpin>(reader: &mut R) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf().await?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let (used, over) = (end.map_or(buffer.len(), |end| end + 1), end.is_some() || buffer.is_empty());
        reader.consume(used);
        if over {
            return Ok(());
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::usage(
        format!("`{}` cannot be read: {error}", path.display()),
        "give a file that exists and that you may read",
    )
}

/// Many looks have many connections; the usual limit of 1024 files is a soft one.
fn more_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it, fewer looks are whole; each says so itself.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn unusable(file: &Path, blind: &Blind) -> Error {
    Error::usage(format!("`{}`: {blind}", file.display()), blind.hint().unwrap_or_default())
}

fn lost(error: impl std::fmt::Display) -> Error {
    Error::new(format!("a look went wrong itself: {error}"), "please report this")
}

fn count(total: usize, bad: usize, unread: usize) -> String {
    let names = if total == 1 { "name" } else { "names" };
    let unread = match unread {
        0 => String::new(),
        1 => " 1 line could not be read.".into(),
        more => format!(" {more} lines could not be read."),
    };
    format!("{total} {names}: {} well, {bad} not.{unread}", total - bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let blind = crate::host::tls::roots(Some(b"no certificate")).unwrap_err().into();
        let told = crate::error::told([lost("task 7 panicked"), unusable(Path::new("roots.pem"), &blind)]);
        insta::assert_snapshot!(format!("{}\n{}\n{}\n{told}", count(1, 0, 0), count(9, 2, 1), count(9, 2, 3)));
    }
}
