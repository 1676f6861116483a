//! Where `${NAME}` and environment settings come from: the variable NAME, else the file that the variable NAME_FILE names, else the Docker
//! secret `/run/secrets/NAME` (or its name in small letters).
//!
//! A value that came from a file, and one whose name sounds like a secret, is remembered by [`crate::secret`], so that no log and no message
//! shows it.

use std::fs;
use std::path::Path;

use crate::secret;

/// Where Docker mounts secrets.
const SECRETS: &str = "/run/secrets";

/// Names with one of these in them are of secrets, wherever the value comes from.
const SECRET_WORDS: [&str; 6] = ["PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "PWD"];

/// The value of `${NAME}` in pipeline and settings files; nothing when there is none.
///
/// # Errors
/// A file that was named for it and can't be read.
pub(crate) fn find(name: &str) -> Result<Option<String>, String> {
    Variables { environment: &environment, secrets: Path::new(SECRETS) }.find(name)
}

/// The value of the setting that the environment calls `name`: as [`find`], but a secret must be named by `NAME_FILE`, for a file that happens
/// to be called like a setting is none.
///
/// # Errors
/// A file that was named for it and can't be read.
pub(crate) fn setting(name: &str) -> Result<Option<String>, String> {
    let found = Variables { environment: &environment, secrets: Path::new(SECRETS) }.given(name)?;
    Ok(found.filter(|value| !value.is_empty()))
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

struct Variables<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    secrets: &'a Path,
}

impl Variables<'_> {
    fn find(&self, name: &str) -> Result<Option<String>, String> {
        match self.given(name)? {
            Some(value) => Ok(Some(value)),
            None => self.secret(name),
        }
    }

    fn given(&self, name: &str) -> Result<Option<String>, String> {
        if let Some(value) = (self.environment)(name) {
            if is_secret(name) {
                secret::remember(name, &value);
            }
            return Ok(Some(value));
        }
        match (self.environment)(&format!("{name}_FILE")) {
            Some(path) if !path.is_empty() => content(name, Path::new(&path)).map(Some),
            _ => Ok(None),
        }
    }

    fn secret(&self, name: &str) -> Result<Option<String>, String> {
        let candidates = [self.secrets.join(name), self.secrets.join(name.to_lowercase())];
        candidates.iter().find(|path| path.is_file()).map(|path| content(name, path)).transpose()
    }
}

/// A secret's file without the line break at its end, which editors and `echo` put there.
fn content(name: &str, path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{} can't be read: {error}", path.display()))?;
    let text = text.strip_suffix('\n').map_or(&*text, |text| text.strip_suffix('\r').unwrap_or(text));
    secret::remember(name, text);
    Ok(text.to_owned())
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Folder;

    #[test]
    fn the_environment_comes_before_files_and_named_files_before_docker_secrets() {
        let folder = Folder::new("variables");
        for (name, text) in [("FROM_DOCKER", "one\n"), ("small_letters", "two\r\n"), ("named", "three\n\n")] {
            folder.write(name, text);
        }
        let named = folder.join("named").to_string_lossy().into_owned();
        let environment = |name: &str| match name {
            "SET" => Some("set".to_owned()),
            "SET_FILE" | "NAMED_FILE" => Some(named.clone()),
            "LOST_FILE" => Some("/nowhere/lost".to_owned()),
            _ => None,
        };
        let variables = Variables { environment: &environment, secrets: &folder };
        let found: Vec<_> = ["SET", "NAMED", "FROM_DOCKER", "SMALL_LETTERS", "NOT", "LOST", ".."]
            .into_iter()
            .map(|name| variables.find(name))
            .collect();
        let value = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(found[..4], [value("set"), value("three\n"), value("one"), value("two")]);
        assert_eq!(found[4], Ok(None));
        assert!(found[5].as_ref().is_err_and(|reason| reason.starts_with("/nowhere/lost can't be read")));
        assert_eq!(found[6], Ok(None));
        assert!(secret::mask("it is three\n!").contains("${NAMED}"));
    }

    #[test]
    fn names_of_secrets_are_known() {
        assert!(is_secret("LOGSTASH_INTERNAL_PASSWORD") && is_secret("es.api_key") && !is_secret("ES_HOST"));
    }
}
