//! kv event by event: what one text gives, with one option at a time.

use crate::filter::testing::{filtered, mistakes};

#[test]
fn quotes_brackets_and_repeated_keys() {
    assert_eq!(
        filtered("kv { remove_field => message }", r#"{"message":"a=\"x y\" b=(p q) a=2 c= d=e a=3"}"#),
        r#"{"a":["x y","2","3"],"b":"p q","c":"d=e"}"#
    );
}

#[test]
fn keys_are_chosen_before_the_prefix_and_after_the_letter_case() {
    assert_eq!(
        filtered(
            r#"kv { include_keys => ["a", "%{x}"] exclude_keys => ["b"] prefix => "p_%{x}_" transform_key => lowercase target => "[k][v]" }"#,
            r#"{"message":"A=1 b=2 C=3 d=4","x":"c"}"#
        ),
        r#"{"message":"A=1 b=2 C=3 d=4","x":"c","k":{"v":{"p_c_a":"1","p_c_c":"3"}}}"#
    );
}

#[test]
fn a_list_is_read_element_by_element_and_only_texts_are_allowed() {
    assert_eq!(
        filtered("kv { }", r#"{"message":["a=1",null,"a=2"]}"#),
        r#"{"message":["a=1",null,"a=2"],"a":["1","2"]}"#
    );
    assert_eq!(filtered("kv { }", r#"{"message":["a=1",5]}"#), r#"{"message":["a=1",5],"tags":["_kv_filter_error"]}"#);
}

#[test]
fn a_bad_key_stops_half_way() {
    assert_eq!(
        filtered("kv { add_tag => done }", r#"{"message":"a=1 b[]=2 c=3"}"#),
        r#"{"message":"a=1 b[]=2 c=3","a":"1","tags":["_kv_filter_error"]}"#
    );
}

#[test]
fn nothing_found_is_no_success() {
    assert_eq!(filtered("kv { add_tag => done }", r#"{"message":"none"}"#), r#"{"message":"none"}"#);
    assert_eq!(
        filtered("kv { add_tag => done default_keys => { 'a' => 5 } }", r#"{"message":"none"}"#),
        r#"{"message":"none","a":5,"tags":["done"]}"#
    );
}

#[test]
fn values_are_read_again_but_not_for_ever() {
    assert_eq!(
        filtered("kv { recursive => true }", r#"{"message":"a=(b=1 cc=2) d=3"}"#),
        r#"{"message":"a=(b=1 cc=2) d=3","a":{"b":"1","cc":"2"},"d":"3"}"#
    );
    let deep = format!(r#"{{"message":"{}"}}"#, "a=".repeat(100_000));
    assert!(filtered("kv { recursive => true target => 't' }", &deep).starts_with(r#"{"message":"a="#));
}

#[test]
fn empty_splits_and_bad_patterns_are_refused() {
    assert_eq!(mistakes(r#"kv { field_split => "" }"#), ["`field_split` of kv is empty"]);
    assert_eq!(mistakes(r#"kv { field_split_pattern => "(" }"#).len(), 1);
    assert_eq!(mistakes(r#"kv { trim_key => "" }"#).len(), 1);
}

#[test]
fn what_costs_too_much_is_tagged() {
    let event = format!(r#"{{"message":"k={}"}}"#, "a".repeat(4 << 10));
    let section = r"kv { field_split_pattern => '(?:(?=(a+))a\1?)*b' timeout_millis => 5 }";
    let shown = crate::filter::testing::filtered(section, &event);
    assert!(shown.ends_with(r#""tags":["_kv_filter_timeout"]}"#), "{shown:.300}");
}
