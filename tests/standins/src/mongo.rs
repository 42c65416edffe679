//! A stand-in for MongoDB: `mongod` as far as a provisioner and the Rocket.Chat stand-in meet it, and `mongosh` for one
//! small grammar. What it refuses, the real one refuses, with the same codes and words.

pub mod args;
pub mod client;
mod commands;
mod data;
mod dbpath;
mod documents;
mod keyfile;
mod log;
mod replica;
mod scram;
pub mod script;
pub mod server;
mod users;
mod wire;
