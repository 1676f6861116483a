//! From the tree to the plan: finds each plugin in its table, lets it read its options, compiles conditions.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use elkhound_config::ast::{Branch, Document, Plugin, Section, SectionKind, Statement};
use elkhound_config::diagnostic::Diagnostic;
use elkhound_config::options::Options;
use elkhound_config::source::Source;

use super::ids::called;
use super::unknown::unknown;
use super::{Arm, ConditionCounters, Counters, PlacedFilter, PlacedOutput, Plan, Report, Step};
use super::{ids, references};
use crate::condition::Condition;
use crate::filter::common::{self, Common};
use crate::filter::{self, Filter};
use crate::setup::Setup;

/// A compiled pipeline and what the agent has to make itself.
pub struct Compiled {
    /// The filters and the routing.
    pub plan: Plan,
    /// The inputs, in the order of the file.
    pub inputs: Vec<Plugin>,
    /// The outputs, in the order of the file; routes refer to them by their number.
    pub outputs: Vec<Plugin>,
}

/// Compiles a pipeline. All mistakes are added to `diagnostics`; when there are any, the result must not be run.
pub fn compile(
    document: &Document,
    source: &Source,
    setup: &Setup<'_>,
    report: Report,
    diagnostics: &mut Vec<Diagnostic>,
) -> Compiled {
    ids::report_doubles(document, source, diagnostics);
    references::warn_of_broken(document, diagnostics);
    let mut filters = Filters { source, setup, diagnostics, placed: Vec::new() };
    let mut steps = Vec::new();
    for section in sections(document, SectionKind::Filter) {
        steps.extend(filters.steps(&section.body));
    }
    let placed = filters.placed;
    let mut outputs = Plugins { source, diagnostics, found: Vec::new() };
    let mut routes = Vec::new();
    for section in sections(document, SectionKind::Output) {
        routes.extend(outputs.steps(&section.body));
    }
    let outputs = outputs.found;
    let mut inputs = Plugins { source, diagnostics, found: Vec::new() };
    for section in sections(document, SectionKind::Input) {
        inputs.steps(&section.body);
    }
    let inputs = inputs.found;
    Compiled {
        plan: Plan {
            steps,
            filters: placed,
            outputs: placed_outputs(&outputs, source),
            routes,
            conditions: ConditionCounters::default(),
            report,
            set_aside: None,
        },
        inputs,
        outputs,
    }
}

fn placed_outputs(outputs: &[Plugin], source: &Source) -> Vec<Arc<PlacedOutput>> {
    let place = |(at, plugin): (usize, &Plugin)| PlacedOutput {
        name: plugin.name.clone(),
        id: called(plugin, at),
        place: source.place(plugin.span.start).to_string(),
        failed: AtomicU64::new(0),
    };
    outputs.iter().enumerate().map(place).map(Arc::new).collect()
}

fn sections(document: &Document, kind: SectionKind) -> impl Iterator<Item = &Section> {
    document.sections.iter().filter(move |section| section.kind == kind)
}

/// Compiles filters.
struct Filters<'a> {
    source: &'a Source,
    setup: &'a Setup<'a>,
    diagnostics: &'a mut Vec<Diagnostic>,
    placed: Vec<PlacedFilter>,
}

