//! Stand-in for Dendrite 0.15.2, which no package offers.
//!
//! It is strict where Dendrite is (setup/config, internal/sqlutil, clientapi/auth, federationapi/routing and
//! appservice/consumers of element-hq/dendrite at v0.15.2 and the commits up to 08cac1c) and lax where Dendrite is, so that
//! a deployment that works with it has a fair chance with the real one. It takes part in rooms of other servers (`rooms`) and
//! lets others into its own (`own_rooms`); of sync it knows invites, of media nothing.

pub mod client;
pub mod config;
pub mod database;
pub mod federation;
pub mod flags;
pub mod key;
pub mod log;
pub mod own_rooms;
pub mod registration;
pub mod rooms;
pub mod sender;
pub mod server;
mod talk;
pub mod verify;
pub mod yaml;

/// internal/version.go
pub const VERSION: &str = "0.15.2";

/// Why the process ends.
#[derive(Debug)]
pub enum Stop {
    /// `logrus.Fatalf`: status 1.
    Fatal(String),
    /// `panic` or `logrus.Panicf`: status 2, as the Go runtime has it.
    Panic(String),
}

impl Stop {
    /// Shapes any error into a fatal one.
    pub fn fatal(why: impl std::fmt::Display) -> Self {
        Self::Fatal(why.to_string())
    }
}
