//! One line for each thing that takes time: a bar on a terminal, a single closing line elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// What is done, and how long it took.
    #[default]
    Normal,
    /// Also every step with its time, and what was found to be in order already.
    Verbose,
}

/// The printer; cheap to clone, shared by everything that runs at once.
#[derive(Clone)]
pub struct Ui {
    bars: Arc<MultiProgress>,
    verbosity: Verbosity,
    animated: bool,
    colour: bool,
}

impl Ui {
    /// A printer for this process's stderr: animated on a terminal, coloured there unless `NO_COLOR` is set.
    pub fn new(verbosity: Verbosity) -> Self {
        let terminal = std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb");
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let animated = terminal && verbosity > Verbosity::Quiet;
        let target = if animated { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bars = Arc::new(MultiProgress::with_draw_target(target));
        Self { bars, verbosity, animated, colour: terminal && !no_colour }
    }

    /// How much is said.
    pub fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Says a line on stderr, above any moving bars; nothing when quiet.
    pub fn say(&self, line: &str) {
        if self.verbosity > Verbosity::Quiet {
            self.bars.suspend(|| eprintln_quietly(line));
        }
    }

    /// Says how long a step took in all, its looks before and after included; only when verbose.
    pub fn detail(&self, step: &str, took: Duration) {
        if self.verbosity == Verbosity::Verbose {
            self.say(&format!("· {step}: {} ms", took.as_millis()));
        }
    }

    /// Prints data on stdout. A reader that went away (`| head`) is not an error.
    pub fn data(&self, text: &str) {
        self.bars.suspend(|| {
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{text}").and_then(|()| out.flush());
        });
    }

    /// Starts a line for something that takes time.
    pub fn task(&self, label: impl Into<String>) -> Task {
        let label = label.into();
        let bar = if self.animated {
            let bar = self.bars.add(ProgressBar::new_spinner());
            bar.set_style(spinner());
            bar.set_prefix(label.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        } else {
            ProgressBar::hidden()
        };
        Task { ui: self.clone(), bar, label, started: Instant::now() }
    }

    /// `text` in bold where colour is shown.
    pub fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    /// `text` in green where colour is shown.
    pub fn green(&self, text: &str) -> String {
        self.paint("32", text)
    }

    /// `text` in yellow where colour is shown.
    pub fn yellow(&self, text: &str) -> String {
        self.paint("33", text)
    }

    /// `text` in red where colour is shown.
    pub fn red(&self, text: &str) -> String {
        self.paint("31", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
    }
}

/// One thing that takes time. Dropped without a verdict, it disappears.
pub struct Task {
    ui: Ui,
    bar: ProgressBar,
    label: String,
    started: Instant,
}

impl Task {
    /// Says what is being waited for.
    pub fn note(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }

    /// Shows bytes done of bytes known so far.
    pub fn bytes(&self, done: u64, total: u64) {
        if self.bar.length() != Some(total) {
            self.bar.set_style(bytes());
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    /// Ends well; `summary` may be empty.
    pub fn done(self, summary: &str) {
        let mark = self.ui.green("✓");
        self.close(&mark, summary);
    }

    /// Ends badly. The reason is told by the error, not here.
    pub fn failed(self, summary: &str) {
        let mark = self.ui.red("✗");
        self.close(&mark, summary);
    }

    /// Ends without a word.
    pub fn silent(self) {
        self.bar.finish_and_clear();
    }

    fn close(self, mark: &str, summary: &str) {
        self.bar.finish_and_clear();
        let seconds = self.started.elapsed().as_secs_f64();
        let dash = if summary.is_empty() { "" } else { " — " };
        let time = if seconds < 0.1 { String::new() } else { format!(" ({seconds:.1} s)") };
        self.ui.say(&format!("{mark} {}{dash}{summary}{time}", self.label));
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner:.cyan} {prefix} {msg:.dim}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn bytes() -> ProgressStyle {
    ProgressStyle::with_template("{spinner:.cyan} {prefix} {bar:24.cyan} {bytes}/{total_bytes} {msg:.dim}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn eprintln_quietly(line: &str) {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "{line}");
}
