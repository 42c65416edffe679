//! The wizard in a real terminal: tmux types, and reads the screen.
//!
//! Without tmux these tests say so and pass, except under `CI=true`, where they fail.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rcfed::answers::AnswerFlags;
use rcfed::cli::init::{Gathered, InitArgs, Lookup, Lookups};
use rcfed::cli::{CodeArgs, Context, Input};
use rcfed::host::Host;
use rcfed::ui::{Ui, Verbosity};

/// What each question looks like while it waits, in order; the last is the confirmation.
const QUESTIONS: [&str; 8] = [
    "Federated domain ›",
    "Chat domain (chat.example.org) ›",
    "Matrix domain (matrix.example.org) ›",
    "E-mail ›",
    "Profile ›",
    "Administrator (admin) ›",
    "Registration token ›",
    "Go ahead? (y/n) ›",
];

#[test]
fn seven_questions_then_no_leaves_nothing() {
    let Some(terminal) = Terminal::start("init") else { return };
    terminal.answer(QUESTIONS.len() - 1);
    let screen = terminal.see(QUESTIONS[7]);
    assert!(screen.contains("Nothing has been changed yet."), "{screen}");
    terminal.press(&["n", "Enter"]);
    let screen = terminal.see("rc 1");
    assert!(screen.contains("not confirmed") && screen.contains("Nothing has been changed."), "{screen}");
    terminal.assert_untouched();
}

#[test]
fn ctrl_c_at_any_question_leaves_nothing_and_a_working_terminal() {
    for (index, question) in QUESTIONS.iter().enumerate() {
        let Some(terminal) = Terminal::start("init") else { return };
        terminal.answer(index);
        terminal.see(question);
        terminal.press(&["C-c"]);
        let screen = terminal.see("rc 130");
        assert!(screen.contains("interrupted") && screen.contains("Nothing has been changed."), "{question}\n{screen}");
        assert!(terminal.see("echo is").contains("echo is on"), "{question}: {screen}");
        assert_eq!(terminal.tmux(&["display-message", "-p", "#{cursor_flag}"]).trim(), "1", "{question}");
        terminal.assert_untouched();
    }
}

#[test]
fn a_wrong_answer_is_refused_with_the_reason_and_asked_again() {
    let Some(terminal) = Terminal::start("init") else { return };
    terminal.see(QUESTIONS[0]);
    terminal.press(&["https://example.org", "Enter"]);
    let screen = terminal.see("does not belong to a domain name");
    assert!(screen.contains("type `example.org`"), "{screen}");
    terminal.answer(3);
    terminal.see(QUESTIONS[3]);
    terminal.press(&["you", "Enter"]);
    terminal.see("`you` is not an e-mail address");
}

#[test]
fn what_was_given_is_not_asked_again() {
    let words = "init --federated-domain example.org --chat-domain chat.example.org --matrix-domain m.example.org \
                 --email you@example.org --admin-username ada --rocketchat-registration-token-file /etc/hostname";
    let Some(terminal) = Terminal::start(words) else { return };
    let screen = terminal.see("Profile ›");
    assert!(!screen.contains("Federated domain") && !screen.contains("E-mail"), "{screen}");
    terminal.press(&["Enter"]);
    let screen = terminal.see(QUESTIONS[7]);
    assert!(screen.contains("ada;") && !screen.contains("Registration token ›"), "{screen}");
}

#[test]
fn a_wrong_flag_is_told_before_the_first_question() {
    let Some(terminal) = Terminal::start("init --email you") else { return };
    let screen = terminal.see("rc 2");
    assert!(screen.contains("`email` (from --email)") && !screen.contains("Federated domain ›"), "{screen}");
}

#[test]
fn yes_writes_configuration_and_token_for_root_only() {
    use std::os::unix::fs::PermissionsExt;

    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "under CI this test may not be skipped: it needs root");
        eprintln!("SKIPPED: only root can write what belongs to root");
        return;
    }
    // The binary would go on and deploy.
    let Some(terminal) = Terminal::start_test("gathers_and_writes") else { return };
    terminal.answer(6);
    terminal.see(QUESTIONS[6]);
    terminal.press(&["hunter2", "Enter"]);
    terminal.see(QUESTIONS[7]);
    terminal.assert_untouched();
    terminal.press(&["y", "Enter"]);
    let screen = terminal.see("rc 0");
    assert!(!screen.contains("hunter2"), "{screen}");
    let token = terminal.root.join("etc/rcfed/registration_token");
    let config = terminal.root.join("etc/rcfed/config.toml");
    assert_eq!(std::fs::read_to_string(&token).unwrap(), "hunter2");
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.contains(&format!("registration_token_file = \"{}\"", token.display())), "{text}");
    assert!(text.contains("accept_end_of_life = true") && !text.contains("hunter2"), "{text}");
    for path in [token, config] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_web_site_on_the_apex_changes_the_second_question_and_lookups_are_told() {
    let Some(terminal) = Terminal::start_test("gathers_with_lookups") else { return };
    terminal.see(QUESTIONS[0]);
    terminal.press(&["example.org", "Enter"]);
    let screen = terminal.see("Who are people? ›");
    assert!(screen.contains("a web site answers on example.org (nginx)"), "{screen}");
    assert!(screen.contains("❯ @user:chat.example.org"), "{screen}");
    terminal.press(&["Enter"]);
    for question in &QUESTIONS[2..] {
        terminal.see(question);
        terminal.press(&[if question.starts_with("Go ahead") { "y" } else { "" }, "Enter"]);
    }
    let screen = terminal.see("gathered");
    for line in ["looked up example.org", "looked up chat.example.org", "looked up matrix.example.org"] {
        assert!(terminal.history().contains(line), "{line}\n{screen}");
    }
    assert!(screen.contains("gathered chat.example.org chat.example.org matrix.example.org Here"), "{screen}");
    terminal.assert_untouched();
}

