//! The screen of `elkhound top`, drawn from a [`Look`] and nothing else.

use ratatui::Frame;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::look::{Container, Look, Pipeline};
use crate::amounts::{lasting, number, size};
use crate::stats::containers::BEHIND;

/// So many filters of a pipeline are shown: those that took the longest.
const FILTERS: usize = 6;

/// Below this width only those columns are shown that are looked at most, and no bars.
const NARROW: u16 = 120;

/// The columns of a table.
struct Columns {
    /// A heading that begins with `>` stands at the right, as its figures do; and the width.
    all: &'static [(&'static str, u16)],
    /// Those that a narrow screen has.
    narrow: &'static [usize],
}

const OF_FILTERS: Columns = Columns {
    all: &[
        ("filter", 30),
        ("place", 36),
        (">events/s", 10),
        (">in", 12),
        (">out", 12),
        (">failed", 10),
        (">time", 10),
        (">an event", 10),
    ],
    narrow: &[0, 2, 3, 5, 7],
};
const OF_OUTPUTS: Columns = Columns {
    all: &[("output", 30), (">events", 12), (">indexed", 12), (">refused", 10), (">sent again", 12), ("answers", 60)],
    narrow: &[0, 2, 3, 5],
};
const OF_CONTAINERS: Columns = Columns {
    all: &[
        ("container", 30),
        ("service", 20),
        ("from", 5),
        (">lines/s", 10),
        (">lines", 12),
        (">lag", 10),
        (">cursor", 10),
        (">gaps", 10),
        (">left out", 10),
        ("last error", 40),
    ],
    narrow: &[0, 3, 5, 6, 9],
};

const DIM: Style = Style::new().fg(Color::DarkGray);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const RED: Style = Style::new().fg(Color::Red);

/// What is chosen by keys.
#[derive(Debug, Default)]
pub(super) struct View {
    sort: Sort,
    /// The first container that is shown.
    first: usize,
}

/// By what containers are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sort {
    #[default]
    Rate,
    Lag,
    Lines,
    Name,
}

impl Sort {
    fn next(self) -> Self {
        match self {
            Self::Rate => Self::Lag,
            Self::Lag => Self::Lines,
            Self::Lines => Self::Name,
            Self::Name => Self::Rate,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Lag => "lag",
            Self::Lines => "lines",
            Self::Name => "name",
        }
    }

    fn apply(self, containers: &mut [&Container]) {
        containers.sort_by(|a, b| {
            let order = match self {
                Self::Rate => b.rate.total_cmp(&a.rate),
                Self::Lag => b.lag.total_cmp(&a.lag),
                Self::Lines => b.lines.cmp(&a.lines),
                Self::Name => std::cmp::Ordering::Equal,
            };
            order.then_with(|| a.name.cmp(&b.name))
        });
    }
}

impl View {
    /// Does what a key says; others do nothing.
    pub(super) fn heed(&mut self, key: KeyCode) {
        match key {
            KeyCode::Tab => (self.sort, self.first) = (self.sort.next(), 0),
            KeyCode::Down => self.first += 1,
            KeyCode::Up => self.first = self.first.saturating_sub(1),
            KeyCode::PageDown => self.first += 10,
            KeyCode::PageUp => self.first = self.first.saturating_sub(10),
            KeyCode::Home => self.first = 0,
            _ => {}
        }
    }
}

/// What is drawn.
pub(super) struct Screen<'a> {
    pub(super) look: &'a Look,
    /// Why the last look failed.
    pub(super) trouble: Option<&'a str>,
    /// Whether keys are told.
    pub(super) keys: bool,
}

