//! How far a zstd frame reaches, from its headers alone (RFC 8878, 3.1.1).

/// First bytes of a frame.
pub(super) const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// No block has more than 128 KiB, compressed or not (RFC 8878, 3.1.1.2.4).
const LARGEST_BLOCK: usize = 128 << 10;

/// What there is of the frame at the beginning of `data`, and whether it is whole.
pub(super) fn span(data: &[u8]) -> (&[u8], bool) {
    let mut reader = Reader { data, position: 0 };
    let is_whole = reader.frame().is_some();
    (data.get(..reader.position).unwrap_or(data), is_whole)
}

struct Reader<'a> {
    data: &'a [u8],
    position: usize,
}

impl Reader<'_> {
    /// Passes a frame; none where it is no valid one.
    fn frame(&mut self) -> Option<()> {
        if self.take(MAGIC.len())? != MAGIC {
            return None;
        }
        // Frame_Header_Descriptor, 3.1.1.1.1.
        let descriptor = self.byte()?;
        let is_single_segment = descriptor & 0b10_0000 != 0;
        let has_checksum = descriptor & 0b100 != 0;
        if descriptor & 0b1000 != 0 {
            return None;
        }
        let window = usize::from(!is_single_segment);
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 0b11)];
        let content_size = match descriptor >> 6 {
            0 => usize::from(is_single_segment),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        self.take(window + dictionary + content_size)?;
        while !self.block()? {}
        self.take(if has_checksum { 4 } else { 0 })?;
        Some(())
    }

    /// Passes a block; whether it was the last.
    fn block(&mut self) -> Option<bool> {
        let header = self.take(3)?;
        let header = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        let is_last = header & 1 != 0;
        let size = usize::try_from(header >> 3).ok()?;
        if size > LARGEST_BLOCK {
            return None;
        }
        match (header >> 1) & 0b11 {
            0 | 2 => self.take(size)?,
            // One byte, repeated.
            1 => self.take(1)?,
            _ => return None,
        };
        Some(is_last)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let taken = self.data.get(self.position..self.position.checked_add(count)?)?;
        self.position += count;
        Some(taken)
    }
}
