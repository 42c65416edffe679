//! Where rcfed is killed: every step of the plan, before and after, and places in the middle of one.

use std::path::Path;

use crate::support::Bed;

/// A point of `RCFED_FAULT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Point {
    /// A step was done, and the receipt does not say so.
    After(String),
    /// The receipt says that a step begins, and it has not.
    Before(String),
    /// A point by its own name.
    Named(String),
    /// The temporary file is written, and has not got its name: a path below the root.
    Rename(String),
}

impl Point {
    pub fn name(&self, root: &Path) -> String {
        match self {
            Self::After(step) => format!("after:{step}"),
            Self::Before(step) => format!("before:{step}"),
            Self::Named(name) => name.clone(),
            Self::Rename(path) => format!("rename:{}", root.join(path).display()),
        }
    }

    /// The step that was the last to be started, if that is certain: a server may answer, and a directory that `init` made
    /// be there, before its step comes.
    pub fn started(&self) -> Option<&str> {
        let (Self::After(step) | Self::Before(step)) = self else { return None };
        let passed_over =
            step.starts_with("ready:") || step == "directory:/etc/rcfed" || step == "directory:/var/lib/rcfed";
        (!passed_over).then_some(step)
    }
}

/// Numbers that another run can have again.
pub struct Seed(u64);

impl Seed {
    pub fn new() -> Self {
        let given = std::env::var("RCFED_SEED").ok().and_then(|text| text.parse().ok());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        // One a day: a test that failed fails again.
        let seed = given.unwrap_or(now.as_secs() / 86_400);
        eprintln!("RCFED_SEED={seed}");
        Self(seed)
    }

    /// Whether it is the turn of one half of the tests, 0 or 1; a whole run takes both.
    pub fn turn(half: u64) -> bool {
        let turn = crate::all() || Self::new().0 % 2 == half;
        if !turn {
            eprintln!("its turn comes with another RCFED_SEED, or with RCFED_TEST_ALL=1");
        }
        turn
    }

    /// A number below `limit` (splitmix64).
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit as u64).unwrap()
    }
}

/// The steps in the order in which they are taken one at a time: always the first of the plan that has what it needs.
fn steps(bed: &Bed, profile: &str) -> Vec<String> {
    let answers = bed.answers(profile, "");
    let plan = bed.rcfed(&["plan", "--json", "--answers", answers.to_str().unwrap()]).well().stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_string();
    let step = |step: &serde_json::Value| {
        (text(&step["id"]), step["needs"].as_array().unwrap().iter().map(text).collect::<Vec<String>>())
    };
    let mut waiting: Vec<(String, Vec<String>)> = plan["steps"].as_array().unwrap().iter().map(step).collect();
    let mut taken = Vec::new();
    while !waiting.is_empty() {
        let ready = |needs: &[String]| needs.iter().all(|need| waiting.iter().all(|(id, _)| id != need));
        let next = waiting.iter().position(|(_, needs)| ready(needs)).unwrap();
        taken.push(waiting.remove(next).0);
    }
    taken
}

/// Points in the middle of a step, in the order in which they are met.
fn inside(step: &str) -> Vec<Point> {
    let named = |name: &str| Point::Named(name.into());
    match step {
        "image:gateway" => vec![named("pulled:gateway")],
        "network" => vec![named("line:network")],
        "trial:http" => vec![named("created:rcfed-trial-http")],
        "container:homeserver" => {
            vec![
                named("seed:rcfed-homeserver"),
                named("created:rcfed-homeserver"),
                rename("var/lib/rcfed/deployment.json"),
            ]
        }
        "certificate" => every_point_of_the_certificate(),
        "federation" => vec![rename("var/lib/rcfed/federation.json")],
        "unit:renewal" => vec![rename("etc/cron.d/rcfed")],
        step => match step.strip_prefix("file:/") {
            Some(path) if path.ends_with("dendrite.yaml") || path.ends_with("homeserver.yaml") => vec![rename(path)],
            _ => vec![],
        },
    }
}

/// The order is known, the certificate is issued, the pair is written.
fn every_point_of_the_certificate() -> Vec<Point> {
    let named = |name: &str| Point::Named(name.into());
    vec![named("ordered"), named("issued"), rename("var/lib/rcfed/certificate/pair.pem")]
}

fn rename(path: &str) -> Point {
    Point::Rename(path.into())
}

/// What `init` does before the first step.
fn first() -> Vec<Point> {
    vec![Point::Named("line:init".into()), rename("etc/rcfed/config.toml")]
}

/// All of them, in the order in which a run meets them.
pub fn every_point(bed: &Bed, profile: &str) -> Vec<Point> {
    let mut points = first();
    for step in steps(bed, profile) {
        points.push(Point::Before(step.clone()));
        points.extend(inside(&step));
        points.push(Point::After(step));
    }
    // The deployment is written by whichever of two containers comes first.
    points.retain(|point| *point != rename("var/lib/rcfed/deployment.json"));
    points
}

/// One step of each kind, before or after, and every point in the middle of one.
pub fn slice(bed: &Bed, profile: &str, mut seed: Seed) -> Vec<Point> {
    let steps = steps(bed, profile);
    let kind = |step: &String| step.split(':').next().unwrap().to_string();
    let mut kinds: Vec<String> = steps.iter().map(kind).collect();
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds.len(), 15, "a new kind of step? {kinds:?}");
    let mut chosen = Vec::new();
    for wanted in kinds {
        let of_kind: Vec<&String> = steps.iter().filter(|step| kind(step) == wanted).collect();
        let step = of_kind[seed.below(of_kind.len())].clone();
        chosen.push(if seed.below(2) == 0 { Point::Before(step) } else { Point::After(step) });
    }
    let mut points = every_point(bed, profile);
    points.retain(|point| chosen.contains(point) || matches!(point, Point::Named(_) | Point::Rename(_)));
    // Some of them, and always those between which a certificate could be lost.
    let (first, of) = (seed.below(4), 4);
    let certificate = every_point_of_the_certificate();
    let taken = points.into_iter().enumerate();
    taken.filter(|(n, point)| n % of == first || certificate.contains(point)).map(|(_, point)| point).collect()
}
