//! A headless Chromium that is told what to do: commands and answers of its debugging protocol, each ended by a zero byte, over a pipe.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Folder, eventually};

/// The browser with one tab; ended when dropped.
pub(crate) struct Browser {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    session: Value,
    count: u64,
    _profile: Folder,
}

impl Browser {
    /// Starts `chromium`, or what `CHROMIUM` names. The name must be unique among the tests.
    pub(crate) fn start(name: &str) -> Self {
        let profile = Folder::new(name);
        let program = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
        // The browser reads commands on descriptor 3 and answers on 4. A sandbox of its own it can't have as root; it sees the agent's page only.
        let mut child = Command::new("timeout")
            .args(["120", "sh", "-c", "exec \"$0\" \"$@\" 3<&0 4>&1 >/dev/null 2>&1"])
            .args([&program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.text()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (commands, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut browser = Self { child, commands, answers, session: Value::Null, count: 0, _profile: profile };
        let target = browser.tell("Target.createTarget", &json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = browser.tell("Target.attachToTarget", &json!({ "targetId": target, "flatten": true }));
        browser.session = attached["sessionId"].clone();
        browser
    }

    /// Gives a command that works.
    pub(crate) fn tell(&mut self, method: &str, parameters: &Value) -> Value {
        self.ask(method, parameters).unwrap()
    }

    /// Gives a command and waits for what comes of it; events in between are passed over.
    fn ask(&mut self, method: &str, parameters: &Value) -> Result<Value, String> {
        self.count += 1;
        let mut command = json!({ "id": self.count, "method": method, "params": parameters });
        if !self.session.is_null() {
            command["sessionId"] = self.session.clone();
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let mut answer = Vec::new();
            self.answers.read_until(0, &mut answer).unwrap();
            assert_eq!(answer.pop(), Some(0), "{method}: the browser has ended; is chromium there, or CHROMIUM set?");
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            if answer["id"] == self.count {
                let failed = !answer["error"].is_null();
                return if failed { Err(format!("{method}: {answer}")) } else { Ok(answer["result"].clone()) };
            }
        }
    }

    /// Opens a page of this width and waits until it is there.
    pub(crate) fn open(&mut self, url: &str, width: u32) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.tell("Emulation.setDeviceMetricsOverride", &metrics);
        let opened = self.tell("Page.navigate", &json!({ "url": url }));
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
        self.until("the end of the page", |html| html.contains("</html>").then_some(()));
    }

    /// Has pages run scripts, or not.
    pub(crate) fn run_scripts(&mut self, run: bool) {
        self.tell("Emulation.setScriptExecutionDisabled", &json!({ "value": !run }));
    }

    /// The page as it is now, scripts or not.
    pub(crate) fn html(&mut self) -> String {
        // A page that loads itself anew may do so between the two.
        eventually("the same page twice", Duration::from_secs(10), || {
            let root = self.ask("DOM.getDocument", &json!({}))?["root"]["nodeId"].clone();
            let html = self.ask("DOM.getOuterHTML", &json!({ "nodeId": root }))?;
            Ok(html["outerHTML"].as_str().unwrap().to_owned())
        })
    }

    /// Waits for something on the page.
    pub(crate) fn until<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        eventually(what, Duration::from_secs(30), || {
            let html = self.html();
            find(&html).ok_or(html)
        })
    }

    /// What an expression comes to on the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true });
        let answer = self.tell("Runtime.evaluate", &parameters);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// A picture of the whole page, in base64; for whoever wants to look at it.
    pub(crate) fn picture(&mut self) -> String {
        let parameters = json!({ "captureBeyondViewport": true });
        self.tell("Page.captureScreenshot", &parameters)["data"].as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends with its pipe; `timeout` passes the signal on when it does not.
        let _ = std::process::Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
