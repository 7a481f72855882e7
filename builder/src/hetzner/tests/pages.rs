//! Lists of many pages.

use serde_json::json;

use super::api::{Answer, Api, object, operation};
use crate::hetzner::ImageId;
use crate::hetzner::label::RUN;
use crate::hetzner::server::Server;
use crate::hetzner::server_type::Architecture;
use crate::hetzner::{HetznerError, Query, Selector};

fn page(ids: &[u64], next: Option<u64>) -> Answer {
    let server = |id: &u64| {
        object(include_str!("replies/server.json"), &json!({ "id": id, "name": format!("node{id}") }))
    };
    let servers: Vec<_> = ids.iter().map(server).collect();
    Answer::ok(&json!({ "servers": servers, "meta": { "pagination": { "page": 1, "next_page": next } } }))
}

#[tokio::test]
async fn reads_all_pages_in_order() {
    let api = Api::start().await;
    api.on("GET /servers", [page(&[1, 2], Some(2)), Answer::Cut, page(&[3], Some(3)), page(&[4], None)]);
    let query = Query::default().label(&Selector::equals(RUN, "1"));
    let servers = api.client().list::<Server>(&operation(), &query).await.unwrap();
    assert_eq!(servers.iter().map(|server| server.id.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let line = |page| format!("GET /servers?label_selector=imgbuild.org%2Frun%3D1&page={page}&per_page=50");
    assert_eq!(api.lines(), [1, 2, 2, 3].map(line));
}

#[tokio::test]
async fn a_list_that_leads_back_is_given_up() {
    for next in [1, 0] {
        let api = Api::start().await;
        api.on("GET /servers", std::iter::repeat_n(page(&[1], Some(next)), 5));
        let error = api.client().list::<Server>(&operation(), &Query::default()).await.unwrap_err();
        assert!(matches!(error, HetznerError::Endless { pages: 1, .. }), "{error}");
        assert_eq!(api.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_name_is_the_whole_name() {
    let api = Api::start().await;
    // A server that does not know the parameter.
    api.on("GET /servers", std::iter::repeat_n(page(&[12, 1], None), 2));
    let client = api.client();
    let found = client.by_name::<Server>(&operation(), "node1").await.unwrap();
    assert_eq!(found.map(|server| server.id.0), Some(1));
    assert!(client.by_name::<Server>(&operation(), "node2").await.unwrap().is_none());
    assert_eq!(api.lines()[0], "GET /servers?name=node1&page=1&per_page=50");
}

#[tokio::test]
async fn images_of_hetzners_are_chosen_by_architecture() {
    let api = Api::start().await;
    let image = |id: u64, architecture: &str, kind: &str| {
        let changes = json!({ "id": id, "architecture": architecture, "type": kind });
        object(include_str!("replies/image.json"), &changes)
    };
    // A server that does not know the parameters.
    let images = [image(1, "x86", "system"), image(2, "arm", "snapshot"), image(3, "arm", "system")];
    api.on("GET /images", [Answer::ok(&json!({ "images": images }))]);
    let found = api.client().system_images(&operation(), &Architecture::Arm).await.unwrap();
    assert_eq!(found.iter().map(|image| image.id).collect::<Vec<_>>(), [ImageId(3)]);
    let line = "GET /images?type=system&architecture=arm&page=1&per_page=50";
    assert_eq!(api.lines(), [line]);
}
