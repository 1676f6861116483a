//! What is known about a container beside its lines, as fields of the Elastic Common Schema.
//!
//! | field | from |
//! |---|---|
//! | `container.id`, `.name`, `.image.name`, `.image.tag`, `.runtime` | the engine's description |
//! | `container.labels` | the labels, `.` replaced by `_`: `a` and `a.b` could not both be fields otherwise |
//! | `service.name`, `service.id` | Swarm's or Compose's labels |
//! | `orchestrator.type`, `.namespace` | `swarm` and the stack, or `compose` and the project |
//! | `orchestrator.resource.type`, `.name`, `.id` | the Swarm task |
//! | `service.node.name` | the service and its slot, as `shop_web.1`; for a global service the slot is the node's id |
//! | `host.name`, `orchestrator.cluster.id` | the engine's description of its host |
//!
//! Swarm puts a service's own labels (`deploy.labels`) on no container; only those under `labels` are here.
//!
//! What it promises: plain data in, plain data out. The container that the agent itself runs in is recognised by
//! the mounts and control groups that the kernel shows, never by a name.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, SystemInfo};
use elkhound_pipeline::map::Map;
use elkhound_pipeline::text::Text;
use elkhound_pipeline::value::Value;

use super::hints::Hints;
use super::position::Stream;
use crate::files::glob;

/// A container, as far as its lines are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Container {
    /// The full id, 64 hexadecimal digits.
    pub(crate) id: String,
    /// The name, without the slash before it.
    pub(crate) name: String,
    /// The name that it has for itself.
    pub(crate) hostname: String,
    /// The image, as it was asked for.
    pub(crate) image: String,
    /// The labels as they are written.
    pub(crate) labels: BTreeMap<String, String>,
    /// The environment variables, `NAME=value`.
    pub(crate) environment: Vec<String>,
    /// It has a terminal, so that its log has no frames.
    pub(crate) tty: bool,
    /// The log driver.
    pub(crate) driver: String,
    /// The log driver's options.
    pub(crate) log_options: BTreeMap<String, String>,
    /// It runs, or is paused.
    pub(crate) running: bool,
    /// It is being removed.
    pub(crate) leaving: bool,
}

impl Container {
    /// Takes from the engine's answer what is needed; `None` when it has no id.
    pub(crate) fn new(inspect: ContainerInspectResponse) -> Option<Self> {
        let config = inspect.config.unwrap_or_default();
        let log = inspect.host_config.and_then(|host| host.log_config).unwrap_or_default();
        let name = inspect.name.unwrap_or_default();
        let state = inspect.state.unwrap_or_default();
        let leaving = [ContainerStateStatusEnum::REMOVING, ContainerStateStatusEnum::DEAD];
        Some(Self {
            id: inspect.id?,
            name: name.strip_prefix('/').unwrap_or(&name).to_owned(),
            hostname: config.hostname.unwrap_or_default(),
            image: config.image.unwrap_or_default(),
            labels: sorted(config.labels),
            environment: config.env.unwrap_or_default(),
            tty: config.tty.unwrap_or(false),
            driver: log.typ.unwrap_or_default(),
            log_options: sorted(log.config),
            running: state.running.unwrap_or(false),
            leaving: state.status.is_some_and(|status| leaving.contains(&status)),
        })
    }

