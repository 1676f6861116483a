//! The outcome as JUnit's XML, which every CI reads: a suite for each case file.

use std::fmt::Write;
use std::time::Duration;

use super::{Ran, Suite};
use crate::markup;

/// The whole report.
pub(super) fn report(suites: &[Suite]) -> String {
    let all = || suites.iter().flat_map(|suite| &suite.ran);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String never fails.
    let _ = writeln!(xml, "<testsuites name=\"elkhound test\" {}>", totals(all()));
    for suite in suites {
        let file = escaped(&suite.file.display().to_string());
        let _ = writeln!(xml, "  <testsuite name=\"{file}\" {}>", totals(suite.ran.iter()));
        suite.ran.iter().for_each(|ran| case(&file, ran, &mut xml));
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn totals<'a>(ran: impl Iterator<Item = &'a Ran> + Clone) -> String {
    let failures = ran.clone().filter(|ran| ran.failure.is_some()).count();
    let took: Duration = ran.clone().map(|ran| ran.took).sum();
    format!("tests=\"{}\" failures=\"{failures}\" errors=\"0\" time=\"{:.3}\"", ran.count(), took.as_secs_f64())
}

fn case(file: &str, ran: &Ran, xml: &mut String) {
    let name = escaped(&ran.name);
    let seconds = ran.took.as_secs_f64();
    let _ = write!(
        xml,
        "    <testcase name=\"{name}\" classname=\"{file}\" file=\"{file}\" line=\"{}\" time=\"{seconds:.3}\"",
        ran.line
    );
    match &ran.failure {
        None => xml.push_str("/>\n"),
        Some(failure) => {
            let first = escaped(failure.lines().next().unwrap_or_default());
            let _ = writeln!(
                xml,
                ">\n      <failure message=\"{first}\">{}</failure>\n    </testcase>",
                escaped(failure.trim_end())
            );
        }
    }
}

/// Text for XML; characters that XML does not have become U+FFFD.
fn escaped(text: &str) -> String {
    let is_in_xml = |letter: char| match letter {
        '\n' | '\t' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        _ => !letter.is_control(),
    };
    markup::escaped(text, |letter| (!is_in_xml(letter)).then_some("\u{fffd}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_and_escaped() {
        let ran = |name: &str, failure: Option<&str>| Ran {
            name: name.to_owned(),
            line: 3,
            took: Duration::from_millis(2),
            failure: failure.map(str::to_owned),
        };
        let suites =
            [Suite { file: "a.test.yml".into(), ran: vec![ran("one", None), ran("<two>", Some("1 & \"2\"\n\x07\n"))] }];
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <testsuites name=\"elkhound test\" tests=\"2\" failures=\"1\" errors=\"0\" time=\"0.004\">\n  \
              <testsuite name=\"a.test.yml\" tests=\"2\" failures=\"1\" errors=\"0\" time=\"0.004\">\n    \
                <testcase name=\"one\" classname=\"a.test.yml\" file=\"a.test.yml\" line=\"3\" time=\"0.002\"/>\n    \
                <testcase name=\"&lt;two&gt;\" classname=\"a.test.yml\" file=\"a.test.yml\" line=\"3\" time=\"0.002\">\n      \
                  <failure message=\"1 &amp; &quot;2&quot;\">1 &amp; &quot;2&quot;\n\u{fffd}</failure>\n    \
                </testcase>\n  \
              </testsuite>\n\
            </testsuites>\n";
        assert_eq!(report(&suites), expected);
    }
}
