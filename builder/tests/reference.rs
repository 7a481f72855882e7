//! The reference pages are what the code says.

#[cfg(test)]
mod reference {
    mod command_line;
    mod pages;
    mod schema;
    mod source;
}
