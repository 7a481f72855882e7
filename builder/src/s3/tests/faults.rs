//! Every fault at every call: it passes and all is well, or there is one clear error and nothing is left.

use std::time::Duration;

use s3_server::{Fault, FaultKind, Options};

use super::NOTHING;
use super::scene::{NAMES, Scene, client, keys, operation};
use crate::hetzner::{HetznerError, Operation, Pace, Run, Stop};
use crate::s3::{Endpoint, S3Error, Storage};

/// Requests of a whole way.
async fn count() -> u64 {
    let scene = Scene::new().await;
    scene.make(&Run::new().unwrap()).await.unwrap();
    u64::try_from(scene.server.requests().len()).unwrap()
}

fn passing() -> [FaultKind; 6] {
    [
        FaultKind::Answer { status: 503, code: "SlowDown" },
        FaultKind::Answer { status: 500, code: "InternalError" },
        FaultKind::Answer { status: 409, code: "OperationAborted" },
        FaultKind::Text { status: 502, body: "<html>bad gateway</html>" },
        FaultKind::CloseBefore,
        FaultKind::CloseAfter,
    ]
}

#[tokio::test]
async fn what_passes_is_not_noticed() {
    for makes_again in [true, false] {
        for kind in passing() {
            for nth in 0..count().await {
                let scene = Scene::with(Options { makes_again, ..Options::default() }).await;
                scene.server.add_fault(Fault::on_any(kind.clone()).after(nth).times(2));
                let run = Run::new().unwrap();
                let made = scene.make(&run).await;
                assert!(made.is_ok(), "{kind:?} at {nth}: {made:?}");
                let marks = format!("imgbuild.org/cluster/lab imgbuild.org/run/{run}");
                assert_eq!(scene.server.buckets(), NAMES.map(|name| format!("{name}: {marks}")));
            }
        }
    }
}

#[tokio::test]
async fn what_lasts_is_one_error_and_nothing_is_left() {
    let lasting = [
        FaultKind::Answer { status: 403, code: "AccessDenied" },
        FaultKind::Answer { status: 403, code: "RequestTimeTooSkewed" },
        FaultKind::Answer { status: 501, code: "NotImplemented" },
    ];
    for kind in passing().into_iter().chain(lasting) {
        for nth in 0..count().await {
            let scene = Scene::new().await;
            scene.server.add_fault(Fault::on_any(kind.clone()).after(nth));
            let error = scene.make(&Run::new().unwrap()).await.unwrap_err();
            assert!(!matches!(error, S3Error::Operation(_)), "{kind:?} at {nth}: {error}");
            let text = error.to_string();
            assert!(text.starts_with('`') && text.contains(&scene.server.url()), "{kind:?} at {nth}: {text}");
            scene.server.clear_faults();
            scene.storage.clean_up(&operation()).await.unwrap();
            assert_eq!(scene.server.buckets(), NOTHING, "{kind:?} at {nth}");
        }
    }
}

#[tokio::test]
async fn a_clean_up_that_is_disturbed_ends_well_or_says_what_is_wrong() {
    for kind in passing() {
        for nth in 0..8 {
            let scene = Scene::new().await;
            scene.make(&Run::new().unwrap()).await.unwrap();
            // More than one request is repeated.
            scene.server.add_fault(Fault::on_any(kind.clone()).after(nth).times(5));
            scene.storage.clean_up(&operation()).await.unwrap();
            assert_eq!(scene.server.buckets(), NOTHING, "{kind:?} at {nth}");
        }
    }
    let scene = Scene::new().await;
    scene.make(&Run::new().unwrap()).await.unwrap();
    scene.server.add_fault(Fault::on_any(FaultKind::Answer { status: 503, code: "SlowDown" }));
    let short = Operation::new("cleaning up", Duration::from_millis(300), &Stop::never());
    let error = scene.storage.clean_up(&short).await.unwrap_err();
    assert!(matches!(error, S3Error::Operation(HetznerError::Deadline { .. })), "{error:?}");
}

#[tokio::test]
async fn what_is_no_document_of_s3_is_no_list() {
    for body in [
        "",
        "<html/>",
        "{}",
        "<ListAllMyBucketsResult>",
        "<Error><Code>Odd</Code></Error>",
        "<DeleteResult/>",
    ] {
        for nth in 0..3 {
            let scene = Scene::new().await;
            scene.server.add_fault(Fault::on_any(FaultKind::Text { status: 200, body }).after(nth));
            let error = scene.make(&Run::new().unwrap()).await.unwrap_err();
            let what = if nth == 0 { "no list of buckets of S3" } else { "no list of objects of S3" };
            assert!(error.to_string().contains(what), "{body:?} at {nth}: {error}");
            assert_eq!(scene.server.buckets(), NOTHING);
        }
    }
}

#[tokio::test]
async fn a_request_that_is_not_answered_is_repeated_or_stopped() {
    for nth in 0..count().await {
        let scene = Scene::new().await;
        let endpoint = Endpoint::parse(&scene.server.url(), "fsn1").unwrap();
        let pace = Pace {
            request: Duration::from_millis(200),
            retries: 20,
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(1),
            ..Pace::default()
        };
        let patient = client(endpoint, keys(s3_server::KEYS));
        let impatient = Storage::new(patient.with_pace(pace), NAMES.map(str::to_owned).into());
        let hasty = Scene { storage: impatient, ..scene };
        hasty.server.add_fault(Fault::on_any(FaultKind::Hang).after(nth).times(1));
        hasty.make(&Run::new().unwrap()).await.unwrap();
        assert_eq!(hasty.server.buckets().len(), 2, "{nth}");
    }
}

#[tokio::test]
async fn is_stopped_at_every_call_and_leaves_nothing() {
    for nth in 0..count().await {
        let scene = Scene::new().await;
        scene.server.add_fault(Fault::on_any(FaultKind::Hang).after(nth));
        let (stopper, stop) = Stop::new();
        let operation = Operation::new("making buckets", Duration::from_mins(2), &stop);
        let run = Run::new().unwrap();
        let stopping = async {
            while u64::try_from(scene.server.requests().len()).unwrap() <= nth {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            stopper.stop();
        };
        let (made, ()) = tokio::join!(scene.make_in(&operation, &run), stopping);
        let error = made.unwrap_err();
        assert_eq!(error.to_string(), "making buckets was interrupted", "{nth}");
        scene.server.clear_faults();
        scene.storage.clean_up(&super::scene::operation()).await.unwrap();
        assert_eq!(scene.server.buckets(), NOTHING, "{nth}");
    }
}
