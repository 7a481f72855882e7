//! What strangers send to the claim service: a request's head and body, and a node's answer.

#![no_main]

use firstboot::http;

const LONGEST: usize = 1024;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut whole = data;
    if let Ok(request) = http::read_request(&mut whole, LONGEST) {
        assert!(request.body.len() <= LONGEST);
    }
    let mut whole = data;
    if let Ok(answer) = http::read_answer(&mut whole, LONGEST) {
        assert!(answer.body.len() <= LONGEST);
    }
});
