//! csv with any separator, the first line, over any text.

#![no_main]

use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|input: &str| {
    let (separator, text) = input.split_once('\n').unwrap_or((",", input));
    if separator.len() > 8 || text.len() > 2000 {
        return;
    }
    let separator = separator.replace(['"', '\\'], "");
    let convert = "convert => { \"column1\" => \"integer\" \"column2\" => \"float\" \"column3\" => \"date_time\" }";
    common::filtered(&format!("csv {{ separator => \"{separator}\" {convert} }}"), text);
    common::filtered("csv { quote_char => \"'\" skip_empty_columns => true autodetect_column_names => true }", text);
});
