//! Stub until merged.
#[derive(Clone, Debug)]
pub struct Sizes {
    pub wiredtiger_gb: f32,
    pub dendrite_cache_mb: u32,
    pub db_connections: u32,
    pub node_heap_mb: u32,
    pub ipv6: bool,
}