impl Screen<'_> {
    /// Draws it; the view is put back where it goes beyond the last container.
    pub(super) fn draw(&self, frame: &mut Frame<'_>, view: &mut View) {
        let heights: Vec<u16> = self.look.pipelines.iter().map(height).collect();
        let mut parts = vec![Constraint::Length(2)];
        parts.extend(heights.iter().map(|height| Constraint::Length(*height)));
        parts.extend([Constraint::Fill(1), Constraint::Length(u16::from(self.keys))]);
        let areas = Layout::vertical(parts).split(frame.area());
        let [head, pipelines @ .., containers, foot] = &*areas else { return };
        frame.render_widget(self.head(), *head);
        for (pipeline, area) in self.look.pipelines.iter().zip(pipelines) {
            draw_pipeline(pipeline, frame, *area);
        }
        draw_containers(&self.look.containers, view, frame, *containers);
        let keys = format!("q end   Tab sort (by {})   ↑ ↓ PgUp PgDn more", view.sort.name());
        frame.render_widget(Paragraph::new(keys).style(DIM), *foot);
    }

    fn head(&self) -> Paragraph<'static> {
        let Look { name, version, status, uptime, memory, cpu, behind: (left, time), .. } = self.look;
        let colour = match status.as_str() {
            "green" => Color::Green,
            "red" => Color::Red,
            _ => Color::Yellow,
        };
        let figures = format!("   up {}   cpu {cpu:.0} %   memory {}", lasting(*uptime), size(*memory));
        let time = time.map_or_else(String::new, |time| format!(", {}", lasting(time)));
        let behind = if (*left as u64) < BEHIND { String::new() } else { format!("   behind {}{time}", size(*left)) };
        let line = Line::from(vec![
            Span::styled(format!("elkhound {version}"), BOLD),
            Span::raw(format!(" on {name}   ")),
            Span::styled(status.clone(), Style::new().fg(colour)),
            Span::raw(figures),
            Span::styled(behind, Style::new().fg(Color::Yellow)),
        ]);
        let trouble = self.trouble.map(|trouble| Line::styled(format!("as last seen: {trouble}"), RED));
        Paragraph::new([Some(line), trouble].into_iter().flatten().collect::<Vec<_>>())
    }
}

fn shown_filters(pipeline: &Pipeline) -> usize {
    pipeline.filters.len().min(FILTERS)
}

/// Lines of a pipeline: two of its own, its filters and its outputs each with a heading, and an empty one.
fn height(pipeline: &Pipeline) -> u16 {
    let table = |rows: usize| if rows == 0 { 0 } else { rows + 1 };
    u16::try_from(2 + table(shown_filters(pipeline)) + table(pipeline.outputs.len()) + 1).unwrap_or(u16::MAX)
}

fn draw_pipeline(pipeline: &Pipeline, frame: &mut Frame<'_>, area: Rect) {
    let filters = shown_filters(pipeline);
    let parts = [2, if filters == 0 { 0 } else { filters + 1 }].map(|rows| Constraint::Length(rows as u16));
    let areas = Layout::vertical([parts[0], parts[1], Constraint::Fill(1)]).split(area);
    frame.render_widget(Paragraph::new(vec![rates(pipeline), fill(pipeline, area.width)]), areas[0]);
    if filters > 0 {
        frame.render_widget(filters_of(pipeline, area.width), areas[1]);
    }
    if !pipeline.outputs.is_empty() {
        frame.render_widget(outputs_of(pipeline, area.width), areas[2]);
    }
}

fn rates(pipeline: &Pipeline) -> Line<'static> {
    let [entered, filtered, left] = pipeline.rates.map(number);
    Line::from(vec![
        Span::styled(format!("pipeline {}", pipeline.id), BOLD),
        Span::raw(format!("   in {entered}/s → filters {filtered}/s → out {left}/s")),
    ])
}

fn fill(pipeline: &Pipeline, width: u16) -> Line<'static> {
    let [used, most] = pipeline.queue;
    let [batch, full] = pipeline.batch;
    let bar = |used: f64, most: f64| if width < NARROW { String::new() } else { bar(used / most.max(1.0)) };
    Line::from(format!(
        "in flight {}{} of {}, {} wait   batch {}{} of {full:.0}   workers {}{:.0} %",
        bar(used as f64, most as f64),
        size(used),
        size(most),
        pipeline.waiting,
        bar(batch, full),
        number(batch),
        bar(pipeline.busy, 100.0),
        pipeline.busy
    ))
}

/// A bar of ten cells, and a gap.
fn bar(part: f64) -> String {
    let cells = (part.clamp(0.0, 1.0) * 10.0).round() as usize;
    format!("{}{} ", "█".repeat(cells), "░".repeat(10 - cells))
}

