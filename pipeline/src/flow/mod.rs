//! The flow: from the inputs' queue through the filters to the outputs, in batches, with receipts going back.

mod blocking;
pub mod budget;
mod handing;
mod lane;
pub mod meter;
pub mod queue;
pub mod receipt;
pub(crate) mod turn;
pub mod worker;
