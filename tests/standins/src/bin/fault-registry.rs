//! `fault-registry`: an image registry that fails in one chosen way (Docker Registry HTTP API V2).

use std::net::SocketAddr;
use std::process::ExitCode;
use std::str::FromStr;

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
    /// 404 (no such tag), 500 (broken), hang (no answer), cut (a layer that ends half-way).
    #[arg(long)]
    mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Missing,
    Broken,
    Hang,
    Cut,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Ok(match word {
            "404" => Self::Missing,
            "500" => Self::Broken,
            "hang" => Self::Hang,
            "cut" => Self::Cut,
            other => return Err(format!("{other:?} is none of 404, 500, hang, cut")),
        })
    }
}

/// The layer is promised with this many bytes; the last half never comes.
const LAYER: usize = 1 << 16;
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

struct Registry(Mode);

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
        let answer = match (self.0, segments.as_slice()) {
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
    web::main("fault-registry", options.listen, Registry(options.mode)).await
}
