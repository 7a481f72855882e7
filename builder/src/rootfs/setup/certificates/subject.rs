//! OpenSSL's hash of a certificate's subject, by which it names files in a CA folder.
//!
//! The subject name is brought into canonical form (`crypto/x509/x_name.c`, `x509_name_canon`): every
//! textual value becomes an `UTF8String` in lower case with single spaces; the relative names are
//! strung together without the outer SEQUENCE. The hash is the first four bytes of its SHA-1, little
//! endian.

use sha1::{Digest as _, Sha1};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const UTF8_STRING: u8 = 0x0c;
const VERSION: u8 = 0xa0;

/// Hashes the subject of the certificate `der`; the error is the offset of what is not X.509.
pub(super) fn hash(der: &[u8]) -> Result<u32, usize> {
    let subject = subject(der)?;
    let mut canonical = Vec::new();
    let mut names = Reader { data: subject.content, base: subject.offset };
    while !names.data.is_empty() {
        relative_name(&names.next(SET)?, &mut canonical)?;
    }
    let digest = Sha1::digest(&canonical);
    let mut first = [0_u8; 4];
    first.copy_from_slice(&digest[..4]);
    Ok(u32::from_le_bytes(first))
}

/// Walks `Certificate.tbsCertificate` (RFC 5280, 4.1) to its subject.
fn subject(der: &[u8]) -> Result<Element<'_>, usize> {
    let certificate = Reader { data: der, base: 0 }.next(SEQUENCE)?;
    let body = certificate.reader().next(SEQUENCE)?;
    let mut fields = body.reader();
    if fields.data.first() == Some(&VERSION) {
        fields.next(VERSION)?;
    }
    fields.next(INTEGER)?;
    // Signature algorithm, issuer and validity lie before the subject.
    for _ in 0..3 {
        fields.next(SEQUENCE)?;
    }
    fields.next(SEQUENCE)
}

/// Appends one `RelativeDistinguishedName`: a SET of attributes, sorted by their encoding.
fn relative_name(set: &Element<'_>, canonical: &mut Vec<u8>) -> Result<(), usize> {
    let mut attributes = Vec::new();
    let mut reader = set.reader();
    while !reader.data.is_empty() {
        let attribute = reader.next(SEQUENCE)?;
        let mut parts = attribute.reader();
        let kind = parts.any()?;
        let value = parts.any()?;
        let mut encoded = Vec::new();
        encode(kind.tag, kind.content, &mut encoded);
        match to_text(&value) {
            Some(text) => encode(UTF8_STRING, canonical_text(&text).as_bytes(), &mut encoded),
            None => encode(value.tag, value.content, &mut encoded),
        }
        let mut sequence = Vec::new();
        encode(SEQUENCE, &encoded, &mut sequence);
        attributes.push(sequence);
    }
    attributes.sort();
    encode(SET, &attributes.concat(), canonical);
    Ok(())
}

/// The value as text where OpenSSL takes it for text (`ASN1_MASK_CANON`).
fn to_text(value: &Element<'_>) -> Option<String> {
    const PRINTABLE: u8 = 0x13;
    const T61: u8 = 0x14;
    const IA5: u8 = 0x16;
    const VISIBLE: u8 = 0x1a;
    const UNIVERSAL: u8 = 0x1c;
    const BMP: u8 = 0x1e;
    match value.tag {
        UTF8_STRING => String::from_utf8(value.content.to_vec()).ok(),
        // T61 is read as Latin-1, like the ASCII kinds.
        PRINTABLE | T61 | IA5 | VISIBLE => Some(value.content.iter().copied().map(char::from).collect()),
        BMP => {
            let units =
                value.content.chunks_exact(2).map(|pair| u16::from(pair[0]) << 8 | u16::from(pair[1]));
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        UNIVERSAL => {
            let quads = value.content.chunks_exact(4);
            quads
                .map(|quad| char::from_u32(u32::from_be_bytes([quad[0], quad[1], quad[2], quad[3]])))
                .collect()
        }
        _ => None,
    }
}

/// Lower case (ASCII only), no space at the ends, single spaces inside.
fn canonical_text(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|letter: char| letter.is_ascii_whitespace() || letter == '\x0b').collect();
    let words: Vec<String> =
        words.iter().filter(|word| !word.is_empty()).map(|word| word.to_ascii_lowercase()).collect();
    words.join(" ")
}

fn encode(tag: u8, content: &[u8], output: &mut Vec<u8>) {
    output.push(tag);
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => output.push(short),
        _ => {
            let bytes = content.len().to_be_bytes();
            let significant: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
            output.push(0x80 | u8::try_from(significant.len()).unwrap_or(8));
            output.extend(significant);
        }
    }
    output.extend_from_slice(content);
}

/// One DER element.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    /// Offset of the content in the certificate.
    offset: usize,
}

impl<'a> Element<'a> {
    fn reader(&self) -> Reader<'a> {
        Reader { data: self.content, base: self.offset }
    }
}

/// Reads DER elements one after another.
struct Reader<'a> {
    data: &'a [u8],
    base: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self, tag: u8) -> Result<Element<'a>, usize> {
        let at = self.base;
        let element = self.any()?;
        if element.tag == tag { Ok(element) } else { Err(at) }
    }

    fn any(&mut self) -> Result<Element<'a>, usize> {
        let at = self.base;
        let (&tag, rest) = self.data.split_first().ok_or(at)?;
        let (&first, mut rest) = rest.split_first().ok_or(at)?;
        let mut length = usize::from(first);
        let mut header = 2;
        if first >= 0x80 {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 || rest.len() < count {
                return Err(at);
            }
            let (bytes, tail) = rest.split_at(count);
            length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            rest = tail;
            header += count;
        }
        if rest.len() < length {
            return Err(at);
        }
        let (content, tail) = rest.split_at(length);
        self.data = tail;
        self.base = at + header + length;
        Ok(Element { tag, content, offset: at + header })
    }
}
