//! rcfed in a real terminal: what is typed, and what the screen shows.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A terminal of its own, 130 columns wide.
pub struct Screen {
    socket: String,
}

impl Screen {
    /// rcfed on the droplet, with more variables.
    pub fn open(variables: &[(&str, String)], words: &str) -> Self {
        let screen = Self { socket: format!("rcfed-{}", std::process::id()) };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed/bed");
        let variables: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let program = env!("CARGO_BIN_EXE_rcfed");
        let command =
            format!("env {} {} run {program} {words}; echo exit $?; sleep 60", variables.join(" "), script.display());
        screen.tmux(&["new-session", "-d", "-x", "130", "-y", "60", &command]);
        screen
    }

    pub fn press(&self, keys: &[&str]) {
        let mut words = vec!["send-keys"];
        words.extend(keys);
        self.tmux(&words);
    }

    /// The screen, as soon as it shows `text`.
    pub fn wait_for(&self, text: &str, seconds: u64) -> String {
        self.wait_for_times(text, 1, seconds)
    }

    /// The screen, as soon as it shows `text` so many times.
    pub fn wait_for_times(&self, text: &str, times: usize, seconds: u64) -> String {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            // With what has scrolled away.
            let screen = self.tmux(&["capture-pane", "-p", "-S", "-200"]);
            if screen.matches(text).count() >= times {
                return screen;
            }
            assert!(Instant::now() < end, "`{text}` is not there {times} times within {seconds} s:\n{screen}");
            assert!(!screen.contains("exit 1"), "it failed:\n{screen}");
            std::thread::sleep(Duration::from_millis(150));
        }
    }

    fn tmux(&self, words: &[&str]) -> String {
        let output =
            Command::new("tmux").args(["-L", &self.socket, "-f", "/dev/null"]).args(words).output().expect("tmux");
        assert!(output.status.success(), "tmux {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).output();
    }
}
