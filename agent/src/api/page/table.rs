//! Tables whose cells know their headings: where the screen is narrow each row becomes a card, and the headings stand in it.

/// A heading, and the class of its column: `n` for figures, `wide` for texts that may be long.
pub(super) type Column = (&'static str, &'static str);

/// A table in the making. Cells are HTML; whoever makes them escapes what comes from outside.
pub(super) struct Table {
    columns: &'static [Column],
    rows: String,
}

impl Table {
    pub(super) fn new(columns: &'static [Column]) -> Self {
        Self { columns, rows: String::new() }
    }

    /// A row, with a cell for each column.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(self.columns.len(), N, "{:?}", self.columns);
        let cells = self.columns.iter().zip(cells);
        let cells = cells.map(|((name, class), cell)| format!("<td class=\"{class}\" data-of=\"{name}\">{cell}</td>"));
        self.rows += &format!("<tr>{}</tr>", cells.collect::<String>());
    }

    /// A line across all columns.
    pub(super) fn line(&mut self, text: &str) {
        self.rows += &format!("<tr class=\"line\"><td colspan=\"{}\">{text}</td></tr>", self.columns.len());
    }

    pub(super) fn html(self) -> String {
        let heads = self.columns.iter().map(|(name, class)| format!("<th class=\"{class}\">{name}</th>"));
        let head: String = heads.collect();
        format!("<table><thead><tr>{head}</tr></thead><tbody>{}</tbody></table>", self.rows)
    }
}
