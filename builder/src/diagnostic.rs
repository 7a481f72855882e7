//! Faults in settings files: position, source line, caret, reason.
