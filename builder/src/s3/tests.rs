//! The client against a server that checks its signatures, and misbehaves as it is told.

mod faults;
pub(crate) mod scene;

use s3_server::{Fault, FaultKind, KEYS, OTHER_KEYS, Options};

use self::scene::{NAMES, Scene, client, keys};
use super::{Endpoint, S3Error, Storage};
use crate::cloud::observed::{Bucket, OwnBucket};
use crate::hetzner::Run;

const NOTHING: [&str; 0] = [];

#[tokio::test]
async fn buckets_are_what_they_say_of_themselves() {
    let scene = Scene::with(Options { page: 2, ..Options::default() }).await;
    let many = ["a", "b", "c", "imgbuild.org/cluster/lab", "imgbuild.org/run/0123", "z"];
    for (owner, name, objects) in [
        (KEYS, "empty", &[][..]),
        (KEYS, "marked", &["imgbuild.org/cluster/other"]),
        (KEYS, "many", &many),
        (OTHER_KEYS, "taken", &[]),
        // The list of buckets has several pages, too.
        (KEYS, "zzz", &[]),
    ] {
        scene.server.make(owner, name, objects.iter().copied());
    }
    let names = ["empty", "free", "marked", "many", "taken", "zzz"].map(str::to_owned);
    let storage = Storage::new(scene.client.clone(), names.into());
    let found = storage.observe(&scene::operation()).await.unwrap();
    assert_eq!((found.url, found.region.as_str()), (scene.server.url(), "fsn1"));
    let own = |clusters: &[&str], runs: &[&str], objects, is_more| {
        let [clusters, runs] = [clusters, runs].map(|all| all.iter().map(|&one| one.to_owned()).collect());
        Bucket::Own(OwnBucket { clusters, runs, objects, is_more })
    };
    let expected = [
        ("empty", own(&[], &[], 0, false)),
        ("free", Bucket::Free),
        ("many", own(&["lab"], &["0123"], 2, true)),
        ("marked", own(&["other"], &[], 0, false)),
        ("taken", Bucket::Taken),
        ("zzz", own(&[], &[], 0, false)),
    ];
    assert_eq!(found.buckets, expected.map(|(name, bucket)| (name.to_owned(), bucket)).into());
}

#[tokio::test]
async fn a_bucket_that_is_elsewhere_is_told_with_its_place() {
    let body = "<Error><Code>PermanentRedirect</Code><Message>there</Message><Region>nbg1</Region></Error>";
    for (body, expected) in [(body, Some("nbg1")), ("<Error><Code>PermanentRedirect</Code></Error>", None)] {
        let scene = Scene::new().await;
        let path = format!("GET /{}", NAMES[0]);
        scene.server.add_fault(Fault::on(&path, FaultKind::Text { status: 301, body }));
        let found = scene.storage.observe(&scene::operation()).await.unwrap();
        let elsewhere = Bucket::Elsewhere { region: expected.map(str::to_owned) };
        assert_eq!(found.buckets[NAMES[0]], elsewhere);
        assert_eq!(found.buckets[NAMES[1]], Bucket::Free);
    }
}

#[tokio::test]
async fn a_bucket_is_marked_with_its_run_until_that_is_done() {
    let scene = Scene::new().await;
    let run = Run::new().unwrap();
    scene.make(&run).await.unwrap();
    let marks = format!("imgbuild.org/cluster/lab imgbuild.org/run/{run}");
    assert_eq!(scene.server.buckets(), NAMES.map(|name| format!("{name}: {marks}")));
    scene.storage.settle(&scene::operation(), "lab").await.unwrap();
    assert_eq!(scene.server.buckets(), NAMES.map(|name| format!("{name}: imgbuild.org/cluster/lab")));
    // What is settled is not another cluster's to settle, and a run cleans up what it has made itself.
    let other = Storage::new(scene.client.clone(), NAMES.map(str::to_owned).into());
    assert_eq!(other.clean_up(&scene::operation()).await.unwrap(), 0);
    assert_eq!(scene.storage.clean_up(&scene::operation()).await.unwrap(), 2);
    assert_eq!(scene.server.buckets(), NOTHING);
}

#[tokio::test]
async fn a_bucket_that_cannot_be_removed_is_found_again() {
    let scene = Scene::new().await;
    let run = Run::new().unwrap();
    scene.make(&run).await.unwrap();
    let denied = FaultKind::Answer { status: 403, code: "AccessDenied" };
    scene.server.add_fault(Fault::on(&format!("DELETE /{}", NAMES[0]), denied));
    let error = scene.storage.remove_empty(&scene::operation(), NAMES[0]).await.unwrap_err();
    assert!(error.is("AccessDenied"), "{error}");
    assert_eq!(scene.server.buckets()[0], format!("{}: imgbuild.org/run/{run}", NAMES[0]));
}

#[tokio::test]
async fn keys_that_are_not_known_are_told_apart_and_never_shown() {
    let scene = Scene::new().await;
    for (access, secret, code) in
        [("SOMEBODYUNKNOWN", KEYS[1], "InvalidAccessKeyId"), (KEYS[0], "wrong", "SignatureDoesNotMatch")]
    {
        let endpoint = Endpoint::parse(&scene.server.url(), "fsn1").unwrap();
        let client = client(endpoint, keys([access, secret]));
        let error = client.buckets(&scene::operation()).await.unwrap_err();
        let text = format!("{error} {error:?} {client:?}");
        assert!(error.is(code) && error.is_of_keys(), "{text}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("`GET {}/` is answered with `{code}` (403)", scene.server.url()))
        );
        assert!(error.hint().unwrap().contains("AWS_SECRET_ACCESS_KEY"), "{text}");
        assert!(!text.contains(KEYS[1]), "{text}");
    }
    // The region is a part of what is signed.
    let elsewhere = Endpoint::parse(&scene.server.url(), "nbg1").unwrap();
    let error = client(elsewhere, keys(KEYS)).create(&scene::operation(), "lab").await.unwrap_err();
    assert!(error.hint().unwrap().contains("`region` of `[backup]`"), "{error}");
}

