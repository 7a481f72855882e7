//! The command line: one file per subcommand, arguments first, then the function.
