//! `imgbuild flash`: any disk image to a stick or card, as safely as `usb` does it.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use firstboot::gpt::{Disk as _, SectorSize};

use super::interrupt;
use super::writing::{self, Job, Place};
use super::{Context, Note as _};
use crate::flash::{self, Composed, Device, Limits, UnpackError};
use crate::medium::staging::disk;
use crate::regular_file;
use crate::units::{Bytes, Size};

/// Arguments of `flash`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Disk image, as it is or compressed by gzip, xz or zstd
    file: PathBuf,
    /// Disk to write, `/dev/sdb`; without it, the only stick there is
    #[arg(short, long, value_name = "DEVICE")]
    device: Option<PathBuf>,
    /// The largest disk that is taken for a stick
    #[arg(long, value_name = "SIZE", default_value = "256 GiB")]
    largest: Size,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let path = arguments.file.as_path();
    let reading = || format!("reading `{}`", path.display());
    let file = regular_file::open(path).with_context(reading).map_err(super::Note::input)?;
    if file.metadata().with_context(reading)?.len() == 0 {
        return Err(anyhow::anyhow!("`{}` is empty", path.display()).input());
    }
    flash::form(&file, path).map_err(of_unpack)?;
    let most = arguments.largest.0;
    // What cannot be written to anyway is not unpacked first.
    choose(Limits { least: Bytes(0), most, sector_size: None }, arguments)?;
    let disk = unpack(file, arguments, context)?;
    let length = Bytes(disk.metadata().with_context(reading)?.len());
    let sector_size = sector_size(&disk).with_context(reading)?;
    if sector_size.is_none() {
        context
            .printer
            .warn(&format!("{} has no partition table: most computers do not start it", path.display()));
    }
    let device = choose(Limits { least: length, most, sector_size }, arguments)?;
    writing::ask(&format!("`{}`", path.display()), &device, context)?;
    let size = SectorSize::new(device.sector_size).context("the disk has sectors of an odd size")?;
    let compose = |room: Bytes| Ok(Composed::unknown(disk.try_clone().with_context(reading)?, size, room)?);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let job = Job { name: name.clone(), place: Place::Device(device), compose: Box::new(compose) };
    // Until here Ctrl-C ends the program: what was unpacked has no name, and goes with it.
    let written = writing::write_all(&[job], &interrupt::flag()?, context)?;
    if context.printer.is_json() {
        return Ok(context.printer.json(&written)?);
    }
    let lines: String = written.iter().map(|written| written.line(&name)).collect();
    Ok(context.printer.data(&lines)?)
}

fn choose(limits: Limits, arguments: &Arguments) -> anyhow::Result<Device> {
    let named: Vec<PathBuf> = arguments.device.iter().cloned().collect();
    writing::choose(&[limits], &named)?.pop().context("no disk was chosen")
}

fn unpack(file: File, arguments: &Arguments, context: &Context) -> anyhow::Result<File> {
    let path = arguments.file.as_path();
    let length = file.metadata().with_context(|| format!("reading `{}`", path.display()))?.len();
    // Where there is room for what is large, and not in memory.
    let folder = context.cache()?.derived();
    fs::create_dir_all(&folder).with_context(|| format!("making `{}`", folder.display()))?;
    let task = context.printer.transfer(&format!("unpacking {}", path.display()), length);
    let read = Cell::new(false);
    let told = |count| {
        task.advance(count);
        read.set(true);
    };
    let unpacked = flash::unpack(file, path, &folder, arguments.largest.0, &told).map_err(of_unpack)?;
    if read.get() {
        task.finish("unpacked");
    }
    Ok(unpacked)
}

/// What sectors the image was made for; `None` where it has no table that tells.
fn sector_size(image: &File) -> io::Result<Option<u64>> {
    if let Ok((table, _)) = disk::read_table(image)? {
        return Ok(Some(table.sector_size().bytes()));
    }
    // The older table is one of 512 bytes, at the end of the first sector's.
    let mut signature = [0; 2];
    let is_there = image.read_exact_at(&mut signature, 510).is_ok() && signature == [0x55, 0xaa];
    Ok(is_there.then_some(512))
}

fn of_unpack(fault: UnpackError) -> anyhow::Error {
    let hint = match &fault {
        UnpackError::Form { form: form @ ("qcow2" | "vmdk" | "vhdx" | "vhd"), .. } => {
            Some(format!("`qemu-img convert -O raw` makes a disk image of a {form}"))
        }
        UnpackError::Form { .. } => Some("unpack it first".to_owned()),
        UnpackError::Large { .. } => Some("`--largest` allows for larger ones".to_owned()),
        UnpackError::Read { .. } | UnpackError::Write { .. } => None,
    };
    let is_input = !matches!(fault, UnpackError::Write { .. });
    let fault = anyhow::Error::from(fault).maybe_hint(hint);
    if is_input { fault.input() } else { fault }
}

#[cfg(test)]
mod tests {
    use firstboot::gpt::{self, BlockDisk};

    use super::*;

    #[test]
    fn an_image_tells_its_sectors_by_its_table() {
        let table = |bytes: u64| {
            let file = tempfile::tempfile().unwrap();
            file.set_len(16 << 20).unwrap();
            let size = SectorSize::new(bytes).unwrap();
            let mut disk = BlockDisk::over(file.try_clone().unwrap(), size).unwrap();
            let id = gpt::Guid::from_random([7; 16]);
            let table = gpt::Table::new(id, size, (16 << 20) / bytes).unwrap();
            gpt::write(&mut disk, &table).unwrap();
            file
        };
        let older = tempfile::tempfile().unwrap();
        older.write_all_at(&[0x55, 0xaa], 510).unwrap();
        let none = tempfile::tempfile().unwrap();
        none.set_len(1 << 20).unwrap();
        for (what, disk, expected) in [
            ("GPT of 512", table(512), Some(512)),
            ("GPT of 4096", table(4096), Some(4096)),
            ("MBR", older, Some(512)),
            ("none", none, None),
            ("empty", tempfile::tempfile().unwrap(), None),
        ] {
            assert_eq!(sector_size(&disk).unwrap(), expected, "{what}");
        }
    }
}
