//! The root file system as a tree: unpacking packages, declared setup, exclusions.
