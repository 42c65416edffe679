//! rcfed: from a bare server to a federated Rocket.Chat with one command.
//!
//! Answers become a proven [`config::Config`], a config becomes a [`topology::Topology`], and a topology becomes
//! files and steps. All of that is pure. Only what lives below [`host`], [`acme`], [`dns`], [`rocketchat`] and
//! [`relay`] talks to the outside, always through addresses that a test can point at a real server.

pub mod answers;
pub mod config;
pub mod dns;
pub mod domain;
pub mod error;
pub mod host;
pub mod layout;
pub mod preflight;
pub mod secrets;
pub mod ui;
