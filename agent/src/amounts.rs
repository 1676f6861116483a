//! Amounts for people: numbers, times and sizes in the unit that suits them.

/// As many digits as mean something.
pub(crate) fn number(value: f64) -> String {
    if value >= 100.0 || value == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// A time in the unit that suits it.
pub(crate) fn lasting(seconds: f64) -> String {
    match seconds {
        under if under <= 0.0 => "0".into(),
        under if under < 1.0 => format!("{:.0} ms", under * 1e3),
        under if under < 120.0 => format!("{under:.1} s"),
        under if under < 7200.0 => format!("{:.0} min", under / 60.0),
        under if under < 172_800.0 => format!("{:.0} h", under / 3600.0),
        days => format!("{:.0} d", days / 86_400.0),
    }
}

/// A size in the unit that suits it.
pub(crate) fn size(bytes: usize) -> String {
    let bytes = bytes as f64;
    match bytes {
        under if under < 1024.0 => format!("{under:.0} B"),
        under if under < 1_048_576.0 => format!("{:.0} KiB", under / 1024.0),
        under if under < 1_073_741_824.0 => format!("{:.1} MiB", under / 1_048_576.0),
        more => format!("{:.2} GiB", more / 1_073_741_824.0),
    }
}
