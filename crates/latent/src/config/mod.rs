//! Tables of TOML, their keys, and what can be wrong with them. Knows no member and no run.
//!
//! ```text
//! table     laid over each other, read into settings, written back
//! error     what is wrong with a key, the nearest name, what to do
//! setting   the keys that a settings struct has, with type, default and meaning
//! ```

mod error;
mod setting;
mod table;

pub(crate) use error::likeness;
pub use error::{ConfigError, nearest};
pub(crate) use setting::AXIS;
pub use setting::{Choice, NAME, Setting, settings_of};
pub(crate) use table::{MISSING, check_sizes, merge, take_table};
pub use table::{parse_table, table_of};
