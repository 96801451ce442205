//! Cancelling long work.

use tenor_domain::{Error, ErrorKind};

/// Asks the caller whether to go on. Long loops check it many times a second.
#[derive(Clone, Copy)]
pub struct Stop<'a>(&'a (dyn Fn() -> bool + Sync));

impl<'a> Stop<'a> {
    /// `wanted` answers whether the work should stop; it is called often and from many threads.
    pub fn when(wanted: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self(wanted)
    }
    /// Never stops.
    pub fn never() -> Stop<'static> {
        Stop(&|| false)
    }
    pub fn is_wanted(self) -> bool {
        (self.0)()
    }
    /// An error of kind `Cancelled` once the caller wants to stop.
    pub fn check(self) -> Result<(), Error> {
        if self.is_wanted() {
            return Err(Error::new(ErrorKind::Cancelled, "CANCELLED", "cancelled on request"));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Stop<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stop")
    }
}
