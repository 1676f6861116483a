//! A Docker engine of the test's own, for what can't be done to the shared one: stopping it, and reaching it over TLS.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{eventually, from_rig, output_of, run, signal};

/// The engine; ended and removed with all its containers when dropped.
pub(crate) struct Engine {
    /// For sockets and processes; short, because the path of a socket may have 107 bytes only.
    runtime: PathBuf,
    /// For images and containers.
    data: PathBuf,
    /// A bridge that the shared engine has made. Without one of its own this engine would take the shared engine's, or remove it.
    bridge: String,
    options: Vec<String>,
    child: Option<Child>,
}

impl Engine {
    /// Starts an engine that has the rig's image, with further options of dockerd. The name must be unique among the tests.
    pub(crate) fn start(name: &str, options: Vec<String>) -> Self {
        let name = format!("elkhound-{name}-{}", std::process::id());
        let (runtime, data) = (Path::new("/run").join(&name), std::env::temp_dir().join(&name));
        for folder in [&runtime, &data] {
            fs::create_dir_all(folder).unwrap();
        }
        // The name of a device has at most 15 bytes.
        let bridge = format!("elk{}{}", std::process::id(), &name["elkhound-".len()..][..2]);
        let named = format!("com.docker.network.bridge.name={bridge}");
        output_of(
            shared(&["network", "create", "--opt", &named, &bridge]).arg(format!("--label={}", from_rig("RIG_LABEL"))),
        );
        let mut engine = Self { runtime, data, bridge, options, child: None };
        engine.resume();
        let image = engine.data.join("image.tar");
        output_of(shared(&["save", "--output"]).arg(&image).arg(from_rig("RIG_IMAGE")));
        output_of(engine.docker(&["load", "--input"]).arg(&image));
        engine
    }

    /// Starts it again after [`Engine::stop`], on a socket that is another file than before. When it gives up, as it does after a kill when its containerd has too
    /// much to clean up, it is started once more, as service managers do.
    pub(crate) fn resume(&mut self) {
        self.child = Some(self.launch());
        eventually("an answer of the test's own engine", Duration::from_secs(120), || {
            if run(&mut self.docker(&["version"])).status.success() {
                return Ok(());
            }
            if self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some()) {
                self.child = Some(self.launch());
            }
            Err(self.log())
        });
    }

    fn launch(&self) -> Child {
        let log = File::options().create(true).append(true).open(self.data.join("dockerd.log")).unwrap();
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let folder = |option: &str, folder: &Path, name: &str| format!("--{option}={}", folder.join(name).display());
        Command::new("dockerd")
            .env("PATH", path)
            .args(["--iptables=false", "--ip-forward=false", "--log-level=warn"])
            .arg(format!("--bridge={}", self.bridge))
            .arg(format!("--host={}", self.host()))
            .arg(folder("data-root", &self.data, "data"))
            .arg(folder("exec-root", &self.runtime, "exec"))
            .arg(folder("pidfile", &self.runtime, "dockerd.pid"))
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Stops it as a service manager does: its containers end with it.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().expect("the engine runs");
        signal(child.id(), "TERM");
        eventually("the end of the test's own engine", Duration::from_secs(60), || {
            child.try_wait().unwrap().ok_or_else(|| self.log())
        });
    }

    /// Ends it with SIGKILL and starts it again. With `--live-restore` its containers go on all the while.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("the engine runs");
        child.kill().unwrap();
        child.wait().unwrap();
        self.resume();
    }

    /// Its address.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Where it keeps its containers, their log files among them.
    pub(crate) fn root(&self) -> PathBuf {
        self.data.join("data")
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.runtime.join("docker.sock")
    }

    /// Docker's own client, for this engine.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(arguments).env("DOCKER_HOST", self.host());
        command
    }

    /// Starts a container that runs a shell script.
    pub(crate) fn run(&self, name: &str, options: &[&str], script: &str) {
        let mut command = self.docker(&["run", "--detach", "--network=none", "--name", name]);
        output_of(command.args(options).arg(from_rig("RIG_IMAGE")).args(["sh", "-c", script]));
    }

    /// What it has itself of a container's standard output, line by line.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        output_of(&mut self.docker(&["logs", name])).lines().map(str::to_owned).collect()
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.data.join("dockerd.log")).unwrap_or_default();
        log.lines().rev().take(5).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.child.is_some() {
            let listed = run(&mut self.docker(&["ps", "--all", "--quiet"]));
            let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
            run(self.docker(&["rm", "--force"]).args(listed.split_whitespace()));
            let mut child = self.child.take().expect("it was there just now");
            run(Command::new("kill").arg(child.id().to_string()));
            let _ = child.wait();
        }
        // Some versions mount their data folder on itself and leave that behind, as a Swarm does with its networks' name spaces, VXLAN interfaces in them.
        run(Command::new("umount").arg(self.root()));
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let left = mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .filter(|path| [&self.runtime, &self.data].iter().any(|folder| Path::new(path).starts_with(folder)));
        left.for_each(|path| drop(run(Command::new("umount").args(["--lazy", path]))));
        run(&mut shared(&["network", "rm", &self.bridge]));
        let _ = fs::remove_dir_all(&self.runtime);
        let _ = fs::remove_dir_all(&self.data);
    }
}

/// Docker's own client, for the shared engine.
fn shared(arguments: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(arguments).env("DOCKER_HOST", from_rig("DOCKER_HOST"));
    command
}

/// A folder as `DOCKER_CERT_PATH` names one, with an authority and the keys of an engine and of a client.
pub(crate) fn certificates(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("server.ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
        .unwrap();
    fs::write(folder.join("client.ext"), "extendedKeyUsage=clientAuth\n").unwrap();
    let openssl = |arguments: &str| {
        output_of(Command::new("openssl").current_dir(folder).args(arguments.split(' ')));
    };
    openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca-key.pem -out ca.pem");
    for (role, key, cert) in [("server", "server-key.pem", "server-cert.pem"), ("client", "key.pem", "cert.pem")] {
        openssl(&format!("req -newkey rsa:2048 -nodes -subj /CN={role} -keyout {key} -out {role}.csr"));
        openssl(&format!(
            "x509 -req -in {role}.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile {role}.ext -out {cert}"
        ));
    }
}
