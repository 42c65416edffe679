//! What is known to work together, with its source and date, and what each image expects of the one who runs it.
//!
//! Users and capabilities differ from image to image and are the usual reason for "permission denied" at the third
//! restart. They are written down here. What an image says of itself is compared after it was pulled (`step::image`): its
//! processor, its program, and of a database the user, to whom the data will belong. Capabilities no image tells.

use serde::Serialize;

use crate::config::{Config, Profile, Service};
use crate::domain::ImageRef;

/// How an image is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The tag rcfed was tried with.
    pub reference: &'static str,
    /// Last word of the entrypoint (or of the command, where there is no entrypoint) in the image's configuration.
    pub program: &'static str,
    /// The numeric user the container runs as; `None` keeps the image's own.
    pub user: Option<(u32, u32)>,
    /// Capabilities kept; all others are dropped.
    pub capabilities: &'static [&'static str],
    /// Whether the root file system may be read-only.
    pub read_only: bool,
    /// Directories that must be writable in a read-only container, with mount options.
    pub tmpfs: &'static [(&'static str, &'static str)],
    /// Seconds the server gets to stop before it is killed.
    pub stop_seconds: u32,
}

/// A release that no longer gets security fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EndOfLife {
    /// Product and version.
    pub what: &'static str,
    /// Last day of support, ISO 8601.
    pub date: &'static str,
}

impl std::fmt::Display for EndOfLife {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} reached its end of life on {} and gets no security fixes", self.what, self.date)
    }
}

/// The group that may read the files mounted into Rocket.Chat's container.
///
/// The image's user id changed between releases (root, 65534, 65533), so the files belong to a group of their own
/// which the container is given in addition, whatever its user.
pub const ROCKETCHAT_GROUP: u32 = 64738;

/// User and group of the homeservers; Synapse's image uses it (docker/start.py), Dendrite's has none of its own.
pub const HOMESERVER_USER: (u32, u32) = (991, 991);

/// User and group of the relay: nobody's.
pub const RELAY_USER: (u32, u32) = (65532, 65532);

/// Room versions the bridge can serve: it reads a room's creator from `content.creator`, which version 11 no longer has,
/// and a room's origin from its id, which has no domain from version 12 on (Rocket.Chat 7.10,
/// server/services/federation; specification, "Room versions").
pub const BRIDGE_ROOM_VERSIONS: [&str; 10] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];

/// The services of a profile.
pub fn services(profile: Profile) -> &'static [Service] {
    use Service::{Gateway, Homeserver, Mongodb, Postgres, Relay, Rocketchat};
    match profile {
        Profile::Dendrite => &[Gateway, Homeserver, Mongodb, Postgres, Relay, Rocketchat],
        Profile::Synapse => &[Gateway, Homeserver, Mongodb, Postgres, Rocketchat],
        Profile::Native => &[Gateway, Mongodb, Rocketchat],
    }
}

