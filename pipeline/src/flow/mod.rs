//! The flow: from the inputs' queue through the filters to the outputs, in batches, with receipts going back.

pub mod budget;
mod handing;
pub mod meter;
pub mod queue;
pub mod receipt;
pub mod worker;