/// Not a test of its own: one above runs it in a terminal.
#[test]
#[ignore = "needs a terminal; run by a test above"]
fn gathers_with_lookups() {
    let line = |text: &'static str| -> Lookup {
        Box::new(move |name| tokio::spawn(async move { Some(text.replace("NAME", name.as_str())) }))
    };
    let lookups = Lookups { dns: line("looked up NAME"), site: line("a web site answers on NAME (nginx)") };
    let names = gather(Verbosity::Normal, || lookups).0.config.names;
    println!("gathered {} {} {} {:?}", names.federated, names.chat, names.matrix, names.apex);
}

/// Not a test of its own: one above runs it in a terminal.
#[test]
#[ignore = "needs a terminal; run by a test above"]
fn gathers_and_writes() {
    let (gathered, host) = gather(Verbosity::Quiet, Lookups::none);
    gathered.write(&host).unwrap();
}

/// What `rcfed init` does before it deploys, in the root directory of the environment.
fn gather(verbosity: Verbosity, lookups: impl FnOnce() -> Lookups) -> (Gathered, Host) {
    let root = std::env::var_os("RCFED_ROOT").unwrap().into();
    let host = Host { root, docker: String::new(), nameserver: None, metadata: None };
    let context = Context { host: host.clone(), ui: Ui::new(verbosity), input: Input::default() };
    let args = InitArgs {
        answers: None,
        wait_for_dns: None,
        wait_for_apex: None,
        no_rehearsal: false,
        codes: CodeArgs::default(),
        flags: AnswerFlags::default(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    (runtime.block_on(async { args.gather(&context, |_| lookups()).await }).unwrap(), host)
}

/// A tmux server of its own, with a root directory of its own.
struct Terminal {
    socket: String,
    root: PathBuf,
    _directory: tempfile::TempDir,
}

impl Terminal {
    /// Starts the binary with these words.
    fn start(words: &str) -> Option<Self> {
        Self::run(&format!("{} {words}", env!("CARGO_BIN_EXE_rcfed")))
    }

    /// Starts an ignored test of this file.
    fn start_test(name: &str) -> Option<Self> {
        let me = std::env::current_exe().unwrap();
        Self::run(&format!("{} --ignored --exact {name} --nocapture", me.display()))
    }

    fn run(command: &str) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);

        if command.starts_with(env!("CARGO_BIN_EXE_rcfed")) && !rustix::process::geteuid().is_root() {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "under CI this test may not be skipped: it needs root"
            );
            eprintln!("SKIPPED: without root `init` refuses at once");
            return None;
        }
        if Command::new("tmux").arg("-V").output().is_err() {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "tmux is needed: apt install tmux");
            eprintln!("SKIPPED: the wizard is tested in tmux, which is not installed");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let terminal = Self { socket: format!("rcfed-{}-{number}", std::process::id()), root, _directory: directory };
        let root = terminal.root.display();
        let line = format!(
            "env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 TERM=$TERM RCFED_ROOT={root} DOCKER_HOST=tcp://127.0.0.1:9 \
             RCFED_NAMESERVER=127.0.0.1:9 RCFED_METADATA=off {command}; echo rc $?; \
             if stty -a | grep -q -e ' echo '; then echo echo is on; else echo echo is off; fi; sleep 60"
        );
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "70", &line]);
        Some(terminal)
    }

    /// Answers the first `count` questions.
    fn answer(&self, count: usize) {
        for question in &QUESTIONS[..count] {
            self.see(question);
            self.press(&[if question.starts_with("Federated") { "example.org" } else { "" }, "Enter"]);
        }
    }

    fn press(&self, keys: &[&str]) {
        let keys = keys.iter().filter(|key| !key.is_empty());
        self.tmux(&["send-keys"].iter().chain(keys).copied().collect::<Vec<_>>());
    }

    /// The screen, once it shows `text`.
    fn see(&self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let screen = self.tmux(&["capture-pane", "-p"]);
            if screen.contains(text) {
                return screen;
            }
            assert!(Instant::now() < deadline, "`{text}` does not come up:\n{screen}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// The screen and what has scrolled away.
    fn history(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-S", "-500"])
    }

    fn assert_untouched(&self) {
        let left: Vec<_> = std::fs::read_dir(&self.root).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }

    fn tmux(&self, words: &[&str]) -> String {
        let output: Output =
            Command::new("tmux").args(["-L", &self.socket]).args(words).env_remove("TMUX").output().unwrap();
        assert!(output.status.success(), "tmux {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).output();
        let sockets = Path::new("/tmp").join(format!("tmux-{}", rustix::process::getuid().as_raw()));
        let _ = std::fs::remove_file(sockets.join(&self.socket));
    }
}
