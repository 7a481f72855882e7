//! Random bytes of the kernel.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// `N` random bytes; waits for them where the machine has just been switched on.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty())?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_filled_anew() {
        let (one, other) = (random::<512>().unwrap(), random::<512>().unwrap());
        assert_ne!(one, other);
        // Longer than what the kernel gives at once to be sure; 64 zeroes in a row do not happen.
        assert!(one.chunks(64).all(|chunk| chunk.iter().any(|byte| *byte != 0)));
    }
}
