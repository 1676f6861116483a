//! `elkhound healthcheck`: asks the elkhound that runs on this host, for Docker's HEALTHCHECK in an image that holds nothing else.
//!
//! It reads the same settings as elkhound itself to know where to ask. By default it asks whether elkhound lives: that Elasticsearch is away must not make
//! an orchestrator end it, for a restart heals nothing there. `--ready` asks whether it is ready, too.

use std::io::{Write, stdout};

use anyhow::Result;
use hyper::StatusCode;

use crate::asking;
use crate::cli::HealthArgs;
use crate::settings::Given;

/// Asks, and says in one sentence what came of it; false when elkhound is not well.
///
/// # Errors
/// Standard output that can't be written to.
pub(crate) fn run(args: HealthArgs) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let path = if args.ready { "/ready" } else { "/live" };
    let api = Given::collect(args.run).api();
    let asked = runtime.block_on(asking::ask(args.url.as_deref(), path, &api, |said| said.starts_with("elkhound ")));
    let (well, said) = match asked {
        Ok((status, said)) => (status == StatusCode::OK, said),
        Err(error) => (false, format!("elkhound does not answer: {error:#}")),
    };
    writeln!(stdout(), "{said}")?;
    Ok(well)
}
