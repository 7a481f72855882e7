//! What the machine tests stand on: a cluster with its builds, disks, running machines.
//!
//! - [`Scene`]: a cluster folder made by `imgbuild init`, and builds of its profiles
//! - [`Disk`]: a machine's own disk, looked at and tampered with from outside
//! - [`Vm`]: a machine from power-on to its end
//! - [`Recording`], [`FirstBoot`]: a first boot and the power cuts in it, by a [`WriteLog`]
//! - [`Staging`]: a staging and the power cuts in it
//! - [`Joining`]: a cluster with an identity, and its operator
//! - [`Lan`]: a network that machines share
//! - [`Inspection`]: looks for secrets in builds, disks and logs
//! - [`expect_refusal`]: machines that must not start
//! - [`Ending`]: a signal in the middle of a program's work
//! - [`HetznerApi`]: the API of the Hetzner simulator
//! - [`Mirror`]: a Debian mirror with what a lock names
//! - [`oracle`]: programs of the host that judge what we wrote
//! - [`Random`]: repeatable choices by SEED
#![expect(clippy::print_stdout, reason = "boots take minutes: tests say how far they are")]

mod disk;
mod ending;
mod fault;
mod first_boot;
mod hetzner;
mod inspection;
mod joining;
mod lan;
mod mirror;
mod operator;
pub mod oracle;
mod random;
mod scene;
mod staging;
#[path = "../../builder/tests/stand_in/mod.rs"]
mod stand_in;
mod vm;
mod write_log;

pub use disk::{Disk, SeenPartition, check_table, partitions};
pub use ending::{Ending, Met};
pub use fault::expect_refusal;
pub use first_boot::{FirstBoot, Recording};
pub use hetzner::HetznerApi;
pub use inspection::Inspection;
pub use joining::{Joining, Pushed, READY, code_on};
pub use lan::{Lan, Plug};
pub use mirror::Mirror;
pub use operator::Operator;
pub use random::{Random, number};
pub use scene::{Bundle, Scene, is_of_this_computer, remove_folder};
pub use staging::Staging;
pub use vm::{Power, Vm, free_port, report};
pub use write_log::{PowerCut, WriteLog};
