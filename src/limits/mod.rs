//! How much is let in: requests per window and subject, attempts per address, requests at the same time. No HTTP here.

pub mod buckets;
pub mod budget;
pub mod decision;
pub mod in_flight;
pub mod rate;

pub use buckets::{BucketKey, Buckets};
pub use budget::{Budget, Share};
pub use decision::{Decision, WindowState};
pub use in_flight::{InFlight, Slot};
pub use rate::{Counters, KeptWindow, RateLimits, Subject};
