//! Device-mapper: makes one device from one target.
//!
//! Spec: `linux/dm-ioctl.h`, interface version 4. A device is created, gets a table, and is resumed; see
//! [`DeviceMapper::activate`].

use std::fs::{File, OpenOptions};
use std::path::Path;

use rustix::io::{Errno, Result};
use rustix::ioctl::{Direction, Opcode, Updater, ioctl, opcode};

/// Bytes of `struct dm_ioctl`, which every request starts with.
const HEADER_SIZE: u32 = 312;
/// Bytes of `struct dm_target_spec`, which stands before a target's parameters.
const TARGET_SIZE: usize = 40;
/// Bytes of a whole request. A verity table is about 300 bytes, so one fixed size serves every call.
const REQUEST_SIZE: u32 = 4096;
const PAYLOAD_SIZE: usize = 4096 - 312;

const READ_ONLY: u32 = 1 << 0;

const fn code(number: u8) -> Opcode {
    // The kernel checks the size of the header only; the length of the request is `data_size`.
    opcode::from_components(Direction::ReadWrite, 0xfd, number, 312)
}
const CREATE: Opcode = code(3);
const REMOVE: Opcode = code(4);
const SUSPEND_OR_RESUME: Opcode = code(6);
const LOAD_TABLE: Opcode = code(9);
const TABLE_STATUS: Opcode = code(12);

/// `struct dm_ioctl` and the bytes behind it.
#[repr(C)]
struct Request {
    version: [u32; 3],
    data_size: u32,
    data_start: u32,
    target_count: u32,
    open_count: i32,
    flags: u32,
    event_number: u32,
    padding: u32,
    device: u64,
    name: [u8; 128],
    uuid: [u8; 129],
    data: [u8; 7],
    payload: [u8; PAYLOAD_SIZE],
}

const _: () = assert!(size_of::<Request>() == 4096);
const _: () = assert!(std::mem::offset_of!(Request, payload) == 312);

impl Request {
    fn new(name: &str, uuid: &str, flags: u32) -> Result<Self> {
        let mut request = Self {
            version: [4, 0, 0],
            data_size: REQUEST_SIZE,
            data_start: HEADER_SIZE,
            target_count: 0,
            open_count: 0,
            flags,
            event_number: 0,
            padding: 0,
            device: 0,
            name: [0; 128],
            uuid: [0; 129],
            data: [0; 7],
            payload: [0; PAYLOAD_SIZE],
        };
        put(&mut request.name, name)?;
        put(&mut request.uuid, uuid)?;
        Ok(request)
    }

    /// Puts one target into the payload; the kernel reads it from `data_start`.
    fn set_target(&mut self, target: &Target) -> Result<()> {
        self.target_count = 1;
        // sector_start (u64) stays 0: the target is the whole device.
        self.payload[8..16].copy_from_slice(&target.sectors.to_ne_bytes());
        // status (i32) and next (u32) stay 0: there is no other target.
        put(&mut self.payload[24..TARGET_SIZE], &target.kind)?;
        put(&mut self.payload[TARGET_SIZE..], &target.parameters)
    }
}

/// Copies `text` and leaves at least one NUL behind it.
fn put(field: &mut [u8], text: &str) -> Result<()> {
    if text.len() >= field.len() || text.contains('\0') {
        return Err(Errno::NAMETOOLONG);
    }
    field[..text.len()].copy_from_slice(text.as_bytes());
    Ok(())
}

/// One line of a table, as `dmsetup table` shows it, that spans the whole device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// Length of the device in units of 512 bytes, whatever the disk's sector size.
    pub sectors: u64,
    /// Name of the target type, `verity`.
    pub kind: String,
    /// What the target type is told.
    pub parameters: String,
}

/// Number of a block device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeviceNumber {
    /// Driver.
    pub major: u32,
    /// Device of the driver; the N of `/dev/dm-N`.
    pub minor: u32,
}

impl DeviceNumber {
    /// Decodes the kernel's `huge_encode_dev`; the upper half of `encoded` is unused.
    fn decode(encoded: u64) -> Self {
        let low = u32::try_from(encoded & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        Self { major: (low >> 8) & 0xfff, minor: (low & 0xff) | ((low >> 12) & 0xf_ff00) }
    }
}

/// The control device.
#[derive(Debug)]
pub struct DeviceMapper {
    control: File,
}

impl DeviceMapper {
    /// Opens `/dev/mapper/control`, which is there once `dm_mod` is loaded.
    pub fn open(control: &Path) -> std::io::Result<Self> {
        Ok(Self { control: OpenOptions::new().read(true).write(true).open(control)? })
    }