    /// The value of an environment variable.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
    }

    /// At how many bytes the engine rotates a file of the log; `None` when it never does.
    pub(crate) fn log_file_size(&self) -> Option<u64> {
        let option = self.log_options.get("max-size").map(String::as_str);
        match self.driver.as_str() {
            "json-file" => option.filter(|size| *size != "-1").map(bytes),
            "journald" => None,
            // `local`, and the engine's own copy beside all other drivers.
            _ => Some(option.map_or(20 << 20, bytes)),
        }
    }

    /// How many files the engine keeps of a json-file log that it rotates.
    pub(crate) fn log_files(&self) -> Option<usize> {
        let rotates = self.driver == "json-file" && self.log_file_size().is_some();
        rotates.then(|| self.log_options.get("max-file").and_then(|files| files.trim().parse().ok()).unwrap_or(1))
    }

    /// Whether the engine compresses the files of the log that it has rotated.
    pub(crate) fn compresses(&self) -> bool {
        let option = |name: &str| self.log_options.get(name).map(String::as_str);
        match self.driver.as_str() {
            "json-file" => option("compress").is_some_and(is_true),
            "journald" => false,
            "local" => option("compress").is_none_or(is_true),
            // The engine's own copy beside all other drivers.
            _ => option("cache-compress").is_none_or(is_true),
        }
    }

    /// What the container asks for, if that is heeded; an event has at most `max_bytes`. What can't be heeded is said.
    pub(crate) fn hints(&self, are_heeded: bool, max_bytes: usize) -> Hints {
        if !are_heeded {
            return Hints::default();
        }
        Hints::of(&self.name, &self.labels, self.variable("LOGSPOUT_MULTILINE"), max_bytes)
    }

    /// What about its log's settings loses lines before anybody can read them, with what to write instead.
    pub(crate) fn risk(&self) -> Option<&'static str> {
        let option = |name: &str| self.log_options.get(name).map(String::as_str);
        if option("mode") == Some("non-blocking") {
            return Some("mode=non-blocking drops lines when the engine is slow; drop that option");
        }
        let single = self.log_files().is_some_and(|files| files < 2);
        single.then_some("with one log file each rotation takes lines that were not read yet; set max-file=3")
    }

    /// The fields that all lines of `stream` share, with those labels that `labels` names.
    pub(crate) fn fields(&self, host: &Host, stream: Stream, labels: &Labels) -> Map {
        let mut fields = Map::new();
        fields.push("@version".into(), "1".into());
        fields.push("container".into(), self.container(labels).into());
        fields.push("host".into(), map([("name", host.name.as_str())]));
        fields.push("stream".into(), stream.name().into());
        if let Some(service) = self.service() {
            fields.push("service".into(), service);
        }
        if let Some(orchestrator) = self.orchestrator(host) {
            fields.push("orchestrator".into(), orchestrator.into());
        }
        fields
    }

    fn container(&self, labels: &Labels) -> Map {
        let (image, tag) = split_image(&self.image);
        let mut container = Map::new();
        container.push("id".into(), self.id.as_str().into());
        container.push("image".into(), map([("name", image), ("tag", tag)]));
        let labels = self.plain_labels(labels);
        if !labels.is_empty() {
            container.push("labels".into(), labels.into());
        }
        container.push("name".into(), self.name.as_str().into());
        container.push("runtime".into(), "docker".into());
        container
    }

    /// Those labels that `wanted` names, with names that Elasticsearch takes for names.
    pub(crate) fn plain_labels(&self, wanted: &Labels) -> Map {
        let plain = |(name, value): (&String, &String)| (Text::from(name.replace('.', "_")), value.as_str().into());
        self.labels.iter().filter(|(name, _)| wanted.takes(name)).map(plain).collect()
    }

    /// The name of its service, of Swarm or of Compose; empty without one.
    pub(crate) fn service_name(&self) -> &str {
        let swarm = self.label("com.docker.swarm.service.name");
        swarm.or_else(|| self.label("com.docker.compose.service")).unwrap_or_default()
    }

    fn service(&self) -> Option<Value> {
        let name = Some(self.service_name()).filter(|name| !name.is_empty())?;
        let mut service = Map::with_capacity(3);
        push_text(&mut service, "id", self.label("com.docker.swarm.service.id").unwrap_or_default());
        push_text(&mut service, "name", name);
        if let Some(node) = self.slot() {
            service.push("node".into(), map([("name", node)]));
        }
        Some(service.into())
    }

    /// The task's name without the task's own id, which is new with each restart.
    fn slot(&self) -> Option<&str> {
        let (slot, _) = self.label("com.docker.swarm.task.name")?.rsplit_once('.')?;
        Some(slot)
    }

    fn orchestrator(&self, host: &Host) -> Option<Map> {
        let mut orchestrator = Map::new();
        if let Some(task) = self.label("com.docker.swarm.task.id") {
            let name = self.label("com.docker.swarm.task.name").unwrap_or_default();
            let stack = self.label("com.docker.stack.namespace").unwrap_or_default();
            if !host.cluster.is_empty() {
                orchestrator.push("cluster".into(), map([("id", host.cluster.as_str())]));
            }
            push_text(&mut orchestrator, "namespace", stack);
            orchestrator.push("resource".into(), map([("id", task), ("name", name), ("type", "task")]));
            orchestrator.push("type".into(), "swarm".into());
            return Some(orchestrator);
        }
        push_text(&mut orchestrator, "namespace", self.label("com.docker.compose.project")?);
        orchestrator.push("type".into(), "compose".into());
        Some(orchestrator)
    }

    fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// How the engine reads booleans among the options of log drivers.