impl Filters<'_> {
    fn steps(&mut self, statements: &[Statement]) -> Vec<Step> {
        statements.iter().filter_map(|statement| self.step(statement)).collect()
    }

    fn step(&mut self, statement: &Statement) -> Option<Step> {
        match statement {
            Statement::Plugin(plugin) => self.place(plugin),
            Statement::Branch(branch) => {
                let arms = arms(branch, self.source, self.diagnostics);
                let bodies: Vec<Vec<Step>> = branch.arms.iter().map(|arm| self.steps(&arm.body)).collect();
                let otherwise = branch.otherwise.as_deref().map(|body| self.steps(body)).unwrap_or_default();
                join(arms, bodies, otherwise)
            }
        }
    }

    fn place(&mut self, plugin: &Plugin) -> Option<Step> {
        let Some(kind) = filter::find(&plugin.name) else {
            self.diagnostics.extend(unknown("filter", plugin, filter::KINDS.iter().map(|kind| kind.name)));
            return None;
        };
        let mut options = Options::new(plugin, &[kind.options, common::OPTIONS], self.diagnostics);
        let common = Common::read(&mut options);
        let filter = (kind.build)(&mut options, self.setup);
        options.finish();
        self.placed.push(self.placed_filter(plugin, common, filter?));
        Some(Step::Plugin(self.placed.len() - 1))
    }

    fn placed_filter(&self, plugin: &Plugin, common: Common, filter: Box<dyn Filter>) -> PlacedFilter {
        PlacedFilter {
            name: plugin.name.clone(),
            id: called(plugin, self.placed.len()),
            place: self.source.place(plugin.span.start).to_string(),
            counters: Counters::default(),
            common,
            filter,
        }
    }
}

/// Collects the plugins of a section that the agent makes.
struct Plugins<'a> {
    source: &'a Source,
    diagnostics: &'a mut Vec<Diagnostic>,
    found: Vec<Plugin>,
}

impl Plugins<'_> {
    fn steps(&mut self, statements: &[Statement]) -> Vec<Step> {
        statements.iter().filter_map(|statement| self.step(statement)).collect()
    }

    fn step(&mut self, statement: &Statement) -> Option<Step> {
        match statement {
            Statement::Plugin(plugin) => {
                self.found.push(plugin.clone());
                Some(Step::Plugin(self.found.len() - 1))
            }
            Statement::Branch(branch) => {
                let arms = arms(branch, self.source, self.diagnostics);
                let bodies: Vec<Vec<Step>> = branch.arms.iter().map(|arm| self.steps(&arm.body)).collect();
                let otherwise = branch.otherwise.as_deref().map(|body| self.steps(body)).unwrap_or_default();
                join(arms, bodies, otherwise)
            }
        }
    }
}

/// The conditions of a branch, each with its place and how it is written.
fn arms(branch: &Branch, source: &Source, diagnostics: &mut Vec<Diagnostic>) -> Vec<Option<Arm>> {
    let mut arm = |arm: &elkhound_config::ast::Arm| {
        let condition = Condition::compile(&arm.condition, diagnostics)?;
        let place = source.place(arm.span.start).to_string().into();
        Some(Arm { condition, body: Vec::new(), place, written: written(arm, source).into() })
    };
    branch.arms.iter().map(&mut arm).collect()
}

/// A condition as it stands in the file: up to the brace that opens its block.
fn written<'a>(arm: &elkhound_config::ast::Arm, source: &'a Source) -> &'a str {
    let text = source.text().get(arm.span.start as usize..).unwrap_or_default();
    let last = arm.condition.span().end.saturating_sub(arm.span.start) as usize;
    let brace = text.get(last..).and_then(|rest| rest.find('{')).map_or(last, |brace| last + brace);
    text.get(..brace).unwrap_or_default().trim_end()
}

/// Arms whose condition did not compile are left out: their mistake has been reported, and the plan won't run.
/// Conditions behind which there is nothing to do are not even evaluated: they can't drop an event, as in Logstash.
fn join(arms: Vec<Option<Arm>>, bodies: Vec<Vec<Step>>, otherwise: Vec<Step>) -> Option<Step> {
    let arms = arms.into_iter().zip(bodies);
    let mut arms: Vec<Arm> = arms.filter_map(|(arm, body)| Some(Arm { body, ..arm? })).collect();
    while otherwise.is_empty() && arms.last().is_some_and(|arm| arm.body.is_empty()) {
        arms.pop();
    }
    (!arms.is_empty()).then_some(Step::Branch { arms, otherwise })
}
