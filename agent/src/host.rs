//! The name of this host.

use std::fs;

/// The name under which events are marked: the one `given` as `node.name` (Swarm fills `NODE_NAME` in from `{{.Node.Hostname}}`), the file
/// `/etc/host_hostname` as Logspout's users mount it, else the kernel's host name, which in a container is the container's.
pub(crate) fn name(given: Option<&str>) -> String {
    let from_file = |path| fs::read_to_string(path).ok();
    let named = given
        .map(str::to_owned)
        .or_else(|| from_file("/etc/host_hostname"))
        .or_else(|| from_file("/proc/sys/kernel/hostname"));
    named.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".into())
}