    /// Makes the read-only device `name` from `target` and lets reads through.
    ///
    /// A device that got no table, or a table that the kernel refuses, is removed again.
    pub fn activate(&self, name: &str, uuid: &str, target: &Target) -> Result<DeviceNumber> {
        let created = self.call::<CREATE>(Request::new(name, uuid, 0)?)?;
        let outcome = self.load_and_resume(name, target);
        if outcome.is_err() {
            // What went wrong before is what the caller must hear.
            drop(self.call::<REMOVE>(Request::new(name, "", 0)?));
        }
        outcome.map(|()| DeviceNumber::decode(created.device))
    }

    /// What the target of the device `name` says of itself, as `dmsetup status` shows it behind the target's name.
    pub fn status(&self, name: &str) -> Result<String> {
        let answer = self.call::<TABLE_STATUS>(Request::new(name, "", 0)?)?;
        let text = answer.payload[TARGET_SIZE..].split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn load_and_resume(&self, name: &str, target: &Target) -> Result<()> {
        let mut load = Request::new(name, "", READ_ONLY)?;
        load.set_target(target)?;
        self.call::<LOAD_TABLE>(load)?;
        // Without the suspend flag the call resumes.
        self.call::<SUSPEND_OR_RESUME>(Request::new(name, "", 0)?)?;
        Ok(())
    }

    fn call<const OPCODE: Opcode>(&self, mut request: Request) -> Result<Request> {
        // SAFETY: every opcode used here reads and writes a `struct dm_ioctl`, which `Request` mirrors.
        let updater = unsafe { Updater::<OPCODE, Request>::new(&mut request) };
        // SAFETY: the kernel touches at most `data_size` bytes, which is the size of `Request`; all fields are
        // integers, so any bytes it writes are valid. A descriptor that is not the control device gives ENOTTY.
        unsafe { ioctl(&self.control, updater) }?;
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcodes_are_those_of_the_kernel_header() {
        // Values of `_IOWR(0xfd, n, struct dm_ioctl)` as strace prints them.
        assert_eq!(
            [CREATE, REMOVE, SUSPEND_OR_RESUME, LOAD_TABLE],
            [0xc138_fd03, 0xc138_fd04, 0xc138_fd06, 0xc138_fd09]
        );
    }

    #[test]
    fn decodes_device_numbers_beyond_eight_bits() {
        assert_eq!(DeviceNumber::decode(0xfe03), DeviceNumber { major: 254, minor: 3 });
        // major 253, minor 0x12345
        assert_eq!(DeviceNumber::decode(0x1230_fd45), DeviceNumber { major: 253, minor: 0x12345 });
    }

    #[test]
    fn a_target_lies_where_the_kernel_reads_it() {
        let mut request = Request::new("root", "CRYPT-VERITY-x", READ_ONLY).unwrap();
        let target =
            Target { sectors: 0x0102, kind: "verity".to_owned(), parameters: "1 254:3 254:4".to_owned() };
        request.set_target(&target).unwrap();
        assert_eq!(&request.payload[8..16], &0x0102_u64.to_ne_bytes());
        assert_eq!(&request.payload[24..31], b"verity\0");
        assert_eq!(&request.payload[40..54], b"1 254:3 254:4\0");
    }

    #[test]
    fn refuses_names_and_tables_without_room_for_the_final_nul() {
        assert_eq!(Request::new(&"n".repeat(128), "", 0).err(), Some(Errno::NAMETOOLONG));
        let mut request = Request::new("root", "", 0).unwrap();
        let target = Target {
            sectors: 8,
            kind: "verity".to_owned(),
            parameters: "p".repeat(PAYLOAD_SIZE - TARGET_SIZE),
        };
        assert_eq!(request.set_target(&target), Err(Errno::NAMETOOLONG));
    }

    #[test]
    fn says_that_another_device_is_no_control_device() {
        let mapper = DeviceMapper::open(Path::new("/dev/null")).unwrap();
        let target = Target { sectors: 8, kind: "verity".to_owned(), parameters: String::new() };
        assert_eq!(mapper.activate("root", "", &target), Err(Errno::NOTTY));
    }
}
