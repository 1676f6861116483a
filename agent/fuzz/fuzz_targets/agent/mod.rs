//! The parsers of the agent, compiled once more for the fuzz targets: an executable has no modules that others could use. They are the agent's own files,
//! at the agent's own paths.
#![allow(dead_code, unused_imports, clippy::duplicate_mod, reason = "each target uses a part of each file")]

#[path = "../../../src/disk_queue"]
pub(crate) mod disk_queue {
    pub(crate) mod checkpoint;
    pub(crate) mod deflate;
    pub(crate) mod memory;
    pub(crate) mod page;
    pub(crate) mod storage;
}

#[path = "../../../src/input"]
pub(crate) mod input {
    pub(crate) mod docker {
        pub(crate) mod ansi;
        pub(crate) mod cursor {
            pub(crate) mod written;
            pub(crate) use written::checksum;
        }
        pub(crate) mod frames;
        pub(crate) mod lines;
        pub(crate) mod multiline;
        pub(crate) mod partial;
        pub(crate) mod patience;
        pub(crate) mod place;
        pub(crate) mod position;
        pub(crate) mod records;
        pub(crate) mod stamp;
    }
    pub(crate) mod window;
}

#[path = "../../../src/output"]
pub(crate) mod output {
    pub(crate) mod elasticsearch {
        pub(crate) mod answer;
    }
}
