//! What fits into `make test`: few machines, each looked at thoroughly.

#[cfg(test)]
mod core {
    mod aftermath;
    mod arm64;
    mod bios;
    mod cluster;
    mod documents;
    mod faults;
    mod first_objects;
    mod hetzner;
    mod image;
    mod k3s;
    mod life;
    mod power;
    mod reproducible;
    mod secrets;
    mod sectors;
    mod secure_boot;
    mod slots;
    mod tunnels;
}
