//! Tiny packages and ELF files for tests, made in memory; right or wrong at will.

use std::io::Write as _;

use tar::{EntryType, Header};

use super::ar::append;

/// One entry of a tar archive, its path written as it is given.
pub(crate) struct Item {
    path: Vec<u8>,
    target: String,
    kind: EntryType,
    mode: u32,
    owner: (u64, u64),
    content: Vec<u8>,
    /// Size in the header, where it lies.
    claimed: Option<u64>,
}

impl Item {
    pub(crate) fn new(path: impl AsRef<[u8]>, kind: EntryType) -> Self {
        let path = path.as_ref().to_vec();
        let target = String::new();
        Self { path, target, kind, mode: 0o644, owner: (0, 0), content: Vec::new(), claimed: None }
    }

    pub(crate) fn file(path: impl AsRef<[u8]>, content: &[u8]) -> Self {
        Self { content: content.to_vec(), ..Self::new(path, EntryType::Regular) }
    }

    pub(crate) fn directory(path: &str) -> Self {
        Self { mode: 0o755, ..Self::new(path, EntryType::Directory) }
    }

    pub(crate) fn symlink(path: &str, target: &str) -> Self {
        Self { target: target.to_owned(), mode: 0o777, ..Self::new(path, EntryType::Symlink) }
    }

    pub(crate) fn hard_link(path: &str, target: &str) -> Self {
        Self { target: target.to_owned(), ..Self::new(path, EntryType::Link) }
    }

    /// A PAX header (`x`) that sets `key` for the entry after it.
    pub(crate) fn pax(key: &str, value: &str) -> Self {
        let body = format!(" {key}={value}\n");
        let mut length = body.len();
        while length != body.len() + length.to_string().len() {
            length = body.len() + length.to_string().len();
        }
        let content = format!("{length}{body}").into_bytes();
        Self { content, ..Self::new("./pax", EntryType::XHeader) }
    }

    /// A GNU long name (`L`) for the entry after it.
    pub(crate) fn long_name(path: &str) -> Self {
        Self {
            content: format!("{path}\0").into_bytes(),
            ..Self::new("././@LongLink", EntryType::GNULongName)
        }
    }

    pub(crate) fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    pub(crate) fn owned(self, uid: u64, gid: u64) -> Self {
        Self { owner: (uid, gid), ..self }
    }

    pub(crate) fn claiming(self, size: u64) -> Self {
        Self { claimed: Some(size), ..self }
    }
}

/// A tar archive, without its end mark.
pub(crate) fn open_tar(items: &[Item]) -> Vec<u8> {
    let mut archive = Vec::new();
    for item in items {
        let mut header = Header::new_gnu();
        let put = |field: &mut [u8], value: &[u8]| field[..value.len()].copy_from_slice(value);
        put(&mut header.as_old_mut().name, &item.path);
        put(&mut header.as_old_mut().linkname, item.target.as_bytes());
        header.set_entry_type(item.kind);
        header.set_mode(item.mode);
        header.set_uid(item.owner.0);
        header.set_gid(item.owner.1);
        header.set_mtime(1);
        header.set_size(item.claimed.unwrap_or(item.content.len().try_into().unwrap()));
        header.set_cksum();
        archive.extend_from_slice(header.as_bytes());
        archive.extend_from_slice(&item.content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive
}

/// A tar archive.
pub(crate) fn tar(items: &[Item]) -> Vec<u8> {
    let mut archive = open_tar(items);
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// Compresses as the suffix of a member's name says.
pub(crate) fn compress(suffix: &str, content: &[u8]) -> Vec<u8> {
    match suffix {
        "" => content.to_vec(),
        ".gz" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        ".xz" => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        ".zst" => {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        other => panic!("no compression is called `{other}`"),
    }
}

/// An ar archive of these members.
pub(crate) fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in members {
        append(&mut archive, name, content);
    }
    archive
}

/// The stanza of package `name`, version 1.0, for all architectures.
pub(crate) fn stanza(name: &str) -> String {
    format!("Package: {name}\nVersion: 1.0\nArchitecture: all\nDescription: sample\n of a package\n")
}

/// A package with this data, and control files beside its stanza.
pub(crate) fn deb_with(name: &str, control: &[(&str, &str)], data: &[Item]) -> Vec<u8> {
    let mut files = vec![Item::directory("./"), Item::file("./control", stanza(name).as_bytes())];
    files.extend(control.iter().map(|(file, text)| Item::file(format!("./{file}"), text.as_bytes())));
    ar(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", &compress(".xz", &tar(&files))),
        ("data.tar.xz", &compress(".xz", &tar(data))),
    ])
}

/// A package with this data.
pub(crate) fn deb(name: &str, data: &[Item]) -> Vec<u8> {
    deb_with(name, &[], data)
}

/// What a sample ELF file asks for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Elf<'a> {
    pub(crate) interpreter: Option<&'a str>,
    pub(crate) needed: &'a [&'a str],
    pub(crate) soname: Option<&'a str>,
    pub(crate) runpath: Option<&'a str>,
    pub(crate) rpath: Option<&'a str>,
    /// `e_machine`, x86-64 by default.
    pub(crate) machine: Option<u16>,
}

impl Elf<'_> {
    /// The least that a dynamic linker and `ldconfig` take for a 64-bit shared library.
    pub(crate) fn build(&self) -> Vec<u8> {
        const HEADER: u64 = 64;
        const SEGMENT: u64 = 56;
        let mut strings = vec![0_u8];
        let mut intern = |text: &str| {
            let offset = u64::try_from(strings.len()).unwrap();
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            offset
        };
        let interpreter = self.interpreter.map(|text| (intern(text), u64::try_from(text.len() + 1).unwrap()));
        let mut dynamic: Vec<(u64, u64)> = self.needed.iter().map(|name| (1, intern(name))).collect();
        for (tag, text) in [(14, self.soname), (29, self.runpath), (15, self.rpath)] {
            dynamic.extend(text.map(|text| (tag, intern(text))));
        }
        let segments = 2 + u64::from(interpreter.is_some());
        let dynamic_offset = HEADER + segments * SEGMENT;
        let dynamic_size = u64::try_from((dynamic.len() + 3) * 16).unwrap();
        let strings_offset = dynamic_offset + dynamic_size;
        let strings_size = u64::try_from(strings.len()).unwrap();
        dynamic.extend([(5, strings_offset), (10, strings_size), (0, 0)]);

        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        file.extend(3_u16.to_le_bytes());
        file.extend(self.machine.unwrap_or(62).to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        for word in [0, HEADER, 0_u64] {
            file.extend(word.to_le_bytes());
        }
        file.extend(0_u32.to_le_bytes());
        for half in [64_u16, 56, u16::try_from(segments).unwrap(), 64, 0, 0] {
            file.extend(half.to_le_bytes());
        }
        let mut segment = |kind: u32, offset: u64, size: u64| {
            file.extend(kind.to_le_bytes());
            file.extend(4_u32.to_le_bytes());
            for word in [offset, offset, offset, size, size, 8] {
                file.extend(word.to_le_bytes());
            }
        };
        segment(1, 0, strings_offset + strings_size);
        segment(2, dynamic_offset, dynamic_size);
        if let Some((offset, size)) = interpreter {
            segment(3, strings_offset + offset, size);
        }
        for (tag, value) in dynamic {
            file.extend(tag.to_le_bytes());
            file.extend(value.to_le_bytes());
        }
        file.extend(strings);
        file
    }
}
