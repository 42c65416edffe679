//! Images made from the bed's own with one thing changed, in the bed's registries under another tag.

use super::support::Bed;

/// Puts `repository:new` beside `repository:old`: the same image after `script` ran in it as root.
pub fn variant(bed: &Bed, repository: &str, old: &str, new: &str, script: &str) {
    let (from, to) = (format!("{repository}:{old}"), format!("{repository}:{new}"));
    let name = "rcfed-test-variant";
    bed.run(&["sh", "-c", &format!("docker rm -fv {name} >/dev/null 2>&1; docker rmi -f {to} >/dev/null 2>&1; true")]);
    let field = |field: &str| bed.run(&["docker", "inspect", "-f", &format!("{{{{json .Config.{field}}}}}"), &from]);
    let list = |text: String| if text.trim() == "null" { "[]".to_string() } else { text.trim().to_string() };
    // An image without an entrypoint must not get one from here: a commit cannot take it away again.
    let without = field("Entrypoint").trim() == "null";
    let mut words = vec!["docker", "run", "--name", name, "-u", "0", "--network", "none"];
    words.extend(if without { [&from, "sh"] } else { ["--entrypoint", "sh"] });
    words.extend((!without).then_some(from.as_str()));
    words.extend(["-c", script]);
    bed.run(&words);
    let user = field("User").trim().trim_matches('"').to_string();
    let mut changes =
        vec![format!("CMD {}", list(field("Cmd"))), format!("USER {}", if user.is_empty() { "0" } else { &user })];
    if !without {
        changes.push(format!("ENTRYPOINT {}", list(field("Entrypoint"))));
    }
    let mut words = vec!["docker", "commit"];
    for change in &changes {
        words.extend(["-c", change]);
    }
    words.extend([name, &to]);
    bed.run(&words);
    bed.run(&["docker", "rm", "-v", name]);
    bed.run(&["docker", "push", "-q", &to]);
    // So that rcfed has to pull it.
    bed.run(&["docker", "rmi", &to]);
}

/// A program that says why and ends, in the place of `program`.
pub fn broken(program: &str) -> String {
    format!("printf '#!/bin/sh\\necho broken on purpose >&2\\nexit 3\\n' >{program} && chmod 755 {program}")
}
