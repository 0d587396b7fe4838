//! Named points where the crash tests make the process die, and a disk that is full when they say.
//!
//! Without the feature `failpoints` both are nothing. With it, a point that the variable
//! `FAILPOINTS` sets to `return` aborts the process, as a power cut would: no destructor runs.
//! While the file that the variable `FAILPOINT_DISK_FULL` names is there, the disk has no room.

use std::io;

/// Passes the point `name`.
#[cfg(feature = "failpoints")]
pub(crate) fn hit(name: &'static str) {
    // whatever the action returns, the answer is the same: die here
    let _: Option<()> = fail::eval(name, |_| std::process::abort());
}

/// Passes the point `name`.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn hit(_name: &'static str) {}

/// Asks for room on the disk, by a call that `grows` it.
#[cfg(feature = "failpoints")]
pub(crate) fn room(grows: impl FnOnce() -> io::Result<bool>) -> io::Result<()> {
    static FULL: std::sync::OnceLock<Option<std::path::PathBuf>> = std::sync::OnceLock::new();
    let full = FULL.get_or_init(|| std::env::var_os("FAILPOINT_DISK_FULL").map(Into::into));
    if full.as_ref().is_some_and(|file| file.exists()) && grows()? {
        return Err(io::ErrorKind::StorageFull.into());
    }
    Ok(())
}

/// Asks for room on the disk, by a call that `grows` it.
#[cfg(not(feature = "failpoints"))]
#[expect(clippy::unnecessary_wraps, reason = "as with the feature")]
pub(crate) fn room(_grows: impl FnOnce() -> io::Result<bool>) -> io::Result<()> {
    Ok(())
}
