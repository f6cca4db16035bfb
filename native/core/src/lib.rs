//! What Moonlet reads from bytes, a second time: its Python is the specification.
//!
//! Nothing here guesses. What is not exactly as the server and Moonlet write it (another spacing, a
//! number too large, a text that is not UTF-8) is left alone, and Python reads it and says what is
//! wrong. So both give equal values, and every error is Python's.

pub mod facts;
pub mod frames;