fn is_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

/// The labels that events carry; all of them without a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels(Option<Vec<String>>);

impl Labels {
    /// Those whose names match one of these globs.
    pub(crate) fn only(names: Vec<String>) -> Self {
        Self(Some(names))
    }

    fn takes(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|globs| globs.iter().any(|pattern| glob(pattern.as_bytes(), name.as_bytes())))
    }
}

/// The host that the containers run on, from the engine's words, so that no variable has to be passed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Host {
    /// The host's name.
    pub(crate) name: String,
    /// The Swarm cluster's id; only managers know it.
    pub(crate) cluster: String,
    /// Where the engine keeps its data.
    pub(crate) root: String,
}

impl Host {
    /// Takes it from the engine's answer.
    pub(crate) fn new(info: SystemInfo) -> Self {
        let cluster = info.swarm.and_then(|swarm| swarm.cluster).and_then(|cluster| cluster.id);
        let root = info.docker_root_dir.unwrap_or_default();
        Self { name: info.name.unwrap_or_default(), cluster: cluster.unwrap_or_default(), root }
    }
}

/// `10m` as Docker reads it. A size that is none counts as the smallest, the careful way.
fn bytes(size: &str) -> u64 {
    let size = size.trim().trim_end_matches(['b', 'B', 'i']);
    let digits = size.trim_end_matches(|character: char| character.is_ascii_alphabetic() || character == ' ');
    let number: f64 = digits.parse().unwrap_or_default();
    let unit = match size[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => 0,
    };
    (number * (1_u64 << unit) as f64) as u64
}

fn sorted(map: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    map.unwrap_or_default().into_iter().collect()
}

/// A map of those entries that are not empty.
fn map<const N: usize>(entries: [(&str, &str); N]) -> Value {
    let mut map = Map::with_capacity(N);
    entries.into_iter().for_each(|(name, value)| push_text(&mut map, name, value));
    map.into()
}

fn push_text(map: &mut Map, name: &str, value: &str) {
    if !value.is_empty() {
        map.push(name.into(), value.into());
    }
}

/// `registry:5000/name:tag@digest` → name and tag; the digest is left out, and a registry's port is no tag.
fn split_image(image: &str) -> (&str, &str) {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, ""),
    }
}

/// The id of the container that this process runs in: `mountinfo` and `cgroup` are the texts of `/proc/self/mountinfo` and
/// `/proc/self/cgroup`. Docker mounts three files of the container's own folder into it, whatever the version of control groups.
pub(crate) fn own_container(mountinfo: &str, cgroup: &str) -> Option<String> {
    let mounted = mountinfo.lines().find_map(|line| {
        let mut words = line.split(' ').skip(3);
        let (root, place) = (words.next()?, words.next()?);
        matches!(place, "/etc/hostname" | "/etc/hosts" | "/etc/resolv.conf").then(|| find_id(root))?
    });
    let grouped = || cgroup.lines().filter(|line| line.contains("docker")).find_map(find_id);
    mounted.or_else(grouped).map(ToOwned::to_owned)
}

