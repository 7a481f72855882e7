//! Snapshots in a project of the Hetzner simulator, with every fault at every call. What happens to the disk is tested
//! where it is written ([`upload`]).

use hetzner_simulator::{Fault, FaultKind};

use super::*;
use crate::hetzner::label::RUN;
use crate::hetzner::tests::api::{operation, run};
use crate::hetzner::tests::scene::{DIGEST, Scene, called, faults};
use crate::hetzner::{Query, Selector};
use crate::units::Sha256;

const IMAGE: Bytes = Bytes(5_000_000_000);

async fn upload(scene: &Scene) -> Upload {
    let of = scene.wanted.servers[0].disk.clone();
    let observed = scene.observe().await;
    Upload {
        places: Temporary::all(&of, IMAGE, &scene.wanted, &observed).unwrap(),
        of,
        disk: PathBuf::from("disk.raw"),
        size: IMAGE,
        digest: "d2".to_owned(),
        cluster: "lab".to_owned(),
        trusts_first: false,
    }
}

/// Instead of the rescue system: sees that it could be one, and has the server go off.
async fn make(scene: &Scene, run: &Run, upload: &Upload) -> Result<ImageId, SnapshotError> {
    let write = async |_: &Rescue, _: &mut (dyn FnMut(Told) + Send)| {
        let all = scene.client.list::<Server>(&operation(), &Query::default()).await.unwrap();
        let server = all.iter().find(|server| server.name.starts_with("imgbuild-upload-")).unwrap();
        let details = scene.simulator.details(server.id.0).unwrap();
        assert_eq!(details["is_in_rescue"], true, "{details}");
        assert!(scene.simulator.stopped(server.id.0));
        Ok(Written { image: IMAGE, sent: Bytes(7), chunks: 1, sha256: Sha256([0; 32]) })
    };
    let (id, written) = make_by(&scene.client, &operation(), run, upload, &mut |_| {}, write).await?;
    assert_eq!(written.sent, Bytes(7));
    Ok(id)
}

#[tokio::test]
async fn a_snapshot_has_its_labels_and_what_it_needed_is_gone() {
    let (scene, run) = (Scene::new().await, run());
    let upload = upload(&scene).await;
    let id = make(&scene, &run, &upload).await.unwrap();
    assert!(scene.names().is_empty(), "{:?}", scene.names());
    let image: Image = scene.client.get(&operation(), id).await.unwrap().unwrap();
    assert_eq!(image.labels.get(DIGEST_LABEL), Some("d2"));
    assert_eq!(image.description, "cloud on disk");
    // It is whole, and no run's: one that fails later leaves it.
    assert!(image.labels.get(RUN).is_none(), "{image:?}");
    let called: Vec<_> = scene.changes().iter().map(called).collect();
    assert_eq!(called, REQUESTS);
    scene.client.clean_up(&operation(), &run).await.unwrap();
    assert_eq!(scene.observe().await.snapshot("d2", upload.of.arch).unwrap().id, id.0);
    assert!(scene.observe().await.snapshot(DIGEST, upload.of.arch).is_some());
}

#[tokio::test]
async fn the_temporary_server_has_the_smallest_bill_of_those_that_do() {
    let scene = Scene::new().await;
    let upload = upload(&scene).await;
    let observed = scene.observe().await;
    let known = |name: &str| observed.types.iter().find(|known| known.name == name).unwrap();
    let own = scene.wanted.servers[0].types.iter().map(|name| known(name).disk).min().unwrap();
    assert!(!upload.places.is_empty());
    for place in &upload.places {
        let known = known(&place.server_type);
        assert!(known.disk <= own && known.disk >= IMAGE && known.arch == Some(upload.of.arch), "{place:?}");
    }
    assert!(upload.places.is_sorted_by_key(|place| place.price.hourly.net));
    // Out of stock in the first place, it is made in the next.
    let first = &upload.places[0];
    scene.simulator.set_capacity(&first.server_type, &first.location, 0, "resource_unavailable");
    make(&scene, &run(), &upload).await.unwrap();
    let too_large = Temporary::all(&upload.of, Bytes(u64::MAX), &scene.wanted, &observed);
    assert!(matches!(too_large, Err(NoTemporary { .. })));
}

/// Once, so that a retry succeeds; or as often as it comes.
async fn case(index: u64, kind: &FaultKind, times: u64) -> bool {
    let (scene, run) = (Scene::new().await, run());
    let upload = upload(&scene).await;
    scene.simulator.forget_requests();
    for method in ["POST", "DELETE", "PUT"] {
        scene.simulator.add_fault(Fault::on(method, "/**", kind.clone()).nth(index).times(times));
    }
    let done = make(&scene, &run, &upload).await;
    scene.simulator.clear_faults();
    let place = format!("{kind:?} at change {index}, {times} times: {:?}", done.as_ref().err());
    if done.is_ok() {
        assert!(scene.names().is_empty(), "{place}: {:?}", scene.names());
    } else {
        scene.client.clean_up(&operation(), &run).await.unwrap();
        assert!(scene.names().is_empty(), "{place}: {:?}", scene.names());
        // It may be whole though its last answer was lost; then it is no run's.
        let left = scene.client.leftovers(&operation(), &Selector::exists(RUN)).await.unwrap();
        assert!(left.is_empty(), "{place}: {left:?}");
    }
    done.is_ok()
}

#[tokio::test]
async fn every_fault_at_every_call_ends_in_a_snapshot_or_in_nothing() {
    let (mut succeeded, mut failed) = (0, 0);
    // A key, a server, its rescue system, its start, the snapshot: POSTs; then two DELETEs.
    for index in 1..=5 {
        for kind in faults() {
            for times in [1, u64::MAX] {
                if case(index, &kind, times).await { succeeded += 1 } else { failed += 1 }
            }
        }
    }
    assert!(succeeded > 20 && failed > 20, "{succeeded} succeeded, {failed} failed");
}