#[tokio::test]
async fn a_name_that_somebody_takes_meanwhile_is_told() {
    for makes_again in [true, false] {
        let scene = Scene::with(Options { makes_again, ..Options::default() }).await;
        scene.server.make(OTHER_KEYS, NAMES[0], NOTHING);
        scene.server.make(KEYS, NAMES[1], ["data"]);
        let error = scene.storage.create(&scene::operation(), NAMES[0]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the bucket name `{}` is taken, by another account or in another region", NAMES[0])
        );
        assert!(error.hint().unwrap().contains("`etcd-bucket`"));
        // One of this account's is somebody's too, and no clean-up removes it.
        let error = scene.storage.create(&scene::operation(), NAMES[1]).await.unwrap_err();
        assert!(matches!(&error, S3Error::Appeared { bucket } if bucket == NAMES[1]), "{error}");
        assert_eq!(scene.storage.clean_up(&scene::operation()).await.unwrap(), 0);
        assert_eq!(scene.server.buckets(), [format!("{}:", NAMES[0]), format!("{}: data", NAMES[1])]);
    }
}

#[tokio::test]
async fn a_bucket_is_emptied_page_by_page_and_its_marks_go_last() {
    let scene = Scene::with(Options { page: 3, ..Options::default() }).await;
    let keys = (0..8)
        .map(|number| format!("backupstore/{number} <&>"))
        .chain(["imgbuild.org/cluster/lab".to_owned()]);
    scene.server.make(KEYS, NAMES[0], keys);
    let error = scene.storage.unmark(&scene::operation(), NAMES[0]).await.unwrap_err();
    assert!(matches!(error, S3Error::Full { .. }), "{error}");
    scene.storage.empty(&scene::operation(), NAMES[0]).await.unwrap();
    assert_eq!(scene.server.buckets(), [format!("{}: imgbuild.org/cluster/lab", NAMES[0])]);
    scene.storage.unmark(&scene::operation(), NAMES[0]).await.unwrap();
    scene.storage.delete(&scene::operation(), NAMES[0], "lab").await.unwrap();
    assert_eq!(scene.server.buckets(), NOTHING);
    // Once more there is nothing to do.
    scene.storage.unmark(&scene::operation(), NAMES[0]).await.unwrap();
    scene.storage.delete(&scene::operation(), NAMES[0], "lab").await.unwrap();
}

#[tokio::test]
async fn old_versions_keep_a_bucket_and_its_mark() {
    let scene = Scene::new().await;
    scene.server.make(KEYS, NAMES[0], ["data", "imgbuild.org/cluster/lab"]);
    scene.server.keep_versions(NAMES[0]);
    let operation = scene::operation();
    scene.storage.empty(&operation, NAMES[0]).await.unwrap();
    scene.storage.unmark(&operation, NAMES[0]).await.unwrap();
    let error = scene.storage.delete(&operation, NAMES[0], "lab").await.unwrap_err();
    assert!(error.hint().unwrap().contains("old versions"), "{error}");
    assert_eq!(scene.server.buckets(), [format!("{}: imgbuild.org/cluster/lab", NAMES[0])]);
}

#[tokio::test]
async fn what_cannot_be_removed_ends_the_removal() {
    let scene = Scene::new().await;
    scene.server.make(KEYS, NAMES[0], ["locked"]);
    let path = format!("POST /{}", NAMES[0]);
    let body = "<DeleteResult><Error><Key>locked</Key><Code>AccessDenied</Code><Message>held</Message></Error></DeleteResult>";
    scene.server.add_fault(Fault::on(&path, FaultKind::Text { status: 200, body }).times(1));
    let error = scene.storage.empty(&scene::operation(), NAMES[0]).await.unwrap_err();
    let expected =
        format!("removing `locked` from the bucket `{}` is answered with `AccessDenied`: held", NAMES[0]);
    assert_eq!(error.to_string(), expected);
    // And one that says it has removed, and has not.
    let body = "<DeleteResult/>";
    scene.server.add_fault(Fault::on(&path, FaultKind::Text { status: 200, body }));
    let error = scene.storage.empty(&scene::operation(), NAMES[0]).await.unwrap_err();
    assert!(matches!(error, S3Error::Full { .. }), "{error}");
}

#[tokio::test]
async fn what_there_is_to_do_is_said() {
    for (status, code, word) in [
        (403, "RequestTimeTooSkewed", "clock"),
        (403, "AccessDenied", "allowed"),
        (400, "TooManyBuckets", "limit"),
        (400, "AuthorizationHeaderMalformed", "region"),
        (301, "PermanentRedirect", "region"),
    ] {
        let scene = Scene::new().await;
        scene.server.add_fault(Fault::on_any(FaultKind::Answer { status, code }));
        let error = scene.client.create(&scene::operation(), "lab").await.unwrap_err();
        assert!(error.hint().is_some_and(|hint| hint.contains(word)), "{code}: {error}");
        assert_eq!(scene.server.requests(), ["PUT /lab"], "{code}");
    }
    let nobody = Endpoint::parse("http://127.0.0.1:9", "fsn1").unwrap();
    let error = client(nobody, keys(KEYS)).buckets(&scene::operation()).await.unwrap_err();
    assert_eq!(error.to_string(), "`GET http://127.0.0.1:9/` was not sent");
    assert!(error.hint().unwrap().contains("`endpoint` of `[backup]`"));
}