/// The image of a service, or `None` for the relay, which is made from this binary.
pub fn image(profile: Profile, service: Service) -> Option<Image> {
    let bridge = profile != Profile::Native;
    Some(match service {
        // nginx's master binds and reads as root, its workers are uid 101 (nginx/docker-nginx, Dockerfile).
        Service::Gateway => Image {
            reference: "docker.io/library/nginx:1.28",
            program: "/docker-entrypoint.sh",
            user: None,
            capabilities: &["CHOWN", "NET_BIND_SERVICE", "SETGID", "SETUID"],
            read_only: true,
            tmpfs: &[("/tmp", "mode=1777,size=64m"), ("/var/cache/nginx", "mode=0755"), ("/run/nginx", "mode=0755")],
            stop_seconds: 10,
        },
        // Alpine without a user of its own; cgo-less on ARM (element-hq/dendrite, Dockerfile, v0.15.2 of 2025-08-15).
        Service::Homeserver if profile == Profile::Dendrite => Image {
            reference: "ghcr.io/element-hq/dendrite-monolith:v0.15.2",
            program: "/usr/bin/dendrite",
            user: Some(HOMESERVER_USER),
            capabilities: &[],
            read_only: true,
            tmpfs: &[("/tmp", "mode=1777,size=256m")],
            stop_seconds: 20,
        },
        // `run` mode as uid 991 neither chowns nor calls gosu (element-hq/synapse, docker/start.py).
        Service::Homeserver => Image {
            reference: "ghcr.io/element-hq/synapse:v1.163.2",
            program: "/start.py",
            user: Some(HOMESERVER_USER),
            capabilities: &[],
            read_only: true,
            tmpfs: &[("/tmp", "mode=1777,size=256m")],
            stop_seconds: 20,
        },
        // mongodb is 999:999 and owns /data/db in the image (docker-library/mongo). 7.0 for 7.10: its release notes name
        // 5, 6 and 7; 8.0 for 8.5: "8.x tested" since 8.2.
        Service::Mongodb => Image {
            reference: if bridge { "docker.io/library/mongo:7.0" } else { "docker.io/library/mongo:8.0" },
            program: "docker-entrypoint.sh",
            user: Some((999, 999)),
            capabilities: &[],
            read_only: true,
            tmpfs: &[("/tmp", "mode=1777,size=64m"), ("/data/configdb", "mode=0755")],
            stop_seconds: 30,
        },
        // postgres is 999:999 (docker-library/postgres). Synapse wants >= 14, Dendrite >= 12.
        Service::Postgres => Image {
            reference: "docker.io/library/postgres:17",
            program: "docker-entrypoint.sh",
            user: Some((999, 999)),
            capabilities: &[],
            read_only: true,
            tmpfs: &[("/tmp", "mode=1777,size=64m"), ("/var/run/postgresql", "mode=0775,uid=999,gid=999")],
            stop_seconds: 30,
        },
        Service::Relay => return None,
        // Writes below node_modules (apps engine), so no read-only root.
        Service::Rocketchat => Image {
            reference: if bridge {
                "registry.rocket.chat/rocketchat/rocket.chat:7.10.15"
            } else {
                "registry.rocket.chat/rocketchat/rocket.chat:8.5.3"
            },
            program: "main.js",
            user: None,
            capabilities: &[],
            read_only: false,
            tmpfs: &[],
            stop_seconds: 30,
        },
    })
}

/// The reference a deployment uses: the configured one, or the tag known to work.
pub fn reference(config: &Config, service: Service) -> Option<String> {
    let known = image(config.profile, service)?;
    let configured = config.images.get(&service).map(ImageRef::to_string);
    Some(configured.unwrap_or_else(|| known.reference.into()))
}

/// The version of the image a deployment uses, as its tag says: `v0.15.2` is 0.15.2. `None` for the relay.
pub fn version(config: &Config, service: Service) -> Option<String> {
    let tag = ImageRef::parse(&reference(config, service)?).ok()?.tag().to_owned();
    let version = tag.strip_prefix('v').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    Some(version.unwrap_or(&tag).to_owned())
}

/// The bridge came with 4.7 and went with 7.11 (Rocket.Chat, pull requests 23688 and 36988).
pub fn has_bridge(version: &str) -> bool {
    ([4, 7]..[7, 11]).contains(&release(version).unwrap_or_default())
}

/// Refuses a version that cannot do what its place in the profile asks of it; `Err` says why. A tag that names no version is
/// not judged: what such a server can do shows once it runs.
///
/// A tag that is shorter than the releases of its server, such as `7`, moves with them and names none either.
///
/// Rocket.Chat checks its federation itself since 6.12 (pull request 32535) and federates without a homeserver since 7.11.
/// Synapse has the ping of application services since 1.84, Dendrite their present paths since 0.13.7 (pull request 3316).
pub fn suits(profile: Profile, service: Service, tag: &str) -> Result<(), String> {
    let Some(version) = named(service, tag) else { return Ok(()) };
    let bridge = profile != Profile::Native;
    let why = match service {
        Service::Rocketchat if bridge && !has_bridge(tag) => {
            "it has no bridge to a homeserver; 6.12 to 7.10 have one that works"
        }
        Service::Rocketchat if bridge && version < [6, 12] => {
            "it has no check of its own federation; 6.12 to 7.10 have one"
        }
        Service::Rocketchat if !bridge && version < [7, 11] => {
            "it does not federate without a homeserver; 7.11 and later do"
        }
        Service::Homeserver if profile == Profile::Synapse && version < [1, 84] => {
            "it does not answer the ping that Rocket.Chat sends; 1.84 and later do"
        }
        Service::Homeserver
            if profile == Profile::Dendrite
                && (version < [0, 13] || version == [0, 13] && patch(tag).is_some_and(|patch| patch < 7)) =>
        {
            "it speaks to bridges under paths that are no longer used; 0.13.7 and later do not"
        }
        Service::Mongodb if version < [5, 0] => "Rocket.Chat does not start with it; 5.0 and later are taken",
        Service::Postgres if profile == Profile::Synapse && version < [14, 0] => {
            "Synapse does not start with it; 14 and later are taken"
        }
        Service::Postgres if version < [12, 0] => "Dendrite does not start with it; 12 and later are taken",
        _ => return Ok(()),
    };
    Err(format!("`{tag}` cannot be the {service} of the profile {}: {why}", profile.name()))
}

