//! Faults as data: what is broken on the real parts, which check has to name it first, and what mends it.
//!
//! The page `docs/faults.md` is made from this table, and the test of the doctor runs it.

/// Which deployment a fault is tried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    Dendrite,
    Synapse,
    Native,
}

/// A row of the table.
pub struct Fault {
    /// What is wrong, for a person.
    pub name: &'static str,
    pub profile: Where,
    /// Shell on the droplet, with the deployment's state in `$S`; `bed …` is a verb of the bed.
    pub inject: &'static [&'static str],
    /// The check that has to be told as the first cause.
    pub first: &'static str,
    /// How bad it is: `fail`, or `warn` where everything still works.
    pub status: &'static str,
    /// Not for a short run.
    pub slow: bool,
    /// Exactly what the doctor tells to run, which then has to mend it.
    pub commands: &'static [&'static str],
    /// What a person does in addition, before the commands, where the remedy is in words.
    pub by_hand: &'static [&'static str],
}

const APPLY: &[&str] = &["sudo rcfed apply"];
const NONE: &[&str] = &[];

const fn fault(
    name: &'static str,
    inject: &'static [&'static str],
    first: &'static str,
    commands: &'static [&'static str],
    by_hand: &'static [&'static str],
) -> Fault {
    Fault { name, profile: Where::Dendrite, inject, first, status: "fail", slow: false, commands, by_hand }
}

const fn warning(
    name: &'static str,
    inject: &'static [&'static str],
    first: &'static str,
    commands: &'static [&'static str],
    by_hand: &'static [&'static str],
) -> Fault {
    Fault { status: "warn", ..fault(name, inject, first, commands, by_hand) }
}

/// One that takes long.
const fn slow(fault: Fault) -> Fault {
    Fault { slow: true, ..fault }
}

/// One of a Synapse deployment.
const fn synapse(fault: Fault) -> Fault {
    Fault { profile: Where::Synapse, ..fault }
}

/// One of a Rocket.Chat that federates by itself.
const fn native(fault: Fault) -> Fault {
    Fault { profile: Where::Native, ..fault }
}

