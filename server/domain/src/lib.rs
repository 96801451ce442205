#![doc = include_str!("../README.md")]

mod acceptance;
mod calibration;
mod clock;
mod digest;
mod entity;
mod error;
mod id;
mod name;
mod page;
pub mod predict;
mod study;
mod value;

pub use acceptance::{Acceptance, SearchSpace};
pub use calibration::CalibrationMethod;
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use digest::Digest;
pub use entity::*;
pub use error::{Error, ErrorKind, FieldViolation};
pub use id::*;
pub use name::*;
pub use page::{Page, PageRequest};
pub use study::*;
pub use value::{Caller, Etag, Metric, ParamValue, RequestId};
