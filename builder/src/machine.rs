//! QEMU machines: finding the programs and firmware, starting, watching, ending.
