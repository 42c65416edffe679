//! `fault-registry`: an image registry that fails in one chosen way (Docker Registry HTTP API V2).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use rcfed_standins::web::{self, Answer, Handler, Request};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Answers as an image registry up to the point of failure, in plain HTTP.
#[derive(Parser)]
struct Options {
    /// IP:PORT to answer on.
    #[arg(long, default_value = "0.0.0.0:5000")]
    listen: SocketAddr,
    /// 404 (no such tag), 500 (broken), hang (no answer), cut (a layer that ends half-way); with a store also good, and
    /// wait (no layer before the file `--until` is there).
    #[arg(long)]
    mode: Mode,
    /// A registry's storage directory: its images are served.
    #[arg(long)]
    store: Option<PathBuf>,
    /// What `wait` waits for.
    #[arg(long)]
    until: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Missing,
    Broken,
    Hang,
    Cut,
    Good,
    Wait,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Ok(match word {
            "404" => Self::Missing,
            "500" => Self::Broken,
            "hang" => Self::Hang,
            "cut" => Self::Cut,
            "good" => Self::Good,
            "wait" => Self::Wait,
            other => return Err(format!("{other:?} is none of 404, 500, hang, cut, good, wait")),
        })
    }
}

/// The layer is promised with this many bytes; the last half never comes.
const LAYER: usize = 1 << 16;
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// A blob at least this long is a layer.
const LONG: usize = 10_000;

struct Registry {
    mode: Mode,
    store: Option<PathBuf>,
    until: Option<PathBuf>,
}

impl Registry {
    fn may_go(&self) -> bool {
        self.until.as_ref().is_none_or(|file| file.exists())
    }

    /// A manifest or a blob of the store; `None` if there is none.
    async fn stored(&self, store: &Path, request: &Request) -> Option<Answer> {
        let root = store.join("docker/registry/v2");
        let path = request.path.strip_prefix("/v2/")?;
        if let Some((repository, tag)) = path.split_once("/manifests/") {
            let link =
                root.join("repositories").join(repository).join("_manifests/tags").join(tag).join("current/link");
            let id = if tag.contains(':') { tag.to_owned() } else { std::fs::read_to_string(link).ok()? };
            let manifest = std::fs::read(blob(&root, &id)?).ok()?;
            let kind = serde_json::from_slice::<Value>(&manifest).ok()?["mediaType"].as_str()?.to_owned();
            return Some(Answer::new(200, &kind, manifest).with("Docker-Content-Digest", id));
        }
        let bytes = std::fs::read(blob(&root, path.split_once("/blobs/")?.1)?).ok()?;
        let (whole, kind) = (bytes.len(), "application/octet-stream");
        let from =
            request.header("range").strip_prefix("bytes=").and_then(|range| range.split('-').next()?.parse().ok());
        let from = from.unwrap_or(0).min(whole);
        if whole >= LONG && self.mode == Mode::Wait && !self.may_go() {
            println!("waiting");
            while !self.may_go() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let cut = whole >= LONG && self.mode == Mode::Cut;
        let to = if cut { (whole / 2).max(from) } else { whole };
        let status = if request.header("range").is_empty() { 200 } else { 206 };
        let answer = Answer::new(status, kind, bytes[from..to].to_vec());
        let answer = if status == 206 {
            answer.with("Content-Range", format!("bytes {from}-{}/{whole}", whole - 1))
        } else {
            answer
        };
        if !cut {
            return Some(answer);
        }
        println!("cut at {to} of {whole}");
        Some(Answer { cut: true, ..answer.with("Content-Length", (whole - from).to_string()) })
    }
}

fn blob(root: &Path, id: &str) -> Option<PathBuf> {
    let hex = id.trim().strip_prefix("sha256:")?;
    Some(root.join("blobs/sha256").join(hex.get(..2)?).join(hex).join("data"))
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn image_config() -> String {
    let rootfs = json!({"type": "layers", "diff_ids": [digest(&[0; LAYER])]});
    json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).to_string()
}

fn manifest() -> String {
    let config = image_config();
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": config.len(),
            "digest": digest(config.as_bytes()),
        },
        "layers": [{
            "mediaType": "application/vnd.docker.image.rootfs.diff.tar",
            "size": LAYER,
            "digest": digest(&[0; LAYER]),
        }],
    })
    .to_string()
}

fn error(status: u16, code: &str, message: &str, detail: Value) -> Answer {
    Answer::json(status, &json!({"errors": [{"code": code, "message": message, "detail": detail}]}))
}

impl Handler for Registry {
    async fn handle(&self, request: Request) -> Option<Answer> {
        println!("{} {}", request.method, request.path);
        let segments = request.segments();
        if let Some(store) = &self.store
            && let Some(answer) = self.stored(store, &request).await
        {
            return Some(answer.with("Docker-Distribution-Api-Version", "registry/2.0"));
        }
        let answer = match (self.mode, segments.as_slice()) {
            (Mode::Hang, _) => return None,
            (Mode::Broken, _) => error(500, "UNKNOWN", "unknown error", Value::Null),
            (_, ["v2"] | ["v2", ""]) => Answer::new(200, "application/json", "{}"),
            (Mode::Cut, ["v2", .., "manifests", _]) => {
                let manifest = manifest();
                let id = digest(manifest.as_bytes());
                Answer::new(200, MANIFEST, manifest).with("Docker-Content-Digest", id)
            }
            (Mode::Cut, ["v2", .., "blobs", id]) if *id == digest(image_config().as_bytes()) => {
                Answer::new(200, "application/octet-stream", image_config())
            }
            // twice as much is promised as comes
            (Mode::Cut, ["v2", .., "blobs", _]) => {
                let half = Answer::new(200, "application/octet-stream", vec![0; LAYER / 2]);
                Answer { cut: true, ..half.with("Content-Length", LAYER.to_string()) }
            }
            (_, ["v2", .., "manifests", tag]) => {
                error(404, "MANIFEST_UNKNOWN", "manifest unknown", json!({ "Tag": tag }))
            }
            (_, ["v2", .., "blobs", id]) => {
                error(404, "BLOB_UNKNOWN", "blob unknown to registry", json!({ "digest": id }))
            }
            _ => Answer::new(404, "text/plain; charset=utf-8", "404 page not found\n"),
        };
        Some(answer.with("Docker-Distribution-Api-Version", "registry/2.0"))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    web::main(
        "fault-registry",
        options.listen,
        Registry { mode: options.mode, store: options.store, until: options.until },
    )
    .await
}
