//! A real nginx before a real Elasticsearch, as operators have it.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Folder, eventually, output_of, rig_path};

/// nginx, which ends with the test.
pub(crate) struct Nginx {
    process: Child,
    url: String,
    folder: Folder,
}

impl Nginx {
    /// Passes requests with bodies of up to `limit` bytes on to `upstream`, and answers larger ones with 413.
    pub(crate) fn before(upstream: &str, limit: usize) -> Self {
        let folder = Folder::new("nginx");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let within = folder.text();
        let config = format!(
            "daemon off; user root; worker_processes 1; pid {within}/pid; error_log stderr warn; events {{ }}\n\
             http {{ access_log {within}/access.log; client_body_temp_path {within}/body; proxy_temp_path {within}/proxy;\n\
               fastcgi_temp_path {within}/fastcgi; uwsgi_temp_path {within}/uwsgi; scgi_temp_path {within}/scgi;\n\
               server {{ listen 127.0.0.1:{port}; client_max_body_size {limit}; location / {{ proxy_pass {upstream}; }} }} }}\n"
        );
        let file = folder.0.join("nginx.conf");
        fs::write(&file, config).unwrap();
        let program = output_of(&mut Command::new(rig_path("nginx")));
        let log = fs::File::create(folder.0.join("error.log")).unwrap();
        let mut nginx = Command::new(program);
        nginx.arg("-p").arg(&folder.0).arg("-c").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let nginx = Self { process: nginx.spawn().unwrap(), url: format!("http://127.0.0.1:{port}"), folder };
        eventually("nginx", Duration::from_secs(20), || {
            let connected = std::net::TcpStream::connect(("127.0.0.1", port));
            connected.map_err(|_| fs::read_to_string(nginx.folder.0.join("error.log")).unwrap_or_default())
        });
        nginx
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How many requests it has answered with this status.
    pub(crate) fn answered(&self, status: u16) -> usize {
        let log = fs::read_to_string(self.folder.0.join("access.log")).unwrap_or_default();
        log.matches(&format!("\" {status} ")).count()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM has the master end its worker, too.
        super::signal(self.process.id(), "TERM");
        let _ = self.process.wait();
    }
}
