//! The token goes to the API and nowhere else.

use std::error::Error;

use serde_json::json;

use super::api::{Answer, Api, TOKEN, operation};
use crate::hetzner::server::Server;
use crate::hetzner::{HetznerError, Query};

/// All that an error can show.
fn shown(error: &HetznerError) -> String {
    let mut shown = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        shown = format!("{shown} {cause} {cause:?}");
        source = cause.source();
    }
    shown
}

#[tokio::test]
async fn the_api_gets_it_and_no_error_shows_it() {
    let echo = json!({ "error": {
        "code": format!("code-{TOKEN}"),
        "message": format!("Bearer {TOKEN} is wrong"),
        "details": { "fields": [{ "name": TOKEN, "messages": [TOKEN] }] },
    } });
    let wrong = json!({ "servers": [{ "id": TOKEN }] });
    let html = format!("<html>{TOKEN}</html>");
    for answer in [
        Answer::json(401, &echo),
        Answer::ok(&wrong),
        Answer::Text(500, String::new(), html.clone()),
        Answer::Text(200, String::new(), html),
        Answer::Half(format!("{{\"{TOKEN}")),
        Answer::Silence,
        Answer::Cut,
    ] {
        let api = Api::start().await;
        api.on("GET /servers", std::iter::repeat_n(answer.clone(), 6));
        let error = api.client().list::<Server>(&operation(), &Query::default()).await.unwrap_err();
        assert!(!shown(&error).contains(TOKEN), "{answer:?}: {}", shown(&error));
        let asked = api.asked();
        assert!(asked.iter().all(|asked| asked.authorization == format!("Bearer {TOKEN}")), "{asked:?}");
        assert!(asked.iter().all(|asked| !asked.line.contains(TOKEN)), "{asked:?}");
    }
}

#[tokio::test]
async fn no_debug_output_shows_it() {
    let api = Api::start().await;
    let client = format!("{:?}", api.client());
    assert!(client.contains("<token>") && !client.contains(TOKEN), "{client}");
}

#[tokio::test]
async fn no_redirect_leads_it_elsewhere() {
    let (api, elsewhere) = (Api::start().await, Api::start().await);
    let location = format!("Location: http://{}/v1/servers", elsewhere.address());
    api.on("GET /servers", [Answer::Text(302, String::new(), String::new()).with(&location)]);
    let error = api.client().list::<Server>(&operation(), &Query::default()).await.unwrap_err();
    assert!(matches!(error, HetznerError::Status { status: 302, .. }), "{error}");
    assert_eq!(elsewhere.asked(), []);
}
