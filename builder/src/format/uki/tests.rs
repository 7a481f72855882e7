use super::*;

const SIGNATURE: usize = 64;
const OPTIONAL: usize = SIGNATURE + 24;
const TABLE: usize = OPTIONAL + 240;

/// A PE32+ file with one section `.text` of 512 bytes and headers of 1024 bytes.
pub(crate) fn pe() -> Vec<u8> {
    let mut file = vec![0; 1024 + 512];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &u32::try_from(SIGNATURE).unwrap().to_le_bytes());
    put(SIGNATURE, b"PE\0\0");
    put(SIGNATURE + 4, &0x8664_u16.to_le_bytes());
    put(SIGNATURE + 6, &1_u16.to_le_bytes());
    put(SIGNATURE + 20, &240_u16.to_le_bytes());
    put(OPTIONAL, &0x020b_u16.to_le_bytes());
    for (at, value) in
        [(8, 7_u32), (32, 4096), (36, 512), (56, 8192), (60, 1024), (64, 0xdead_beef), (108, 16)]
    {
        put(OPTIONAL + at, &value.to_le_bytes());
    }
    put(OPTIONAL + 70, &NX_COMPATIBLE.to_le_bytes());
    put(TABLE, b".text");
    for (at, value) in [(8, 500_u32), (12, 4096), (16, 512), (20, 1024), (36, 0x6000_0020)] {
        put(TABLE + at, &value.to_le_bytes());
    }
    file
}

fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = pe();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

fn number(file: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(file[at..at + 4].try_into().unwrap())
}

#[test]
fn appends_sections_in_order_and_updates_the_headers() {
    let kernel = changed(OPTIONAL + 70, &[0, 0]);
    let initrd = vec![7; 5000];
    let stub = pe();
    let uki = Uki {
        stub: &stub,
        kernel: Some(&kernel),
        initrd: Some(&initrd),
        command_line: Some("quiet"),
        ..Uki::default()
    };
    let image = assemble(&uki).unwrap();
    let listed = sections(&image).unwrap();
    let shown: Vec<_> = listed
        .iter()
        .map(|section| (section.name.as_str(), section.address, section.size, section.offset))
        .collect();
    assert_eq!(
        shown,
        [
            (".text", 4096, 500, 1024),
            (".cmdline", 8192, 5, 1536),
            (".linux", 12288, 1536, 2048),
            (".initrd", 16384, 5000, 3584),
        ]
    );
    assert_eq!(listed[1].content(&image), Some(&b"quiet"[..]));
    assert_eq!(listed[3].content(&image), Some(&initrd[..]));
    assert_eq!(image.len(), 3584 + 5120);
    assert_eq!(number(&image, OPTIONAL + 8), 7 + 5 + 1536 + 5000, "SizeOfInitializedData");
    assert_eq!(number(&image, OPTIONAL + 56), 24576, "SizeOfImage");
    assert_eq!(number(&image, OPTIONAL + 64), 0, "CheckSum");
    assert_eq!(image[OPTIONAL + 70..OPTIONAL + 72], [0, 0], "the kernel is not NX compatible");
}

#[test]
fn refuses_each_unfit_stub_or_kernel_with_its_own_error() {
    let assemble = |stub: &[u8], kernel: Option<&[u8]>, text: Option<&str>| {
        let uki = Uki { stub, kernel, command_line: text, ..Uki::default() };
        assemble(&uki).unwrap_err().to_string()
    };
    let named = |name: &[u8]| changed(TABLE, name);
    for (stub, expected) in [
        (pe()[..50].to_vec(), "the stub is a corrupt PE file"),
        (pe()[..1200].to_vec(), "the stub is a corrupt PE file"),
        (b"MZ no PE file at all".repeat(20), "the stub is a corrupt PE file"),
        (
            changed(OPTIONAL, &0x010b_u16.to_le_bytes()),
            "the stub is a PE file with 32-bit headers, which is not supported",
        ),
        (
            changed(OPTIONAL + 36, &[3]),
            "the stub is a PE file with an alignment that is no power of two, which is not supported",
        ),
        (
            changed(OPTIONAL + 112 + 4 * 8, &[1]),
            "the stub is a PE file with a signature, which is not supported",
        ),
        (changed(SIGNATURE + 12, &[1]), "the stub is a PE file with a symbol table, which is not supported"),
        (named(b".cmdline"), "the stub already has a section `.cmdline`"),
        (changed(OPTIONAL + 60, &[0x90, 1]), "section headers need 408 B, the stub has room for 400 B"),
    ] {
        assert_eq!(assemble(&stub, None, Some("quiet")), expected);
    }
    assert_eq!(assemble(&pe(), None, Some("")), "section `.cmdline` is empty");
    assert_eq!(assemble(&pe(), Some(b"bzImage"), None), "the kernel is a corrupt PE file");
    let arm = changed(SIGNATURE + 4, &0xaa64_u16.to_le_bytes());
    assert_eq!(assemble(&pe(), Some(&arm), None), "the kernel is for PE machine 0xaa64, the stub for 0x8664");
    assert_eq!(sections(b"").unwrap_err().to_string(), "the image is a corrupt PE file");
}

#[test]
fn refuses_addresses_beyond_32_bits() {
    let stub = changed(TABLE + 12, &0xffff_e000_u32.to_le_bytes());
    let uki = Uki { stub: &stub, command_line: Some("quiet"), ..Uki::default() };
    assert_eq!(assemble(&uki).unwrap_err(), UkiError::TooLarge { name: ".cmdline" });
}

/// Found by fuzzing: the new sections' headers went beyond the end of the file.
#[test]
fn refuses_headers_and_padding_that_a_damaged_stub_claims() {
    let assemble_with = |stub: &[u8]| {
        let command_line = Some("quiet");
        let uki = Uki { stub, command_line, ..Uki::default() };
        assemble(&uki).unwrap_err().to_string()
    };
    let mut short = changed(OPTIONAL + 60, &0x0200_0000_u32.to_le_bytes());
    // No section has contents, so nothing else bounds the headers.
    short[TABLE + 16..TABLE + 24].fill(0);
    short.truncate(TABLE + 40);
    assert_eq!(assemble_with(&short), "section headers need 408 B, the stub has room for 368 B");
    let coarse = changed(OPTIONAL + 36, &(1_u32 << 30).to_le_bytes());
    assert_eq!(
        assemble_with(&coarse),
        "the stub is a PE file with a file alignment above 64 KiB, which is not supported"
    );
}
