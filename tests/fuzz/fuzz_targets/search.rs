//! Any text is a filter and an order, or an error that names the place; the parsers never panic.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = tenor_platform::parse_filter(text);
    let _ = tenor_platform::parse_order(text);
});
