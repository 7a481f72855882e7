//! Runs the real program in temporary folders and compares all that it says.

#[cfg(test)]
mod cli {
    mod buckets;
    mod check;
    mod cloud;
    mod cluster_secrets;
    mod deployment;
    mod every_key;
    mod faults;
    mod identity;
    mod init;
    mod no_file;
    mod operator;
    mod plan;
    mod profiles;
    mod program;
    mod record;
    mod ticket;
    mod usage;
    mod usb;
}