/// The last run of exactly 64 hexadecimal digits.
fn find_id(text: &str) -> Option<&str> {
    text.rsplit(|character: char| !character.is_ascii_hexdigit()).find(|word| word.len() == 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use elkhound_pipeline::event::Layer;

    const ID: &str = "6209f9e12a7aa740fcfcd0559a3c31fd77d7d7496e76bbeff2b198af3989c9af";

    fn container(labels: &str, image: &str) -> Container {
        let text = format!(
            r#"{{"Id":"{ID}","Name":"/web-1","State":{{"Status":"running","Running":true}},
                "Config":{{"Image":"{image}","Tty":true,"Labels":{labels},"Env":["A=1","LOGSPOUT=ignore"]}},
                "HostConfig":{{"LogConfig":{{"Type":"json-file","Config":{{"max-size":"1m"}}}}}}}}"#
        );
        Container::new(serde_json::from_str(&text).unwrap()).unwrap()
    }

    fn encoded(container: &Container, cluster: &str) -> String {
        let host = Host { name: "node-1".into(), cluster: cluster.into(), ..Host::default() };
        let mut out = Vec::new();
        Layer::new(container.fields(&host, Stream::Stderr, &Labels::default())).encode(0, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn reads_what_the_engine_says() {
        let container = container("null", "rig:1");
        assert_eq!((container.name.as_str(), container.tty, container.running), ("web-1", true, true));
        assert_eq!((container.driver.as_str(), container.log_options["max-size"].as_str()), ("json-file", "1m"));
        assert_eq!((container.variable("LOGSPOUT"), container.variable("LOG")), (Some("ignore"), None));
    }

    #[test]
    fn knows_at_which_size_a_log_is_rotated() {
        let container = |driver: &str, size: Option<&str>| {
            let log_options = size.map(|size| ("max-size".to_owned(), size.to_owned())).into_iter().collect();
            Container { driver: driver.into(), log_options, ..Container::default() }.log_file_size()
        };
        assert_eq!((container("json-file", None), container("json-file", Some("-1"))), (None, None));
        assert_eq!(
            (container("json-file", Some("10k")), container("local", Some("1.5mb"))),
            (Some(10 << 10), Some(3 << 19))
        );
        assert_eq!((container("local", None), container("journald", None)), (Some(20 << 20), None));
    }

    #[test]
    fn knows_whether_rotated_files_are_compressed() {
        let compresses = |driver: &str, options: &[(&str, &str)]| {
            let log_options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Container { driver: driver.into(), log_options, ..Container::default() }.compresses()
        };
        assert!(!compresses("json-file", &[("max-size", "1m"), ("max-file", "3")]));
        assert!(compresses("json-file", &[("max-size", "1m"), ("max-file", "3"), ("compress", "true")]));
        assert!(compresses("local", &[]) && !compresses("local", &[("compress", "false")]));
        assert!(compresses("syslog", &[]) && !compresses("syslog", &[("cache-compress", "False")]));
        assert!(!compresses("journald", &[]));
    }

    #[test]
    fn settings_that_lose_lines_are_known() {
        let risk = |driver: &str, options: &[(&str, &str)]| {
            let log_options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Container { driver: driver.into(), log_options, ..Container::default() }.risk()
        };
        assert_eq!((risk("json-file", &[]), risk("local", &[("max-size", "1m")])), (None, None));
        assert_eq!(risk("json-file", &[("max-size", "1m"), ("max-file", "2")]), None);
        assert!(risk("json-file", &[("max-size", "1m")]).unwrap().contains("max-file=3"));
        assert!(risk("json-file", &[("max-size", "1m"), ("max-file", "1")]).is_some());
        assert!(risk("local", &[("mode", "non-blocking")]).unwrap().contains("non-blocking"));
    }

    #[test]
    fn a_plain_container() {
        let expected = format!(
            r#","@version":"1","container":{{"id":"{ID}","image":{{"name":"rig","tag":"1"}},"name":"web-1","runtime":"docker"}},"host":{{"name":"node-1"}},"stream":"stderr""#
        );
        assert_eq!(encoded(&container("{}", "rig:1"), ""), expected);
    }

    #[test]
    fn a_swarm_task() {
        let labels = r#"{"com.docker.swarm.task":"","com.docker.swarm.task.id":"t1","com.docker.swarm.task.name":"shop_web.1.t1",
            "com.docker.swarm.service.id":"s1","com.docker.swarm.service.name":"shop_web","com.docker.stack.namespace":"shop"}"#;
        let expected = format!(
            r#","@version":"1","container":{{"id":"{ID}","image":{{"name":"rig"}},"labels":{{"com_docker_stack_namespace":"shop","com_docker_swarm_service_id":"s1","com_docker_swarm_service_name":"shop_web","com_docker_swarm_task":"","com_docker_swarm_task_id":"t1","com_docker_swarm_task_name":"shop_web.1.t1"}},"name":"web-1","runtime":"docker"}},"host":{{"name":"node-1"}},"stream":"stderr","service":{{"id":"s1","name":"shop_web","node":{{"name":"shop_web.1"}}}},"orchestrator":{{"cluster":{{"id":"c1"}},"namespace":"shop","resource":{{"id":"t1","name":"shop_web.1.t1","type":"task"}},"type":"swarm"}}"#
        );
        assert_eq!(encoded(&container(labels, "rig"), "c1"), expected);
    }

    #[test]
    fn events_carry_the_labels_that_are_named() {
        let container = container(r#"{"com.docker.stack.namespace":"shop","tier":"web","tier.x":"y"}"#, "rig");
        let carried = |names: &[&str]| {
            let labels = Labels::only(names.iter().map(|name| (*name).to_owned()).collect());
            container.plain_labels(&labels).iter().map(|(name, _)| name.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(carried(&["tier*"]), ["tier", "tier_x"]);
        assert_eq!(carried(&["com.docker.stack.*", "tier"]), ["com_docker_stack_namespace", "tier"]);
        assert!(carried(&[]).is_empty());
    }

    #[test]
    fn a_compose_service() {
        let labels = r#"{"com.docker.compose.project":"shop","com.docker.compose.service":"web"}"#;
        let text = encoded(&container(labels, "rig"), "");
        assert!(
            text.ends_with(r#""service":{"name":"web"},"orchestrator":{"namespace":"shop","type":"compose"}"#),
            "{text}"
        );
    }

    #[test]
    fn images_are_split_at_the_tag_only() {
        let cases = [
            ("web", ("web", "")),
            ("web:1.2", ("web", "1.2")),
            ("registry:5000/a/web", ("registry:5000/a/web", "")),
            ("registry:5000/a/web:1", ("registry:5000/a/web", "1")),
            ("web:1@sha256:0123", ("web", "1")),
            ("sha256:0123", ("sha256", "0123")),
        ];
        for (image, expected) in cases {
            assert_eq!(split_image(image), expected, "{image}");
        }
    }

    #[test]
    fn knows_its_own_container() {
        let mount = format!(
            "169 151 254:0 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw"
        );
        assert_eq!(own_container(&mount, "0::/"), Some(ID.to_owned()));
        assert_eq!(own_container("", &format!("8:pids:/docker/{ID}")), Some(ID.to_owned()));
        assert_eq!(own_container("", &format!("0::/system.slice/docker-{ID}.scope")), Some(ID.to_owned()));
    }

    #[test]
    fn a_host_is_not_one_of_its_containers() {
        let mount = format!("300 25 0:50 / /var/lib/docker/containers/{ID}/mounts/shm rw - tmpfs shm rw");
        assert_eq!(own_container(&mount, "0::/user.slice/session-1.scope"), None);
        assert_eq!(own_container("", &format!("8:pids:/process_api/{ID}")), None);
    }
}
