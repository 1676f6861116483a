//! What `deploy/` gives to operators, on a real Swarm of one node: stacks, a rolling change of the pipeline file, the proxy, a drain, a plain container, Compose;
//! and the package.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use regex::Regex;
use serde_json::Value;

use crate::harness::{
    Container, Elasticsearch, Folder, Node, binary, eventually, from_rig, output_of, repository, run,
};

/// How long a change of the Swarm may take until documents show it.
const SETTLED: Duration = Duration::from_secs(120);

/// An engine that is a Swarm of one node, with elk_net, elkhound's image and an Elasticsearch that its containers reach.
pub(crate) struct Swarm {
    pub(crate) node: Node,
    pub(crate) elasticsearch: Elasticsearch,
    folder: PathBuf,
    index: String,
}

impl Swarm {
    pub(crate) fn start(name: &str) -> Self {
        let node = Node::start(name);
        let folder = std::env::temp_dir().join(format!("elkhound-deploy-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let elasticsearch = Elasticsearch::own(name, &["http.host=0.0.0.0"]);
        let index = format!("elkhound-{name}-{}", std::process::id());
        let swarm = Self { node, elasticsearch, folder, index };
        let made = swarm.script("network.sh", &[]);
        assert!(made.starts_with("made elk_net (driver overlay, subnet 10.32.200.0/24)"), "{made}");
        assert_eq!(swarm.script("network.sh", &[]), "elk_net is there already (driver overlay)");
        let binary = stripped(&swarm.folder);
        swarm.script("image", &[&binary.to_string_lossy(), "elkhound:test"]);
        swarm
    }

    /// What scripts and pipelines of `deploy/` are told by the environment.
    pub(crate) fn environment(&self) -> [(&'static str, String); 6] {
        let port = self.elasticsearch.url().rsplit(':').next().unwrap().to_owned();
        [
            ("DOCKER_HOST", self.node.engine.host()),
            ("DOCKER_ROOT", self.node.engine.root().display().to_string()),
            ("DOCKER_SOCKET", self.node.engine.socket().display().to_string()),
            ("ELKHOUND_IMAGE", "elkhound:test".to_owned()),
            ("ELASTICSEARCH_URL", format!("http://{}:{port}", self.gateway())),
            ("ELASTICSEARCH_INDEX", self.index.clone()),
        ]
    }

    /// A script of `deploy/`, as an operator runs it on a manager.
    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(repository("deploy").join(name));
        command.args(arguments).envs(self.environment());
        command
    }

    fn script(&self, name: &str, arguments: &[&str]) -> String {
        output_of(&mut self.command(name, arguments))
    }

    /// This host, as containers of the Swarm see it.
    pub(crate) fn gateway(&self) -> String {
        let format = "{{(index .IPAM.Config 0).Gateway}}";
        output_of(&mut self.node.engine.docker(&["network", "inspect", "--format", format, "docker_gwbridge"]))
    }

    /// The pipeline file of `deploy/`, with options for its input and a filter that marks its events.
    fn pipeline(&self, version: &str, options: &str) -> PathBuf {
        let text = fs::read_to_string(repository("deploy/pipelines/logstash.conf")).unwrap();
        let mark = format!("filter {{ mutate {{ add_field => {{ \"version\" => \"{version}\" }} }} }}\noutput {{");
        let text = text.replace("output {", &mark).replace("docker { }", &format!("docker {{ {options} }}"));
        let file = self.folder.join(format!("{version}.conf"));
        fs::write(&file, text).unwrap();
        file
    }

    /// Two containers that count, and say a last word when they are stopped, as a stack has them.
    fn deploy_application(&self) {
        let file = self.folder.join("app.yml");
        let image = from_rig("RIG_IMAGE");
        // The shell heeds a signal between two commands only.
        let script = "trap 'echo last words; exit' TERM; i=0; while usleep 20000; do i=$$((i+1)); [ $$i -gt 1500 ] || echo line $$i; done";
        let service = format!(
            "image: \"{image}\", command: [sh, -c, \"{script}\"], stop_grace_period: 5s, deploy: {{replicas: 2}}"
        );
        fs::write(&file, format!("version: \"3.8\"\nservices:\n  web: {{{service}}}\n")).unwrap();
        output_of(self.node.engine.docker(&["stack", "deploy", "--compose-file"]).arg(&file).arg("app"));
    }

    /// The names of the containers of the application that run, or with `--all` that there are.
    fn application(&self, options: &[&str]) -> Vec<String> {
        let filter = "label=com.docker.swarm.service.name=app_web";
        let mut command = self.node.engine.docker(&["ps", "--filter", filter, "--format", "{{.Names}}"]);
        output_of(command.args(options)).lines().map(str::to_owned).collect()
    }

    /// What the engine has of the application, a line of which container each.
    fn written(&self) -> BTreeSet<(String, String)> {
        let lines = |name: String| {
            let lines = self.node.engine.lines(&name);
            lines.into_iter().map(move |line| (name.clone(), line))
        };
        self.application(&["--all"]).into_iter().flat_map(lines).collect()
    }

    fn documents(&self) -> Vec<Value> {
        let indices = format!("{}-*", self.index);
        // Before the first document there is no index that could be searched.
        if self.elasticsearch.count(&indices) == 0 { Vec::new() } else { self.elasticsearch.sources(&indices) }
    }

    /// Waits for a document that fits.
    fn until(&self, what: &str, fits: impl Fn(&Value) -> bool) {
        eventually(what, SETTLED, || {
            let found = self.documents();
            if found.iter().any(|hit| fits(&hit["_source"])) { Ok(()) } else { Err(self.tasks()) }
        });
    }

    /// Ends all tasks of the node, as before it is taken down, and waits for that; `rest` is how many plain containers stay.
    fn drain(&self, rest: usize) {
        self.availability("drain");
        eventually("the end of all tasks", SETTLED, || {
            let running = output_of(&mut self.node.engine.docker(&["ps", "--quiet"]));
            if running.lines().count() == rest { Ok(()) } else { Err(running) }
        });
    }

    fn availability(&self, availability: &str) {
        let node = output_of(&mut self.node.engine.docker(&["node", "ls", "--format", "{{.ID}}"]));
        output_of(&mut self.node.engine.docker(&["node", "update", "--availability", availability, &node]));
    }

    /// Waits for what each of these containers says when it is stopped.
    fn until_last_words(&self, containers: &[String]) {
        for name in containers {
            self.until("the last words of a container that a drain has ended", |it| {
                line_of(it) == (name.clone(), "last words".to_owned())
            });
        }
    }

    /// The one container that a service has on this node. While tasks are replaced there may be two for a moment, or none.
    fn container_of(&self, service: &str) -> String {
        let filter = format!("name={service}");
        eventually("one container of a service", SETTLED, || {
            let running = output_of(&mut self.node.engine.docker(&["ps", "--quiet", "--filter", &filter]));
            if running.lines().count() == 1 { Ok(running) } else { Err(format!("{running}, {}", self.tasks())) }
        })
    }

    /// What the Swarm says of the agent's tasks.
    fn tasks(&self) -> String {
        let arguments = ["service", "ps", "--no-trunc", "--format", "{{.CurrentState}} {{.Error}}", "log_elkhound"];
        String::from_utf8_lossy(&run(&mut self.node.engine.docker(&arguments)).stdout).into_owned()
    }

    /// Every line that the engine has is indexed once, and nothing else of these containers.
    fn assert_exactly_once(&self) {
        eventually("the same lines in the engine and in Elasticsearch", SETTLED, || {
            let found: Vec<(String, String)> = self.documents().iter().map(|hit| line_of(&hit["_source"])).collect();
            let once: BTreeSet<_> = found.iter().cloned().collect();
            let written = self.written();
            let missing: Vec<_> = written.difference(&once).take(5).collect();
            let doubled = found.iter().filter(|(name, _)| name.starts_with("app_web")).count()
                - once.iter().filter(|(name, _)| name.starts_with("app_web")).count();
            if missing.is_empty() && doubled == 0 {
                Ok(())
            } else {
                Err(format!("missing: {missing:?}, {doubled} doubled"))
            }
        });
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        run(&mut self.node.engine.docker(&["rm", "--force", "elkhound"]));
        for stack in ["app", "log", "es", "kb"] {
            run(&mut self.node.engine.docker(&["stack", "rm", stack]));
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The built agent without what debuggers need, which would be ten times as much to copy and to pack.
fn stripped(folder: &Path) -> PathBuf {
    let small = folder.join("elkhound");
    output_of(Command::new("strip").arg("-o").arg(&small).arg(binary()));
    small
}

/// The container and the text of a document.
fn line_of(source: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&source["container"]["name"]), text(&source["message"]))
}

#[test]
#[ignore = "needs the rig: make test"]
fn a_swarm_keeps_every_line_through_a_change_of_the_pipeline_and_a_drain() {
    let swarm = Swarm::start("swarm");
    swarm.deploy_application();
    swarm.script("log.sh", &[&swarm.pipeline("1", "").to_string_lossy()]);
    swarm.until("documents of the first pipeline", |it| it["version"] == "1");

    let broken = swarm.folder.join("broken.conf");
    fs::write(&broken, "input { docker { } }\nfilter { mutat { } }\n").unwrap();
    let refused = run(&mut swarm.command("log.sh", &[&broken.to_string_lossy()]));
    let said = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
    assert!(!refused.status.success() && said.contains("mutat") && said.contains("is not deployed"), "{said}");

    swarm.script("log.sh", &[&swarm.pipeline("2", "").to_string_lossy()]);
    swarm.until("documents of the second pipeline", |it| it["version"] == "2");

    eventually("a healthy agent", SETTLED, || {
        let arguments = ["ps", "--quiet", "--filter", "health=healthy", "--filter", "name=log_elkhound"];
        let healthy = output_of(&mut swarm.node.engine.docker(&arguments));
        if healthy.is_empty() { Err(swarm.tasks()) } else { Ok(()) }
    });
    let before = swarm.application(&["--all"]);
    swarm.drain(0);
    swarm.availability("active");
    swarm.until("documents of containers that came after the drain", |it| {
        let (name, _) = line_of(it);
        name.starts_with("app_web") && !before.contains(&name)
    });
    swarm.until_last_words(&before);
    swarm.assert_exactly_once();

    let proxy = Proxied::deploy(&swarm);
    swarm.assert_exactly_once();
    proxy.assert_least();

    // The agent as a plain container ships what a drain makes the others say, and it has no cursor of the one before it.
    output_of(&mut swarm.node.engine.docker(&["stack", "rm", "log"]));
    let running = swarm.application(&[]);
    let said = swarm.script("run.sh", &[]);
    assert!(said.ends_with("elkhound runs on network elk_net; 'docker logs elkhound' shows what it says"), "{said}");
    swarm.drain(1);
    swarm.until_last_words(&running);
    swarm.assert_exactly_once();
}

/// The stack behind the proxy.
struct Proxied<'a>(&'a Swarm);

impl<'a> Proxied<'a> {
    /// Puts the proxy in front of the agent; what runs as the proxy is tests/rig/socket-proxy.rs.
    fn deploy(swarm: &'a Swarm) -> Self {
        let folder = swarm.folder.join("proxy");
        fs::create_dir_all(&folder).unwrap();
        image_of_proxy(swarm, &folder);
        let file = swarm.pipeline("3", "read => api");
        output_of(swarm.command("log.sh", &[&file.to_string_lossy()]).env("OVERLAY", "log-proxy.yml"));
        swarm.until("documents that came through the proxy", |it| it["version"] == "3");
        Self(swarm)
    }

    /// The agent has asked for each kind of request that the proxy lets pass and for nothing else, and has no other way to the engine.
    fn assert_least(&self) {
        let said = self.0.node.engine.lines(&self.0.container_of("log_docker"));
        let allowed = allowed();
        let blocked = |line: &&String| !line.strip_prefix("GET ").is_some_and(|path| allowed.is_match(path));
        let refused: Vec<&String> = said.iter().filter(blocked).collect();
        assert!(refused.is_empty(), "the proxy would not let pass {refused:?}");
        let version = Regex::new(r"^GET (/v[0-9.]+)?|[0-9a-f]{64}").unwrap();
        let kinds: BTreeSet<String> = said.iter().map(|line| version.replace_all(line, "").into_owned()).collect();
        let expected = ["/_ping", "/containers//json", "/containers//logs", "/containers/json", "/events", "/info"];
        assert_eq!(
            kinds,
            BTreeSet::from(expected.map(str::to_owned)),
            "what it does not ask for, it needs no right for"
        );
        let format = "{{range .Mounts}}{{.Source}}:{{.Destination}}{{println}}{{end}}";
        let agent = self.0.container_of("log_elkhound");
        let mounts = output_of(&mut self.0.node.engine.docker(&["inspect", "--format", format, &agent]));
        let socket = self.0.node.engine.socket().display().to_string();
        assert!(mounts.contains("/dev/null:/var/run/docker.sock") && !mounts.contains(&socket), "{mounts}");
    }
}

/// Makes an image under the name that the stack file has, of the program that stands in for it.
fn image_of_proxy(swarm: &Swarm, folder: &Path) {
    let program = folder.join("socket-proxy");
    let source = repository("tests/rig/socket-proxy.rs");
    let mut compiler = Command::new("rustc");
    compiler.args(["--edition=2024", "-Ctarget-feature=+crt-static", "-Cpanic=abort", "-o"]);
    output_of(compiler.arg(&program).arg(source));
    let packed = folder.join("image.tar");
    output_of(Command::new("tar").arg("-C").arg(folder).arg("-cf").arg(&packed).arg("socket-proxy"));
    let mut import = swarm.node.engine.docker(&["import", "--change", "ENTRYPOINT [\"/socket-proxy\"]"]);
    output_of(import.arg(packed).arg("wollomatic/socket-proxy:1"));
}

/// Gives an image of the rig's another name, and what it runs.
pub(crate) fn stand_in(docker: &dyn Fn(&[&str]) -> Command, name: &str, command: &[&str]) {
    let made = output_of(&mut docker(&["create", &from_rig("RIG_IMAGE")]));
    let command = format!("CMD {}", serde_json::to_string(command).unwrap());
    output_of(&mut docker(&["commit", "--change", &command, &made, name]));
    output_of(&mut docker(&["rm", &made]));
}

/// Docker's own client for the shared engine; a test's own has no rules that let containers of a bridge talk to each other.
fn shared(arguments: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(arguments).env("DOCKER_HOST", from_rig("DOCKER_HOST"));
    command
}

/// What compose.yml has made, in the place of whose images of Elasticsearch and Kibana, for which there is no registry here, others are: the one a way to
/// the test's node, the other nothing. Taken down when dropped.
struct Composed {
    tag: String,
    variables: Vec<(&'static str, String)>,
}

impl Composed {
    fn up(node: &Elasticsearch, index: &str, pipeline: &Path) -> Self {
        let tag = format!("compose-{}", std::process::id());
        let port = node.url().rsplit(':').next().unwrap().to_owned();
        let format = "{{(index .IPAM.Config 0).Gateway}}";
        let host = output_of(&mut shared(&["network", "inspect", "--format", format, "bridge"]));
        let way = ["nc", "-ll", "-p", "9200", "-e", "nc", &host, &port];
        stand_in(&shared, &format!("elasticsearch:{tag}"), &way);
        stand_in(&shared, &format!("kibana:{tag}"), &["sleep", "100000"]);
        let binary = stripped(pipeline.parent().unwrap());
        let mut image = Command::new(repository("deploy/image"));
        output_of(image.arg(binary).arg(format!("elkhound:{tag}")).env("DOCKER_HOST", from_rig("DOCKER_HOST")));
        let socket = from_rig("DOCKER_HOST").strip_prefix("unix://").expect("an engine of this host").to_owned();
        // Nobody, but for the group that may talk to the engine: it writes its cursors all the same, and is no root.
        let user = format!("65534:{}", fs::metadata(&socket).unwrap().gid());
        let variables = vec![
            ("ELKHOUND_USER", user),
            ("DOCKER_HOST", from_rig("DOCKER_HOST")),
            ("DOCKER_ROOT", output_of(&mut shared(&["info", "--format", "{{.DockerRootDir}}"]))),
            ("DOCKER_SOCKET", socket),
            ("ELKHOUND_IMAGE", format!("elkhound:{tag}")),
            ("ELASTIC_VERSION", tag.clone()),
            ("ELASTICSEARCH_INDEX", index.to_owned()),
            ("PIPELINE_FILE", pipeline.display().to_string()),
        ];
        let composed = Self { tag, variables };
        output_of(&mut composed.compose(&["up", "--detach"]));
        composed
    }

    fn compose(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker-compose");
        command.arg(format!("--project-name={}", self.tag)).arg("--file").arg(repository("deploy/compose.yml"));
        command.args(arguments).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Drop for Composed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", String::from_utf8_lossy(&run(&mut self.compose(&["logs", "elkhound"])).stdout));
        }
        run(&mut self.compose(&["down", "--volumes"]));
        let images = ["elasticsearch", "kibana", "elkhound"].map(|name| format!("{name}:{}", self.tag));
        run(shared(&["rmi", "--force"]).args(images));
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn compose_ships_on_one_machine_without_being_root() {
    let node = Elasticsearch::own("compose", &["http.host=0.0.0.0"]);
    let name = format!("elkhound-composed-{}", std::process::id());
    let _container = Container::run(&name, &[], "echo a line; sleep 100000");
    let text = fs::read_to_string(repository("deploy/pipelines/logstash.conf")).unwrap();
    let text = text.replace("docker { }", &format!("docker {{ filter_name => \"{name}\" }}"));
    let folder = Folder::of("compose", &[("pipeline.conf", &text)]);
    let _composed = Composed::up(&node, &name, &folder.0.join("pipeline.conf"));
    eventually("the line that Compose's agent ships", SETTLED, || {
        let count = node.count(&format!("{name}-*"));
        if count == 1 { Ok(()) } else { Err(format!("{count} documents")) }
    });
}

#[test]
fn the_network_is_weaves_where_its_plugin_is_installed() {
    // A client that answers as one does beside the plugin, which can't be had here.
    let client = "#!/bin/sh\ncase \"$1 $2\" in\n'info --format') echo active true ;;\n'network inspect') exit 1 ;;\n\
        'plugin ls') printf 'other:1\\nweaveworks/net-plugin:2.1.3\\n' ;;\n*) echo \"$@\" >\"$0.asked\" ;;\nesac\n";
    let folder = Folder::of("weave", &[("docker", client)]);
    output_of(Command::new("chmod").arg("+x").arg(folder.0.join("docker")));
    let path = format!("{}:{}", folder.text(), std::env::var("PATH").unwrap());
    let said = output_of(Command::new(repository("deploy/network.sh")).env("PATH", path));
    assert_eq!(said, "made elk_net (driver weaveworks/net-plugin:2.1.3, subnet 10.32.200.0/24)");
    let asked = fs::read_to_string(folder.0.join("docker.asked")).unwrap();
    let expected = "network create --driver weaveworks/net-plugin:2.1.3 --subnet 10.32.200.0/24 --attachable elk_net\n";
    assert_eq!(asked, expected);
}

/// What the proxy of `log-proxy.yml` lets pass.
fn allowed() -> Regex {
    let stack = fs::read_to_string(repository("deploy/log-proxy.yml")).unwrap();
    let patterns = stack.lines().filter_map(|line| line.trim().strip_prefix("- '-allowGET=")?.strip_suffix('\''));
    let patterns: Vec<&str> = patterns.collect();
    assert_eq!(patterns.len(), 1, "of several the proxy's earlier versions heed the last");
    // The proxy binds its pattern to both ends of the path, as its documentation says.
    Regex::new(&format!("^(?:{})$", patterns[0])).unwrap()
}

#[test]
fn the_proxy_lets_through_what_the_agent_asks_for_and_nothing_else() {
    let allowed = allowed();
    let passes = |path: &str| allowed.is_match(path);
    let container = "/v1.41/containers/6209f9e12a7a";
    for path in ["/_ping", "/info", "/v1.41/info", "/v1.41/events", "/v1.41/containers/json"] {
        assert!(passes(path), "{path}");
    }
    for end in ["/json", "/logs"] {
        assert!(passes(&format!("{container}{end}")), "{end}");
    }
    for end in ["/archive", "/export", "/top", "/attach/ws", "/json/../archive"] {
        assert!(!passes(&format!("{container}{end}")), "{end}");
    }
    for path in ["/secrets", "/v1.41/secrets", "/v1.41/images/json", "/v1.41/info/x", "/v1.41/_ping/../secrets"] {
        assert!(!passes(path), "{path}");
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn the_package_holds_what_a_host_needs() {
    let folder = std::env::temp_dir().join(format!("elkhound-package-{}", std::process::id()));
    let script = repository("deploy/package/build");
    fs::create_dir_all(&folder).unwrap();
    let package = output_of(Command::new(script).arg(stripped(&folder)).arg(&folder));
    let root = folder.join("root");
    output_of(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&root));
    let unit = fs::read_to_string(root.join("lib/systemd/system/elkhound.service")).unwrap();
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStartPre=")).unwrap();
    // The check that the unit makes before it starts the agent, with what the package brings.
    let arguments = start.split(' ').skip(1).map(|word| word.replace("/etc/", &format!("{}/etc/", root.display())));
    let said = output_of(Command::new(root.join("usr/bin/elkhound")).args(arguments));
    assert_eq!(said, "Configuration OK");
    let share = |path: &str| root.join("usr/share").join(path);
    for file in [
        "bash-completion/completions/elkhound",
        "zsh/vendor-completions/_elkhound",
        "fish/vendor_completions.d/elkhound.fish",
    ] {
        let text = fs::read_to_string(share(file)).unwrap();
        assert!(text.contains("healthcheck") && text.contains("pipeline.workers"), "{file}");
    }
    for page in ["elkhound", "elkhound-setup", "elkhound-dlq"] {
        let text = output_of(Command::new("zcat").arg(share(&format!("man/man1/{page}.1.gz"))));
        assert!(text.contains(&format!(".TH {page} 1 ")), "{page}: {text}");
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn both_ways_to_make_the_image_say_the_same_of_it() {
    let starts = ["VOLUME ", "HEALTHCHECK ", "ENTRYPOINT ", "CMD "];
    let instructions = |file: &str| -> Vec<String> {
        let text = fs::read_to_string(repository(file)).unwrap();
        let bare = text.lines().map(|line| line.trim().trim_start_matches("-c '").trim_end_matches("' \\"));
        bare.filter(|line| starts.iter().any(|start| line.starts_with(start))).map(str::to_owned).collect()
    };
    let by_docker = instructions("deploy/Dockerfile");
    assert_eq!(by_docker.len(), starts.len());
    assert_eq!(by_docker, instructions("deploy/image"));
}