fn filters_of(pipeline: &Pipeline, width: u16) -> Table<'static> {
    let mut filters: Vec<_> = pipeline.filters.iter().collect();
    // Stable: those that took no time stay in the order of the file.
    filters.sort_by_key(|filter| std::cmp::Reverse(filter.millis));
    let hidden = filters.len() - shown_filters(pipeline);
    let rows = filters.into_iter().take(FILTERS).map(|filter| {
        vec![
            Cell::from(filter.id.clone()),
            Cell::from(filter.place.clone()),
            Cell::from(right(&number(filter.rate), 10)),
            Cell::from(figure(filter.entered)),
            Cell::from(figure(filter.left)),
            Cell::from(figure(filter.failed)).style(if filter.failed > 0 { RED } else { Style::new() }),
            Cell::from(right(&lasting(filter.millis as f64 / 1e3), 10)),
            Cell::from(right(&format!("{} µs", number(filter.micros)), 10)),
        ]
    });
    let name = if hidden > 0 { format!("filter (and {hidden} more)") } else { "filter".to_owned() };
    table(rows, &OF_FILTERS, &name, width)
}

fn outputs_of(pipeline: &Pipeline, width: u16) -> Table<'static> {
    let rows = pipeline.outputs.iter().map(|output| {
        let [indexed, refused, again] =
            output.documents.map_or([String::new(), String::new(), String::new()], |all| all.map(figure));
        let refusing = output.documents.is_some_and(|[_, refused, _]| refused > 0);
        vec![
            Cell::from(output.id.clone()),
            Cell::from(figure(output.events)),
            Cell::from(indexed),
            Cell::from(refused).style(if refusing { RED } else { Style::new() }),
            Cell::from(again),
            Cell::from(output.answers.clone()),
        ]
    });
    table(rows, &OF_OUTPUTS, "output", width)
}

fn draw_containers(all: &[Container], view: &mut View, frame: &mut Frame<'_>, area: Rect) {
    if all.is_empty() {
        return;
    }
    let mut sorted: Vec<&Container> = all.iter().collect();
    view.sort.apply(&mut sorted);
    let room = usize::from(area.height.saturating_sub(1));
    view.first = view.first.min(all.len().saturating_sub(room));
    let rows = sorted.into_iter().skip(view.first).take(room).map(|one| cells(one).to_vec());
    frame.render_widget(table(rows, &OF_CONTAINERS, &format!("container ({})", all.len()), area.width), area);
}

fn cells(one: &Container) -> [Cell<'static>; 10] {
    [
        Cell::from(one.name.clone()),
        Cell::from(one.service.clone()),
        Cell::from(one.source.clone()),
        Cell::from(right(&number(one.rate), 10)),
        Cell::from(figure(one.lines)),
        Cell::from(right(&lasting(one.lag), 10)),
        Cell::from(right(&lasting(one.cursor_age), 10)),
        Cell::from(figure(one.gaps)),
        Cell::from(figure(one.suppressed)),
        Cell::from(one.error.clone()).style(RED),
    ]
}

