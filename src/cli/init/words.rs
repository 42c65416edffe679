//! What `rcfed init` says besides its questions and its plan.

use std::path::Path;

use crate::error::Error;

pub(super) fn earlier(kept: &Path) -> String {
    format!("Using the answers of an earlier run in {}.", kept.display())
}

pub(super) fn not_confirmed() -> Error {
    Error::new("not confirmed", "Nothing has been changed. `sudo rcfed init` asks again")
}

pub(super) fn nobody() -> Error {
    let hint = "read the plan, then add `--yes` to the command. Nothing has been changed";
    Error::usage("nobody is there to confirm: this is not a terminal, or --no-input was given", hint)
}

pub(super) fn empty(what: &str, file: &Path) -> Error {
    Error::usage(format!("the file with the {what}, `{}`, is empty", file.display()), "put it into the file")
}

pub(super) fn not_there(what: &str, file: &Path) -> Error {
    let file = file.display();
    Error::usage(
        format!("the file with the {what}, `{file}`, is not there"),
        format!("check the path with `ls -l {file}`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let file = Path::new("/root/token");
        let errors =
            [not_confirmed(), nobody(), empty("registration token", file), not_there("registration token", file)];
        let earlier = earlier(Path::new(crate::layout::CONFIG));
        insta::assert_snapshot!(format!("{earlier}\n{}", crate::error::told(errors)));
    }
}
