//! `rcfed relay`: what the relay's container runs.

use std::path::PathBuf;

use clap::Args;

use crate::error::Result;

/// Run the service between Dendrite and Rocket.Chat's bridge
#[derive(Args, Clone, Debug)]
pub struct RelayArgs {
    /// Its configuration
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Ask a running relay whether it is well, and end with its answer
    #[arg(long)]
    pub check: bool,
}

impl RelayArgs {
    /// Serves until it is told to stop.
    pub async fn run(self) -> Result<()> {
        end_with_any_task();
        crate::relay::run(&self.config, self.check).await
    }
}

/// Half a relay is worse than none: whoever runs its container starts a whole one again.
fn end_with_any_task() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        told(panic);
        std::process::abort();
    }));
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    /// Says to the body below that it is the child.
    const CHILD: &str = "RCFED_TEST_PANIC";

    #[test]
    fn a_task_that_panics_ends_the_process_and_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let body = ["--exact", "cli::relay::tests::the_child", "--ignored", "--nocapture"];
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.args(body).env(CHILD, "1").current_dir(directory.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(6), "{said}");
        assert!(said.contains("panicked at") && said.contains("a task that went wrong"), "{said}");
        let went_on = String::from_utf8_lossy(&output.stdout).contains("the others go on");
        assert!(!went_on, "half a relay");
    }

    #[tokio::test]
    #[ignore = "the other half of the test above, which runs it"]
    async fn the_child() {
        if std::env::var_os(CHILD).is_none() {
            return;
        }
        end_with_any_task();
        let task = tokio::spawn(async { panic!("a task that went wrong") });
        assert!(task.await.is_err());
        println!("the others go on");
    }
}
