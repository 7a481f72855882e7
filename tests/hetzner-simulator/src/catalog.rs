//! What the provider offers: locations, server types and prices. Net monthly prices are those of 2026-06-15; they are
//! for tests of sums, not for budgets.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::state::State;

#[derive(Debug)]
pub(crate) struct Location {
    id: u64,
    pub(crate) name: &'static str,
    city: &'static str,
    country: &'static str,
    pub(crate) zone: &'static str,
    coordinates: (f64, f64),
}

const fn location(
    id: u64,
    name: &'static str,
    city: &'static str,
    country: &'static str,
    zone: &'static str,
    coordinates: (f64, f64),
) -> Location {
    Location { id, name, city, country, zone, coordinates }
}

pub(crate) const LOCATIONS: [Location; 6] = [
    location(1, "fsn1", "Falkenstein", "DE", "eu-central", (50.48, 12.37)),
    location(2, "nbg1", "Nuremberg", "DE", "eu-central", (49.45, 11.08)),
    location(3, "hel1", "Helsinki", "FI", "eu-central", (60.17, 24.94)),
    location(4, "ash", "Ashburn, VA", "US", "us-east", (39.05, -77.49)),
    location(5, "hil", "Hillsboro, OR", "US", "us-west", (45.54, -122.95)),
    location(6, "sin", "Singapore", "SG", "ap-southeast", (1.28, 103.83)),
];

/// Where networks can be.
pub(crate) const ZONES: [&str; 4] = ["eu-central", "us-east", "us-west", "ap-southeast"];

impl Location {
    pub(crate) fn find(id_or_name: &str) -> Option<&'static Self> {
        LOCATIONS.iter().find(|one| one.name == id_or_name || one.id.to_string() == id_or_name)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "description": format!("simulated {}", self.city), "city": self.city,
            "country": self.country, "network_zone": self.zone, "latitude": self.coordinates.0,
            "longitude": self.coordinates.1,
        })
    }
}

#[derive(Debug)]
pub(crate) struct ServerType {
    id: u64,
    pub(crate) name: &'static str,
    cores: u64,
    memory: u64,
    /// GB.
    pub(crate) disk: u64,
    /// Net, a month.
    cents: u64,
}

const fn server_type(id: u64, name: &'static str, size: (u64, u64, u64), cents: u64) -> ServerType {
    ServerType { id, name, cores: size.0, memory: size.1, disk: size.2, cents }
}

pub(crate) const TYPES: [ServerType; 18] = [
    server_type(104, "cx22", (2, 4, 40), 399),
    server_type(114, "cx23", (2, 4, 40), 549),
    server_type(115, "cx33", (4, 8, 80), 849),
    server_type(116, "cx43", (8, 16, 160), 1599),
    server_type(117, "cx53", (16, 32, 320), 2949),
    server_type(45, "cax11", (2, 4, 40), 599),
    server_type(93, "cax21", (4, 8, 80), 1049),
    server_type(94, "cax31", (8, 16, 160), 1999),
    server_type(109, "cpx22", (2, 4, 80), 1949),
    server_type(110, "cpx32", (4, 8, 160), 3549),
    server_type(111, "cpx42", (8, 16, 320), 6949),
    server_type(112, "cpx52", (12, 24, 480), 10049),
    server_type(113, "cpx62", (16, 32, 640), 12999),
    server_type(96, "ccx13", (2, 8, 80), 4299),
    server_type(97, "ccx23", (4, 16, 160), 8599),
    server_type(98, "ccx33", (8, 32, 240), 13849),
    server_type(99, "ccx43", (16, 64, 360), 27599),
    server_type(100, "ccx53", (32, 128, 600), 55199),
];

