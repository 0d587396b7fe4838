//! Named points where the crash tests make the process die.
//!
//! Without the feature `failpoints` a point is nothing. With it, a point that the variable
//! `FAILPOINTS` sets to `return` aborts the process, as a power cut would: no destructor runs.

/// Passes the point `name`.
#[cfg(feature = "failpoints")]
pub(crate) fn hit(name: &'static str) {
    // whatever the action returns, the answer is the same: die here
    let _: Option<()> = fail::eval(name, |_| std::process::abort());
}

/// Passes the point `name`.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn hit(_name: &'static str) {}
