//! Where the temporary server can be that writes an image to its disk.

use serde::Serialize;
use thiserror::Error;

use crate::cloud::observed::Observed;
use crate::cloud::price::PriceByTime;
use crate::cloud::wanted::{DiskImage, Wanted};
use crate::units::{Arch, Bytes};

/// What a temporary server is made of, and where.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Temporary {
    /// Server type.
    pub server_type: String,
    /// Location.
    pub location: String,
    /// What it costs.
    pub price: PriceByTime,
}

/// No server type that the cluster's servers could have takes the image.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("no server type of {arch} with a disk of {size} to {most} is to be had")]
pub struct NoTemporary {
    /// Architecture.
    pub arch: Arch,
    /// Size of the image.
    pub size: Bytes,
    /// Smallest disk of the cluster's servers.
    pub most: Bytes,
}

impl NoTemporary {
    /// What to do.
    pub fn hint(&self) -> String {
        "`server-type` and `other-server-types` of the cluster file name what its servers can be".to_owned()
    }
}

impl Temporary {
    /// Where one for an image of this size can be: of no larger disk than the smallest of the cluster's servers, for a
    /// snapshot fits no smaller disk than it was made of. The cheapest comes first, then the cluster's own locations.
    pub fn all(
        of: &DiskImage,
        size: Bytes,
        wanted: &Wanted,
        observed: &Observed,
    ) -> Result<Vec<Self>, NoTemporary> {
        let disk =
            |name: &str| observed.types.iter().find(|known| known.name == name).map(|known| known.disk);
        let own = wanted.servers.iter().filter(|server| server.disk == *of).flat_map(|server| &server.types);
        let most = own.filter_map(|name| disk(name)).min().unwrap_or(Bytes(0));
        let fitting = observed.types.iter().filter(|known| known.arch == Some(of.arch));
        let fitting = fitting.filter(|known| known.disk >= size && known.disk <= most);
        let mut places: Vec<_> = fitting
            .flat_map(|known| {
                let offers = known.offers.iter().filter(|(_, offer)| offer.is_available != Some(false));
                offers.map(|(location, offer)| {
                    let distance = wanted.locations.iter().position(|own| own == location);
                    let key = (offer.price.hourly.net, distance.unwrap_or(usize::MAX));
                    let (server_type, location) = (known.name.clone(), location.clone());
                    (key, Self { server_type, location, price: offer.price })
                })
            })
            .collect();
        places.sort_by(|(one, of_one), (other, of_other)| {
            one.cmp(other).then_with(|| of_one.location.cmp(&of_other.location))
        });
        if places.is_empty() {
            return Err(NoTemporary { arch: of.arch, size, most });
        }
        Ok(places.into_iter().map(|(_, place)| place).collect())
    }
}
