//! The relay as a process of its own between a Dendrite and a bridge on loopback: killed, starved, and flooded.

mod flood;
mod kill;
mod servers;