/// Every fault that is tried. Each leaves the deployment well, so that the next finds it so.
#[rustfmt::skip]
pub const FAULTS: &[Fault] = &[
    fault("MongoDB was stopped", &["docker stop rcfed-mongodb"], "container.mongodb", APPLY, NONE),
    fault("PostgreSQL was killed", &["docker kill rcfed-postgres"], "container.postgres",
        &["sudo rcfed apply", "sudo docker restart rcfed-homeserver"], NONE),
    fault("Rocket.Chat was killed, as by the kernel", &["docker kill --signal KILL rcfed-rocketchat"],
        "container.rocketchat", APPLY, NONE),
    slow(fault("The gateway was paused", &["docker pause rcfed-gateway"], "container.gateway",
        &["sudo docker unpause rcfed-gateway"], NONE)),
    fault("The relay is gone", &["docker rm -f rcfed-relay"], "container.relay", APPLY, NONE),
    fault("Somebody else's container has the relay's name",
        &["docker rm -f rcfed-relay", "docker run -d --name rcfed-relay docker.io/library/nginx:1.28"], "container.relay",
        &["sudo docker stop rcfed-relay", "sudo docker rename rcfed-relay rcfed-relay-foreign", "sudo rcfed apply"], NONE),
    fault("The homeserver is not on the network", &["docker network disconnect rcfed rcfed-homeserver"],
        "container.homeserver", &["sudo docker network connect --alias homeserver rcfed rcfed-homeserver"], NONE),
    fault("Another web server took port 80 while the gateway was down",
        &["docker stop rcfed-gateway", "python3 -m http.server 80 >/dev/null 2>&1 & echo $! > $S/../port80.pid",
          "for i in $(seq 50); do curl -s -o /dev/null http://127.0.0.1/ && break; sleep .1; done"],
        "machine.ports", NONE, &["kill $(cat $S/../port80.pid)", "rcfed apply"]),
    fault("The Docker engine does not run", &["bed stop-docker"], "docker.engine", &["sudo systemctl start docker"],
        &["bed start-docker"]),
    fault("The disk is full",
        &["cp -a $S $S.copy && mount -t tmpfs -o size=450m tmpfs $S && cp -a $S.copy/. $S/ && rm -rf $S.copy"],
        "machine.disk", NONE, &["umount -l $S"]),
    fault("A secret is missing", &["mv $S/secrets/signing_key $S/../signing_key"], "files.secrets", NONE,
        &["mv $S/../signing_key $S/secrets/signing_key"]),
    fault("MongoDB has another password for Rocket.Chat",
        &[r#"docker exec rcfed-mongodb mongosh --quiet --norc --port 27017 --eval 'const secret = (name) => require("fs").readFileSync("/run/rcfed/" + name, "utf8").trim();
db.getSiblingDB("admin").auth("rcfed", secret("mongo_admin"));
try { print(EJSON.stringify(db.getSiblingDB("admin").runCommand({"updateUser":"rocketchat","pwd":"another"}))) } catch (e) { print(EJSON.stringify({ok: 0, code: e.code, codeName: e.codeName, errmsg: e.message})) }' | grep -q '"ok":1'"#],
        "mongodb.login", APPLY, NONE),
    fault("PostgreSQL has another password for the homeserver",
        &["docker exec rcfed-postgres psql -X -q -U postgres -d postgres -c \"ALTER ROLE homeserver PASSWORD 'another'\""],
        "postgres.login", APPLY, NONE),
    fault("The registration file has another hs_token",
        &["sed -i 's/^hs_token: .*/hs_token: \"wrong\"/' $S/services/homeserver/registration.yaml",
          "docker restart rcfed-homeserver"],
        "tokens.registration", &["sudo rcfed apply", "sudo docker restart rcfed-homeserver"], NONE),
    fault("The relay's file has another hs_token",
        &["sed -i 's/^hs_token = .*/hs_token = \"wrong\"/' $S/services/relay/relay.toml", "docker restart rcfed-relay"],
        "tokens.registration", &["sudo rcfed apply", "sudo docker restart rcfed-relay"], NONE),
    fault("The homeserver still works with an older as_token than its file",
        &["cp -p $S/services/homeserver/registration.yaml $S/../registration.yaml",
          "sed -i 's/^as_token: .*/as_token: \"older\"/' $S/services/homeserver/registration.yaml",
          "docker restart rcfed-homeserver", "cp -p $S/../registration.yaml $S/services/homeserver/registration.yaml"],
        "homeserver.whoami", &["sudo docker restart rcfed-homeserver"], NONE),
    fault("The relay still works with an older hs_token than its file",
        &["cp -p $S/services/relay/relay.toml $S/../relay.toml",
          "sed -i 's/^hs_token = .*/hs_token = \"older\"/' $S/services/relay/relay.toml", "docker restart rcfed-relay",
          "cp -p $S/../relay.toml $S/services/relay/relay.toml"],
        "relay.transaction", &["sudo docker restart rcfed-relay"], NONE),
    fault("The homeserver has another signing key",
        &["f=$(grep -rl 'MATRIX PRIVATE KEY' $S/services/homeserver); seed=$(openssl rand -base64 32); awk -v s=\"$seed\" '/^$/{print;getline;print s;next}{print}' $f > $S/../key; cat $S/../key > $f",
          "docker restart rcfed-homeserver"],
        "homeserver.key", &["sudo rcfed apply", "sudo docker restart rcfed-homeserver"], NONE),
    fault("An administrator changed the as_token in Rocket.Chat",
        &["IFS=: read -r user token < $S/secrets/personal_access_token || true; ip=$(docker inspect -f '{{.NetworkSettings.Networks.rcfed.IPAddress}}' rcfed-rocketchat); curl -fsS -H \"X-User-Id: $user\" -H \"X-Auth-Token: $token\" -H 'Content-Type: application/json' -d '{\"value\":\"another\"}' http://$ip:3000/api/v1/settings/Federation_Matrix_as_token"],
        "rocketchat.settings", &["sudo docker restart rcfed-rocketchat", "sudo rcfed apply"], NONE),
    fault("An administrator switched federation off in Rocket.Chat",
        &["IFS=: read -r user token < $S/secrets/personal_access_token || true; ip=$(docker inspect -f '{{.NetworkSettings.Networks.rcfed.IPAddress}}' rcfed-rocketchat); curl -fsS -H \"X-User-Id: $user\" -H \"X-Auth-Token: $token\" -H 'Content-Type: application/json' -d '{\"value\":false}' http://$ip:3000/api/v1/settings/Federation_Matrix_enabled"],
        "rocketchat.settings", &["sudo docker restart rcfed-rocketchat", "sudo rcfed apply"], NONE),
    fault("Rocket.Chat has the verdict `Invalid` stored",
        &["IFS=: read -r user token < $S/secrets/personal_access_token || true; ip=$(docker inspect -f '{{.NetworkSettings.Networks.rcfed.IPAddress}}' rcfed-rocketchat); curl -fsS -H \"X-User-Id: $user\" -H \"X-Auth-Token: $token\" -H 'Content-Type: application/json' -d '{\"value\":\"Invalid\"}' http://$ip:3000/api/v1/settings/Federation_Matrix_configuration_status"],
        "rocketchat.verdict", APPLY, NONE),
    fault("rcfed's access token was revoked", &["printf 'nobody:nothing' > $S/secrets/personal_access_token"],
        "rocketchat.token", APPLY, NONE),
    fault("A file of the gateway was damaged", &["echo 'nonsense;' >> $S/services/gateway/http.conf"], "gateway.config",
        APPLY, NONE),
    fault("A file of the gateway was damaged, and the gateway was started again",
        &["echo 'nonsense;' >> $S/services/gateway/http.conf", "docker restart rcfed-gateway"], "gateway.config", APPLY,
        NONE),
    fault("The well-known document names another server",
        &["sed -i 's/matrix.fed.test:443/old.fed.test:443/' $S/services/gateway/tls.d/*.conf",
          "docker exec rcfed-gateway nginx -c /run/rcfed/nginx.conf -s reload"],
        "wellknown.server", &["sudo rcfed apply", "sudo docker exec rcfed-gateway nginx -c /run/rcfed/nginx.conf -s reload"], NONE),
    fault("The certificate on disk is newer than the one that is served",
        &["cp -p $S/certificate/pair.pem $S/../old.pem", "rcfed renew --force", "cp -p $S/certificate/pair.pem $S/../new.pem",
          "cp -p $S/../old.pem $S/certificate/pair.pem", "docker restart rcfed-gateway",
          "for i in $(seq 50); do curl -sk -o /dev/null https://chat.fed.test/ && break; sleep .1; done",
          "cp -p $S/../new.pem $S/certificate/pair.pem"],
        "certificate.served", APPLY, NONE),
    fault("The certificate was deleted", &["rm $S/certificate/pair.pem"], "certificate.file", APPLY, NONE),
    fault("The certificate's file is damaged", &["echo nonsense > $S/certificate/pair.pem"], "certificate.file",
        &["sudo rcfed renew --force"], NONE),
    slow(fault("The certificate has expired",
        &["bed acme restart --validity 20", "rcfed renew --force", "bed acme restart", "sleep 22"], "certificate.file",
        &["sudo rcfed renew --force"], NONE)),
    fault("Nothing renews the certificate", &["rm $RCFED_ROOT/etc/cron.d/rcfed"], "certificate.renewal", APPLY, NONE),
    fault("A record points to another machine", &["bed dns set chat.fed.test A 198.51.100.99"], "dns.address", NONE,
        &["bed dns reset"]),
    fault("A AAAA record points to another machine", &["bed dns set matrix.fed.test AAAA 2001:db8:51::99"], "dns.address",
        NONE, &["bed dns reset"]),
    fault("Cloudflare's proxy was switched on for a name", &["bed dns set chat.fed.test A 104.16.1.1"], "dns.address", NONE,
        &["bed dns reset"]),
    fault("A file of the gateway is gone", &["rm $S/services/gateway/http.conf"], "gateway.config", APPLY, NONE),
    fault("The document for clients names another server",
        &["sed -i 's|https://matrix.fed.test|https://old.fed.test|' $S/services/gateway/tls.d/*.conf",
          "docker exec rcfed-gateway nginx -c /run/rcfed/nginx.conf -s reload"],
        "wellknown.client", &["sudo rcfed apply", "sudo docker exec rcfed-gateway nginx -c /run/rcfed/nginx.conf -s reload"],
        NONE),
    fault("MongoDB was made to step down",
        &[r#"docker exec rcfed-mongodb mongosh --quiet --norc --port 27017 --eval 'const secret = (name) => require("fs").readFileSync("/run/rcfed/" + name, "utf8").trim();
db.getSiblingDB("admin").auth("rcfed", secret("mongo_admin"));
try { print(EJSON.stringify(db.getSiblingDB("admin").runCommand({"replSetStepDown":600,"force":true}))) } catch (e) { print(EJSON.stringify({ok: 0, code: e.code, codeName: e.codeName, errmsg: e.message})) }' | grep -q '"ok":1'"#],
        "mongodb.primary", &["sudo docker restart rcfed-mongodb"], NONE),
    fault("The homeserver's database has another collation",
        &["docker stop rcfed-homeserver",
          "docker exec rcfed-postgres psql -X -q -U postgres -d postgres -c 'ALTER DATABASE homeserver RENAME TO kept' -c \"CREATE DATABASE homeserver OWNER homeserver TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.utf8' LC_CTYPE 'C.utf8'\"",
          "docker start rcfed-homeserver"],
        "postgres.database", NONE,
        &["docker stop rcfed-homeserver",
          "docker exec rcfed-postgres psql -X -q -U postgres -d postgres -c 'DROP DATABASE homeserver' -c 'ALTER DATABASE kept RENAME TO homeserver'",
          "docker start rcfed-homeserver"]),
    fault("The relay's volume is gone", &["docker rm -f rcfed-relay", "docker volume rm rcfed-relay"], "docker.volumes", NONE,
        &["docker volume create --label io.rcfed.service=relay rcfed-relay", "rcfed apply"]),
    fault("Since an upgrade that failed Rocket.Chat is down",
        &[r#"python3 -c 'import json,sys; p=sys.argv[1]; d=json.load(open(p)); d["rocketchat"]["ready"]={"reference":"registry.rocket.chat/rocketchat/rocket.chat:7.10.14","id":"sha256:0"}; json.dump(d,open(p,"w"))' $S/ran.json"#,
          "docker stop rcfed-rocketchat"],
        "images.upgrade", APPLY, NONE),
    slow(fault("The relay was paused", &["docker pause rcfed-relay"], "container.relay", &["sudo docker unpause rcfed-relay"], NONE)),
    fault("The homeserver was stopped", &["docker stop rcfed-homeserver"], "container.homeserver", APPLY, NONE),
    warning("The configuration was changed and not applied",
        &["sed -i 's/^\\[memory\\]/&/; $ a [memory]\\nrelay = 96' $RCFED_ROOT/etc/rcfed/config.toml"], "config.applied",
        APPLY, NONE),
    warning("A file was edited by hand", &["echo '# by hand' >> $S/services/relay/relay.toml"], "files.content", APPLY, NONE),
    warning("A file was given to another user", &["chown 0:0 $S/services/homeserver/registration.yaml"], "files.content", APPLY,
        NONE),
    warning("Somebody took a container's restart policy away", &["docker update --restart no rcfed-relay"], "container.relay",
        APPLY, NONE),
    warning("Somebody reloaded the gateway by a signal, so it stays down after a reboot",
        &["docker kill --signal HUP rcfed-gateway"], "docker.reboot", &["sudo docker restart rcfed-gateway"], NONE),
    warning("Somebody else's container is on the network",
        &["docker run -d --name stranger --network rcfed docker.io/library/nginx:1.28"], "docker.strangers",
        &["sudo docker network disconnect --force rcfed stranger"], NONE),
    warning("Since yesterday an invite waits in the relay",
        &["docker stop rcfed-relay",
          r#"printf '{"intent":{"id":"$old:other.test","at":%s,"event":{"type":"m.room.member","room_id":"!r:other.test","sender":"@eve:other.test","state_key":"@nobody:fed.test","event_id":"$old:other.test","content":{"membership":"invite"},"origin_server_ts":1}}}\n' $(($(date +%s)-90000)) >> $(docker volume inspect -f '{{.Mountpoint}}' rcfed-relay)/journal/journal"#,
          "docker start rcfed-relay"],
        "relay.queue", NONE,
        &["docker stop rcfed-relay", ": > $(docker volume inspect -f '{{.Mountpoint}}' rcfed-relay)/journal/journal",
          "docker start rcfed-relay"]),
    synapse(fault("The bridge (up to 6.13) refuses transactions while its ping is green",
        &["sed -i 's/^use_appservice_legacy_authorization: true/use_appservice_legacy_authorization: false/' $S/services/homeserver/homeserver.yaml",
          "docker restart rcfed-homeserver"],
        "bridge.transaction", &["sudo rcfed apply", "sudo docker restart rcfed-homeserver"], NONE)),
    synapse(fault("Synapse works with another hs_token than its file",
        &["cp -p $S/services/homeserver/registration.yaml $S/../registration.yaml",
          "sed -i 's/^hs_token: .*/hs_token: \"older\"/' $S/services/homeserver/registration.yaml",
          "docker restart rcfed-homeserver",
          "for i in $(seq 150); do docker exec rcfed-homeserver curl -fs -o /dev/null http://127.0.0.1:8008/health && break; sleep .2; done",
          "cp -p $S/../registration.yaml $S/services/homeserver/registration.yaml"],
        "bridge.ping", &["sudo rcfed apply", "sudo docker restart rcfed-homeserver"], NONE)),
    synapse(fault("Synapse was stopped", &["docker stop rcfed-homeserver"], "container.homeserver", APPLY, NONE)),
    native(fault("Rocket.Chat that federates by itself was given a licence without federation",
        // The licence is one of the stand-in's own: the module `auditing`, signed with the word `standin`.
        &["IFS=: read -r user token < $S/secrets/personal_access_token || true; ip=$(docker inspect -f '{{.NetworkSettings.Networks.rcfed.IPAddress}}' rcfed-rocketchat); curl -fsS -H \"X-User-Id: $user\" -H \"X-Auth-Token: $token\" -H 'Content-Type: application/json' -d '{\"license\":\"RCV3_e30.eyJncmFudGVkTW9kdWxlcyI6W3sibW9kdWxlIjoiYXVkaXRpbmcifV19.c3RhbmRpbg\"}' http://$ip:3000/api/v1/licenses.add"],
        "rocketchat.license", APPLY, NONE)),
    native(fault("An administrator gave Rocket.Chat that federates by itself another domain",
        &["IFS=: read -r user token < $S/secrets/personal_access_token || true; ip=$(docker inspect -f '{{.NetworkSettings.Networks.rcfed.IPAddress}}' rcfed-rocketchat); curl -fsS -H \"X-User-Id: $user\" -H \"X-Auth-Token: $token\" -H 'Content-Type: application/json' -d '{\"value\":\"another.test\"}' http://$ip:3000/api/v1/settings/Federation_Service_Domain"],
        "rocketchat.settings", &["sudo docker restart rcfed-rocketchat", "sudo rcfed apply"], NONE)),
    native(fault("An administrator switched off that Rocket.Chat federates by itself",
        &["IFS=: read -r user token < $S/secrets/personal_access_token || true; ip=$(docker inspect -f '{{.NetworkSettings.Networks.rcfed.IPAddress}}' rcfed-rocketchat); curl -fsS -H \"X-User-Id: $user\" -H \"X-Auth-Token: $token\" -H 'Content-Type: application/json' -d '{\"value\":false}' http://$ip:3000/api/v1/settings/Federation_Service_Enabled"],
        "rocketchat.settings", &["sudo docker restart rcfed-rocketchat", "sudo rcfed apply"], NONE)),
];

/// The table for people.
pub fn page() -> String {
    let mut text = String::from(
        "# Faults that are tried\n\nGenerated from the table that the tests run; `make docs` writes it again. Each fault is made in a real \
         deployment; the doctor has to name the check in the second column as the first cause, or as a warning where everything still works, and what it tells to do has to \
         mend it.\n\n| fault | first cause | what the doctor tells to run |\n|---|---|---|\n",
    );
    for fault in FAULTS {
        let anchor = fault.first.replace('.', "");
        let run: Vec<String> = fault.commands.iter().map(|command| format!("`{command}`")).collect();
        let run = if run.is_empty() { "in words, since it is not rcfed's to do".into() } else { run.join(", then ") };
        let warning = if fault.status == "warn" { " (warning)" } else { "" };
        text.push_str(&format!("| {} | [`{}`](checks.md#{anchor}){warning} | {run} |\n", fault.name, fault.first));
    }
    text.push_str("| The workspace may not send | [`rocketchat.send`](checks.md#rocketchatsend) | in words: name a registration token in the configuration |\n");
    text
}