impl ServerType {
    pub(crate) fn find(id_or_name: &str) -> Option<&'static Self> {
        TYPES.iter().find(|one| one.name == id_or_name || one.id.to_string() == id_or_name)
    }

    pub(crate) fn architecture(&self) -> &'static str {
        if self.name.starts_with("cax") { "arm" } else { "x86" }
    }

    /// The generation before the current one can be looked at, not ordered.
    pub(crate) fn is_deprecated(&self) -> bool {
        self.name == "cx22"
    }

    /// `cx` and `cax` are in Europe only.
    pub(crate) fn is_in(&self, location: &Location) -> bool {
        location.zone == "eu-central" || !(self.name.starts_with("cx") || self.name.starts_with("cax"))
    }

    fn locations(&self) -> impl Iterator<Item = &'static Location> {
        LOCATIONS.iter().filter(|location| self.is_in(location))
    }

    fn prices(&self) -> Vec<Value> {
        self.locations()
            .map(|location| {
                json!({
                    "location": location.name, "included_traffic": 21_990_232_555_520_u64,
                    "price_hourly": price(self.cents * 10_000 / 624), "price_monthly": price(self.cents * 10_000),
                    "price_per_tb_traffic": price(1_000_000),
                })
            })
            .collect()
    }

    pub(crate) fn to_json(&self, state: &State) -> Value {
        let is_dedicated = self.name.starts_with("ccx");
        let deprecation = self.is_deprecated().then(
            || json!({"announced": "2025-09-01T00:00:00Z", "unavailable_after": "2025-12-31T00:00:00Z"}),
        );
        let locations = self.locations().map(|location| {
            let is_available = !self.is_deprecated() && state.check_capacity(self, location).is_ok();
            json!({
                "id": location.id, "name": location.name, "deprecation": deprecation, "available": is_available,
                "recommended": is_available,
            })
        });
        json!({
            "id": self.id, "name": self.name, "description": self.name.to_uppercase(), "cores": self.cores,
            "memory": self.memory, "disk": self.disk, "storage_type": "local", "prices": self.prices(),
            "cpu_type": if is_dedicated { "dedicated" } else { "shared" },
            "category": if is_dedicated { "General Purpose" } else { "Cost-Optimized" },
            "architecture": self.architecture(), "deprecated": self.is_deprecated(), "deprecation": deprecation,
            "locations": locations.collect::<Vec<_>>(),
        })
    }
}

impl State {
    /// Whether a server of a type still fits.
    pub(crate) fn check_capacity(&self, kind: &ServerType, location: &Location) -> Result<(), ApiError> {
        match self.capacity.get(&(kind.name.to_owned(), location.name.to_owned())) {
            Some(capacity) if capacity.free == 0 => {
                let message = format!("no room for `{}` in `{}`", kind.name, location.name);
                Err(ApiError::new(412, &capacity.code, message))
            }
            _ => Ok(()),
        }
    }

    /// Takes the room of a server, or gives it back.
    pub(crate) fn change_capacity(&mut self, kind: &str, location: &str, is_taken: bool) {
        if let Some(capacity) = self.capacity.get_mut(&(kind.to_owned(), location.to_owned())) {
            capacity.free =
                if is_taken { capacity.free.saturating_sub(1) } else { capacity.free.saturating_add(1) };
        }
    }
}

/// From millionths of a Euro, net; 19 % come on top.
fn price(millionths: u64) -> Value {
    let text = |hundred_millionths: u64| {
        format!("{}.{:08}00", hundred_millionths / 100_000_000, hundred_millionths % 100_000_000)
    };
    json!({"net": text(millionths * 100), "gross": text(millionths * 119)})
}

/// All prices.
pub(crate) fn pricing() -> Value {
    let everywhere = |millionths: u64| -> Vec<Value> {
        let at = |location: &Location| json!({"location": location.name, "price_monthly": price(millionths)});
        LOCATIONS.iter().map(at).collect()
    };
    let with_hours = |millionths: u64| -> Vec<Value> {
        let mut prices = everywhere(millionths);
        for entry in &mut prices {
            entry["price_hourly"] = price(millionths / 624);
        }
        prices
    };
    json!({"pricing": {
        "currency": "EUR", "vat_rate": "19.00",
        "image": {"price_per_gb_month": price(11_000)},
        "floating_ip": {"price_monthly": price(3_000_000)},
        "floating_ips": [
            {"type": "ipv4", "prices": everywhere(3_000_000)}, {"type": "ipv6", "prices": everywhere(1_000_000)},
        ],
        "primary_ips": [
            {"type": "ipv4", "prices": with_hours(500_000)}, {"type": "ipv6", "prices": with_hours(0)},
        ],
        "server_backup": {"percentage": "20.00"},
        "server_types": TYPES.iter()
            .map(|one| json!({"id": one.id, "name": one.name, "prices": one.prices()})).collect::<Vec<_>>(),
        "load_balancer_types": [],
        "volume": {"price_per_gb_month": price(57_200)},
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_decimal() {
        let prices = ServerType::find("cx23").unwrap().prices();
        assert_eq!(prices[0]["price_monthly"], json!({"net": "5.4900000000", "gross": "6.5331000000"}));
        assert_eq!(prices[0]["price_hourly"]["net"], "0.0087980000");
        assert_eq!(prices.len(), 3);
        assert_eq!(ServerType::find("96").unwrap().prices().len(), 6);
    }
}
