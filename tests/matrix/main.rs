//! Other people's servers, looked at from outside: the decision table as data, and real servers on loopback, good and bad.

mod hostile;
mod looking;
mod proxies;
mod servers;
mod synapse;
mod table;
mod tls;
