//! Whether Docker can be read: the engine answers, log files can be opened, and no container's settings lose lines.

use super::Source;
use super::api::{ApiError, Engine, Environment, LogRequest};
use super::metadata::{Container, Host};
use super::supervisor::LogFiles;
use crate::files;
use crate::finding::{Finding, Grade};

/// Drivers that every engine reads back.
const READABLE: [&str; 3] = ["json-file", "local", "journald"];

/// What `elkhound doctor` says of a `docker` input.
pub(super) async fn examine(source: &Source) -> Vec<Finding> {
    match source {
        Source::Files { pattern, .. } => vec![log_files(pattern)],
        Source::Engine { environment, files } => engine(environment, files.as_ref()).await.unwrap_or_else(|error| {
            vec![Finding::bad(
                error.to_string(),
                "mount /var/run/docker.sock, or set DOCKER_HOST (with DOCKER_TLS_VERIFY and DOCKER_CERT_PATH)",
            )]
        }),
    }
}

fn log_files(pattern: &str) -> Finding {
    match files::matching(pattern) {
        Ok(found) if !found.is_empty() => Finding::good(format!("{pattern} matches {} log files", found.len())),
        Ok(_) => Finding::warning(
            format!("{pattern} matches no log file"),
            "mount the folder of Docker's log files read-only, or correct `path`",
        ),
        Err(error) => Finding::bad(format!("{pattern}: {error}"), "run as root, or give rights on that folder"),
    }
}

async fn engine(environment: &Environment, files: Option<&Option<String>>) -> Result<Vec<Finding>, ApiError> {
    let engine = Engine::connect(environment).await?;
    let host = Host::new(engine.info().await?);
    let listed = engine.containers().await?;
    let (address, version, count) = (engine.address(), engine.version(), listed.len());
    let mut found = vec![Finding::good(format!(
        "Docker answers at {address} (API 1.{version}) on {}, {count} containers",
        host.name
    ))];
    let folder = files.map(|pattern| folder(&LogFiles::pattern_of(pattern.as_deref(), &host)));
    let reads_files = folder.as_ref().is_some_and(|folder| folder.grade == Grade::Good);
    found.extend(folder);
    for container in listed {
        match engine.inspect(&container.id).await {
            Ok(answer) => {
                if let Some(container) = Container::new(answer) {
                    found.extend(log_settings(&engine, &container).await);
                    let by_api = !reads_files || container.driver != "json-file";
                    found.extend(copies(&container, by_api && engine.mixes_up_copies()));
                }
            }
            Err(error) if error.status() == Some(404) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Whether log files can be read where the engine has them.
fn folder(pattern: &str) -> Finding {
    let folder = LogFiles::folder(pattern);
    match std::fs::read_dir(folder) {
        Ok(_) => Finding::good(format!("log files are read straight from {}", folder.display())),
        Err(error) => Finding::warning(
            format!("{}: {error}; all lines come through Docker's API, which costs dockerd CPU time", folder.display()),
            format!("mount that folder of the host read-only at the same place: -v {0}:{0}:ro", folder.display()),
        ),
    }
}

/// Whether other readers of a compressed log can make lines of it be missing here.
fn copies(container: &Container, mixed_up: bool) -> Option<Finding> {
    let name = &container.name;
    (mixed_up && container.log_file_size().is_some() && container.compresses()).then(|| {
        Finding::warning(
            format!(
                "rotated files of {name} are compressed, and this engine (before Docker 23.0) may leave one of them out when others read \
                 the same log through its API meanwhile, as `docker logs` and Logspout do"
            ),
            "let elkhound read the log files themselves (json-file, their folder mounted), or set compress=false, or update Docker",
        )
    })
}

async fn log_settings(engine: &Engine, container: &Container) -> Option<Finding> {
    let (name, driver) = (&container.name, &container.driver);
    if let Some(risk) = container.risk() {
        return Some(Finding::warning(format!("the log settings of {name} lose lines"), risk));
    }
    if READABLE.contains(&driver.as_str()) {
        return None;
    }
    let last = LogRequest { follow: false, tail: Some(1), only: None };
    let refused = match engine.logs(&container.id, last).await {
        Ok(mut stream) => {
            // To the end: an engine must not be left with copies that it gives to others.
            while let Ok(Some(_)) = stream.next().await {}
            return None;
        }
        Err(error) => error.status() == Some(501),
    };
    refused.then(|| {
        Finding::warning(
            format!("the log of {name} can't be read: its driver {driver} keeps none"),
            "use json-file or local, or drop cache-disabled",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_files_that_are_not_there_are_told() {
        assert_eq!(log_files("/nowhere/*/*-json.log").grade, Grade::Warning);
        assert_eq!(folder("/nowhere/containers/*/*-json.log").grade, Grade::Warning);
        assert_eq!(folder("/*/x").grade, Grade::Good);
    }

    #[test]
    fn compressed_logs_are_told_where_others_can_make_lines_be_missing() {
        let container = |options: &[(&str, &str)]| {
            let log_options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Container { name: "web".into(), driver: "json-file".into(), log_options, ..Container::default() }
        };
        let compressed = container(&[("max-size", "1m"), ("max-file", "3"), ("compress", "true")]);
        let found = copies(&compressed, true).unwrap();
        assert!(found.grade == Grade::Warning && found.text.contains("rotated files of web"), "{found:?}");
        assert_eq!(copies(&compressed, false), None);
        assert_eq!(copies(&container(&[("max-size", "1m"), ("max-file", "3")]), true), None);
        assert_eq!(copies(&container(&[("compress", "true")]), true), None, "never rotated");
    }

    #[tokio::test]
    async fn an_engine_that_does_not_answer_is_bad() {
        let environment = Environment::read(Some("unix:///nowhere/docker.sock".into()), |_| None);
        let found = examine(&Source::Engine { environment, files: None }).await;
        assert_eq!(found.iter().map(|finding| finding.grade).collect::<Vec<_>>(), [Grade::Bad]);
        assert!(found[0].text.contains("/nowhere/docker.sock"), "{found:?}");
    }
}