/// Refuses to go back behind a release whose server has changed its database already; `Err` says why.
pub fn goes_back(service: Service, was: &str, wanted: &str) -> Result<(), String> {
    let of = |reference: &str| named(service, ImageRef::parse(reference).ok()?.tag());
    let (Some(old), Some(new)) = (of(was), of(wanted)) else { return Ok(()) };
    if !matches!(service, Service::Rocketchat | Service::Homeserver) || new >= old {
        return Ok(());
    }
    let [old, new] = [old, new].map(|[major, minor]| format!("{major}.{minor}"));
    Err(format!("the {service} ran with {old}, which changed its database in ways that {new} does not know"))
}

/// The release that a tag stands for; databases are told apart by their first number alone.
fn named(service: Service, tag: &str) -> Option<[u32; 2]> {
    (service.is_database() || numbers(tag).len() > 1).then(|| release(tag)).flatten()
}

/// The third number.
fn patch(tag: &str) -> Option<u32> {
    numbers(tag).get(2).copied()
}

/// The first two numbers of a version such as `v1.163.2` or `17-alpine`.
fn release(tag: &str) -> Option<[u32; 2]> {
    let numbers = numbers(tag);
    Some([*numbers.first()?, numbers.get(1).copied().unwrap_or_default()])
}

fn numbers(tag: &str) -> Vec<u32> {
    let version = tag.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

/// Refuses to let a database server of another major version have the data of the one before; `Err` says why.
///
/// PostgreSQL does not open the files of another major version (manual, "Upgrading a PostgreSQL Cluster"). MongoDB goes
/// one major version at a time, with its feature compatibility version raised by hand in between, and never back; and
/// Rocket.Chat names the versions it works with.
pub fn database_change(service: Service, was: &str, wanted: &str) -> Result<(), String> {
    let major = |reference: &str| release(ImageRef::parse(reference).ok()?.tag()).map(|[major, _]| major);
    let (Some(old), Some(new)) = (major(was), major(wanted)) else { return Ok(()) };
    if !service.is_database() || old == new {
        return Ok(());
    }
    Err(match service {
        Service::Postgres => format!(
            "PostgreSQL {new} does not open the data of PostgreSQL {old}: between major versions they are dumped and restored"
        ),
        _ => format!(
            "MongoDB {new} is not started on the data of MongoDB {old}: Rocket.Chat's release decides which one it works \
             with, and MongoDB cannot go back"
        ),
    })
}

/// What in a profile no longer gets security fixes (endoflife.date, rocket-chat, 2026-08-22).
pub fn end_of_life(profile: Profile) -> Option<EndOfLife> {
    let bridge = EndOfLife { what: "Rocket.Chat 7.10", date: "2026-07-10" };
    (profile != Profile::Native).then_some(bridge)
}

/// Until when a database server gets fixes, by the major version in `version`. `None` for one that is not known.
///
/// PostgreSQL: <https://www.postgresql.org/support/versioning/>; MongoDB: <https://www.mongodb.com/legal/support-policy/lifecycles>.
pub fn end_of_database(service: Service, version: &str) -> Option<EndOfLife> {
    let major = version.split('.').next()?;
    let (what, date) = match (service, major) {
        (Service::Postgres, "13") => ("PostgreSQL 13", "2025-11-13"),
        (Service::Postgres, "14") => ("PostgreSQL 14", "2026-11-12"),
        (Service::Postgres, "15") => ("PostgreSQL 15", "2027-11-11"),
        (Service::Postgres, "16") => ("PostgreSQL 16", "2028-11-09"),
        (Service::Postgres, "17") => ("PostgreSQL 17", "2029-11-08"),
        (Service::Mongodb, "5") => ("MongoDB 5.0", "2024-10-31"),
        (Service::Mongodb, "6") => ("MongoDB 6.0", "2025-07-31"),
        (Service::Mongodb, "7") => ("MongoDB 7.0", "2027-08-31"),
        (Service::Mongodb, "8") => ("MongoDB 8.0", "2029-10-31"),
        _ => return None,
    };
    Some(EndOfLife { what, date })
}

/// Until when a distribution gets security fixes without a contract: Debian with its long-term support
/// (<https://wiki.debian.org/LTS>), Ubuntu's standard support (<https://ubuntu.com/about/release-cycle>).
pub fn end_of_system(id: &str, version: &str) -> Option<EndOfLife> {
    let (what, date) = match (id, version) {
        ("debian", "11") => ("Debian 11", "2026-08-31"),
        ("debian", "12") => ("Debian 12", "2028-06-30"),
        ("debian", "13") => ("Debian 13", "2030-06-30"),
        ("ubuntu", "20.04") => ("Ubuntu 20.04", "2025-05-31"),
        ("ubuntu", "22.04") => ("Ubuntu 22.04", "2027-04-30"),
        ("ubuntu", "24.04") => ("Ubuntu 24.04", "2029-04-30"),
        _ => return None,
    };
    Some(EndOfLife { what, date })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_server_keeps_its_major_version() {
        for (service, was, wanted, taken) in [
            (Service::Postgres, "postgres:17", "postgres:17.2-alpine", true),
            (Service::Postgres, "postgres:17", "postgres:18", false),
            (Service::Postgres, "postgres:17", "postgres:16", false),
            (Service::Mongodb, "mongo:7.0", "mongo:7.0.16", true),
            (Service::Mongodb, "mongo:7.0", "mongo:8.0", false),
            // What the tag does not tell, the image itself does.
            (Service::Mongodb, "mongo:7.0", "mongo:latest", true),
            (Service::Rocketchat, "rocket.chat:7.10.15", "rocket.chat:8.0.0", true),
        ] {
            assert_eq!(database_change(service, was, wanted).is_ok(), taken, "{was} {wanted}");
        }
    }

    #[test]
    fn what_cannot_work_together_is_refused_and_nothing_else() {
        use Profile::{Dendrite, Native, Synapse};
        let of = |profile: Profile, service: Service, tag: &str| {
            let told = suits(profile, service, tag).err().unwrap_or_else(|| "taken".into());
            format!("{} {service}:{tag} → {told}", profile.name())
        };
        let mut table = Vec::new();
        for tag in
            ["4.6.0", "6.11.3", "6.12.0", "7", "7.10", "7.10.15", "7.10.99-rc.1", "7.11.0", "8.5.3", "0.0.0", "latest"]
        {
            table.push(of(Dendrite, Service::Rocketchat, tag));
        }
        table.extend(["7.10.15", "7.11.0", "8.5.3"].map(|tag| of(Native, Service::Rocketchat, tag)));
        table.extend(["v1.83.0", "v1.84.1", "v1.163.2"].map(|tag| of(Synapse, Service::Homeserver, tag)));
        table.extend(
            ["v0.12.0", "v0.13", "v0.13.6", "v0.13.7", "v0.15.2"].map(|tag| of(Dendrite, Service::Homeserver, tag)),
        );
        table.extend(["13.4", "14", "17-alpine"].map(|tag| of(Synapse, Service::Postgres, tag)));
        table.extend(["11", "13"].map(|tag| of(Dendrite, Service::Postgres, tag)));
        table.extend(["4.4", "7.0"].map(|tag| of(Dendrite, Service::Mongodb, tag)));
        for (was, wanted) in [
            ("x:7.10.15", "x:7.9.2"),
            ("x:7.10.15", "x:7.10.3"),
            ("x:7.9.2", "x:7.10.0"),
            ("x:latest", "x:7.0.0"),
            ("x:7.10.15", "x:7"),
        ] {
            let told = goes_back(Service::Rocketchat, was, wanted).err().unwrap_or_else(|| "taken".into());
            table.push(format!("{was} → {wanted}: {told}"));
        }
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn what_is_used_suits() {
        for profile in Profile::ALL {
            for service in services(profile) {
                let Some(image) = image(profile, *service) else { continue };
                let tag = ImageRef::parse(image.reference).unwrap();
                assert_eq!(suits(profile, *service, tag.tag()), Ok(()));
            }
        }
    }
}
