//! rcfed: from a bare server to a federated Rocket.Chat with one command.
//!
//! Answers become a proven [`config::Config`], a config becomes a [`topology::Topology`], and a topology becomes
//! files and steps. All of that is pure. Only what lives below [`host`], [`acme`], [`dns`], [`rocketchat`] and
//! [`relay`] talks to the outside, always through addresses that a test can point at a real server.

pub mod acme;
pub mod adopt;
pub mod answers;
pub mod apex;
pub mod apply;
pub mod change;
pub mod cli;
mod clock;
pub mod compat;
pub mod config;
pub mod deploy;
pub mod deployment;
pub mod dns;
pub mod doctor;
pub mod domain;
pub mod error;
mod fault;
pub mod finding;
pub mod host;
pub mod invite_test;
pub mod layout;
mod leftovers;
#[cfg(test)]
mod loopback;
pub mod machine;
pub mod matrix;
pub mod plan;
pub mod preflight;
pub mod ran;
pub mod receipt;
pub mod relay;
pub mod relay_image;
pub mod render;
pub mod renew;
pub mod rocketchat;
pub mod secrets;
pub mod sizes;
pub mod status;
pub mod step;
pub mod stop;
pub mod summary;
pub mod tokens;
pub mod topology;
pub mod ui;
pub mod uninstall;
