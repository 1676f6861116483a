//! The pure parts of the agent and its allocator, compiled once more for the benches: an executable has no modules that others could use.
//!
//! They are the agent's own files, so what is measured is what is shipped. The alternative, a library target for the agent, would make public
//! whatever a bench looks at, and every item of it would need documentation for a reader who does not exist. The paths
//! mirror the agent's; what opens a socket or a file is left out, but for the folder of the queue on disk, which no step uses.
#![allow(dead_code, unused_imports, reason = "the benches use a part of each file")]

#[path = "../../agent/src/allocator.rs"]
mod allocator;

#[path = "../../agent/src/disk_queue"]
pub(crate) mod disk_queue {
    pub(crate) mod deflate;
    pub(crate) mod memory;
    pub(crate) mod page;
    pub(crate) mod storage;
}

/// For the tests of those files, which are compiled here and not run.
#[cfg(test)]
#[path = "../../agent/src/scratch.rs"]
pub(crate) mod scratch;

#[path = "../../agent/src/input"]
pub(crate) mod input {
    pub(crate) mod docker {
        pub(crate) mod ansi;
        pub(crate) mod chunk;
        pub(crate) mod frames;
        pub(crate) mod gap;
        pub(crate) mod hints;
        pub(crate) mod intake;
        pub(crate) mod lines;
        pub(crate) mod multiline;
        pub(crate) mod object;
        pub(crate) mod partial;
        pub(crate) mod patience;
        pub(crate) mod picks;
        pub(crate) mod position;
        pub(crate) mod records;
        pub(crate) mod screen;
        pub(crate) mod stamp;
    }
    pub(crate) mod window;
}

#[path = "../../agent/src/output"]
pub(crate) mod output {
    pub(crate) mod elasticsearch {
        pub(crate) mod action;
        pub(crate) mod attached;
        pub(crate) mod bulk;
        pub(crate) mod target;
    }
}