/// A table whose first heading is `name`.
fn table(rows: impl Iterator<Item = Vec<Cell<'static>>>, columns: &Columns, name: &str, screen: u16) -> Table<'static> {
    let all: Vec<usize> = (0..columns.all.len()).collect();
    let shown = if screen < NARROW { columns.narrow } else { &all };
    let rows = rows.map(|cells| Row::new(shown.iter().map(|at| cells[*at].clone()).collect::<Vec<_>>()));
    let head = shown.iter().map(|at| {
        let (head, width) = columns.all[*at];
        let head = if *at == 0 { name } else { head };
        head.strip_prefix('>').map_or_else(|| head.to_owned(), |head| right(head, figure_width(width)))
    });
    let head = Row::new(head.collect::<Vec<_>>()).style(DIM);
    // The last column has what is left; texts before it give way where the screen is narrow.
    let constraints = shown.iter().enumerate().map(|(place, at)| match columns.all[*at].1 {
        _ if place + 1 == shown.len() => Constraint::Fill(1),
        wide if wide > 12 => Constraint::Max(wide),
        narrow => Constraint::Length(narrow),
    });
    Table::new(rows.collect::<Vec<_>>(), constraints.collect::<Vec<_>>()).header(head).column_spacing(1)
}

/// Figures are ten wide, counts twelve.
fn figure_width(width: u16) -> usize {
    usize::from(width.min(12))
}

fn figure(count: u64) -> String {
    right(&count.to_string(), 10)
}

fn right(text: &str, width: usize) -> String {
    format!("{text:>width$}")
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::look::testing;
    use super::*;

    /// The screen as text, without what is empty at its edges.
    fn drawn(trouble: Option<&str>, view: &mut View, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let look = testing::look();
        terminal.draw(|frame| Screen { look: &look, trouble, keys: true }.draw(frame, view)).unwrap();
        let cells = terminal.backend().buffer().content().to_vec();
        let row = |row: &[ratatui::buffer::Cell]| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>();
        cells.chunks(usize::from(width)).map(|cells| row(cells).trim_end().to_owned()).collect()
    }

    #[test]
    fn the_whole_screen() {
        let shown = drawn(None, &mut View::default(), 150, 13).join("\n");
        let expected = "\
elkhound 0.1.0 on node-1   yellow   up 90.0 s   cpu 12 %   memory 40.0 MiB   behind 3.0 MiB, 1.5 s

pipeline main   in 1200/s → filters 1100/s → out 1000/s
in flight ███░░░░░░░ 6.0 MiB of 24.0 MiB, 42 wait   batch ████████░░ 100 of 125   workers ████░░░░░░ 38 %";
        assert!(shown.starts_with(expected), "{shown}");
        for words in [
            "grok-1 p.conf:3 100 300 9 1 5 ms 4.2 µs",
            "es 9 8 1 2 200 × 7, 429 × 2",
            "container (2) service from lines/s lines lag cursor gaps left out last error",
            "shop_web.1 shop files 100 300 300 ms 400 ms 0 0",
            "shop_db.1 shop files 1.0 12 12 ms 400 ms 0 0 cut [2J off",
            "q end Tab sort (by rate) ↑ ↓ PgUp PgDn more",
        ] {
            let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(shown.lines().any(|line| squeezed(line) == words), "{words}\n{shown}");
        }
    }

    #[test]
    fn headings_stand_above_their_figures() {
        let shown = drawn(None, &mut View::default(), 150, 13);
        let end = |line: &String, word: &str| {
            let at = line.find(word).unwrap_or_else(|| panic!("{word} is not in {line}"));
            line[..at].chars().count() + word.len()
        };
        let (head, row) = (&shown[9], &shown[10]);
        assert_eq!(end(head, "lines/s"), end(row, "100"), "{head}\n{row}");
        assert_eq!(end(head, "lag"), end(row, "300 ms"), "{head}\n{row}");
    }

    #[test]
    fn tab_sorts_by_something_else_and_arrows_stop_at_the_end() {
        let mut view = View::default();
        let first = |shown: &[String]| shown[10].split_whitespace().next().unwrap_or_default().to_owned();
        assert_eq!(first(&drawn(None, &mut view, 150, 13)), "shop_web.1");
        (0..3).for_each(|_| view.heed(KeyCode::Tab));
        assert_eq!((view.sort, first(&drawn(None, &mut view, 150, 13)).as_str()), (Sort::Name, "shop_db.1"));
        (0..9).for_each(|_| view.heed(KeyCode::Down));
        assert_eq!(first(&drawn(None, &mut view, 150, 12)), "shop_web.1");
        assert_eq!(view.first, 1);
        view.heed(KeyCode::Home);
        assert_eq!(view.first, 0);
    }

    #[test]
    fn a_narrow_screen_has_what_is_looked_at_most_and_cuts_nothing_off() {
        let shown = drawn(None, &mut View::default(), 80, 13).join("\n");
        let expected = "\
pipeline main   in 1200/s → filters 1100/s → out 1000/s
in flight 6.0 MiB of 24.0 MiB, 42 wait   batch 100 of 125   workers 38 %
filter                           events/s         in     failed   an event
grok-1                                100        300          1     4.2 µs
output                            indexed    refused answers
es                                      8          1 200 × 7, 429 × 2

container (2)                     lines/s        lag     cursor last error
shop_web.1                            100     300 ms     400 ms
shop_db.1                             1.0      12 ms     400 ms cut [2J off";
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(squeezed(&shown).contains(&squeezed(expected)), "{shown}");
    }

    #[test]
    fn trouble_is_told_beside_what_was_seen_last_and_no_screen_is_too_small() {
        let shown = drawn(Some("nobody listens"), &mut View::default(), 150, 13);
        assert_eq!(shown[1], "as last seen: nobody listens");
        for (width, height) in [(1, 1), (20, 3), (80, 6), (300, 100)] {
            drawn(Some("x"), &mut View::default(), width, height);
        }
    }
}
