//! Public addresses, which may outlive the servers that have them.

use serde_json::{Value, json};

use super::server::Status;
use super::{Answer, check_free, kept_in, show};
use crate::call::Call;
use crate::catalog::Location;
use crate::error::ApiError;
use crate::label::Labels;
use crate::page::Shape;
use crate::state::{Head, Kind, Resource, State};

#[derive(Clone, Debug)]
pub(crate) struct PrimaryIp {
    pub(crate) head: Head,
    pub(crate) is_v6: bool,
    /// An IPv4 address, or an IPv6 network.
    pub(crate) ip: String,
    pub(crate) location: &'static Location,
    pub(crate) server: Option<u64>,
    pub(crate) has_auto_delete: bool,
}

impl PrimaryIp {
    fn version(&self) -> &'static str {
        if self.is_v6 { "ipv6" } else { "ipv4" }
    }

    /// The name that the address has if nobody gives it another; none is set for IPv6.
    pub(crate) fn pointers(&self) -> Vec<Value> {
        if self.is_v6 { Vec::new() } else { vec![json!({"ip": self.ip, "dns_ptr": self.pointer()})] }
    }

    pub(crate) fn pointer(&self) -> String {
        format!("static.{}.simulator.example", self.ip.replace('.', "-"))
    }
}

impl Resource for PrimaryIp {
    const KIND: Kind = Kind::PrimaryIp;
    const SHAPE: Shape = Shape {
        name: "primary_ips",
        sort: &["id", "created"],
        filters: &[("name", &[]), ("ip", &[])],
        has_labels: true,
    };
    kept_in!(primary_ips);

    fn json(&self, _state: &State) -> Value {
        json!({
            "id": self.head.id, "name": self.head.name, "created": self.head.created.to_string(),
            "labels": self.head.labels, "protection": {"delete": self.head.is_protected},
            "type": self.version(), "ip": self.ip, "location": self.location.to_json(), "assignee_id": self.server,
            "assignee_type": if self.server.is_some() { "server" } else { "unassigned" },
            "auto_delete": self.has_auto_delete, "blocked": false, "dns_ptr": self.pointers(),
        })
    }

    fn check_delete(&self, _state: &State) -> Result<(), ApiError> {
        if self.server.is_none() {
            return Ok(());
        }
        Err(ApiError::refused("must_be_unassigned", "the address is assigned to a resource"))
    }
}

impl State {
    /// The address of a server.
    pub(crate) fn address_of(&self, server: u64, is_v6: bool) -> Option<&PrimaryIp> {
        self.primary_ips.iter().find(|ip| ip.server == Some(server) && ip.is_v6 == is_v6)
    }

    /// A new address; without a name it is named by its ID.
    pub(crate) fn new_address(
        &mut self,
        name: Option<&str>,
        is_v6: bool,
        location: &'static Location,
        labels: Labels,
    ) -> Result<u64, ApiError> {
        self.check_limit(Kind::PrimaryIp)?;
        let ip = if is_v6 { self.take_v6() } else { self.take_v4()? };
        let mut head = self.head(name.unwrap_or_default(), labels);
        if name.is_none() {
            head.name = format!("primary_ip-{}", head.id);
        }
        let id = head.id;
        self.primary_ips.insert(PrimaryIp {
            head,
            is_v6,
            ip,
            location,
            server: None,
            has_auto_delete: false,
        });
        Ok(id)
    }

    /// Whether a server that exists can get an address.
    fn check_assignee(&self, server: u64, is_v6: bool) -> Result<&'static Location, ApiError> {
        let found = self.servers.get(server)?;
        if found.status != Status::Off {
            return Err(not_stopped());
        }
        match (self.address_of(server, is_v6), is_v6) {
            (None, _) => Ok(found.location),
            (Some(_), false) => Err(ApiError::refused("server_has_ipv4", "the server has an IPv4 address")),
            (Some(_), true) => Err(ApiError::refused("server_has_ipv6", "the server has an IPv6 address")),
        }
    }

    /// A server is gone: its addresses go with it, or are free.
    pub(crate) fn release_addresses(&mut self, server: u64) {
        let own = self.primary_ips.iter().filter(|ip| ip.server == Some(server));
        let own: Vec<(u64, bool)> = own.map(|ip| (ip.head.id, ip.has_auto_delete)).collect();
        for (id, is_deleted) in own {
            if is_deleted {
                self.primary_ips.remove(id);
            } else if let Some(ip) = self.primary_ips.find_mut(id) {
                ip.server = None;
            }
        }
    }
}

pub(crate) fn not_stopped() -> ApiError {
    ApiError::refused("server_not_stopped", "the server must be powered off")
}

pub(crate) fn create(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let input = Call::input(&body)?;
    let name = input.maybe_name("name")?.ok_or_else(|| input.fault("name", "is required"))?;
    input.removed("datacenter")?;
    let is_v6 = input.word("type", &["ipv4", "ipv6"])? == "ipv6";
    // Optional since addresses can be free of any assignee.
    input.maybe_word("assignee_type", &["server", "unassigned"])?;
    let server = if input.is_null("assignee_id") { None } else { input.maybe_number("assignee_id")? };
    let (has_auto_delete, labels) = (input.flag("auto_delete", false)?, input.labels()?);
    let location = match (input.maybe_id_or_name("location")?, server) {
        (Some(_), Some(_)) => return Err(input.fault("location", "is not for an address that is assigned")),
        (None, None) => return Err(input.fault("location", "is required without an assignee")),
        (Some(text), None) => Location::find(&text)
            .ok_or_else(|| input.fault("location", format!("location `{text}` not found")))?,
        (None, Some(server)) => {
            call.state.check_free(Kind::Server, server)?;
            call.state.check_assignee(server, is_v6)?
        }
    };
    call.state.primary_ips.check_name(name, None)?;
    let id = call.state.new_address(Some(name), is_v6, location, labels)?;
    if let Some(ip) = call.state.primary_ips.find_mut(id) {
        ip.has_auto_delete = has_auto_delete;
        ip.server = server;
    }
    let mut reply = show::<PrimaryIp>(call, id, 201);
    let resources = [Some((Kind::PrimaryIp, id)), server.map(|server| (Kind::Server, server))];
    let resources: Vec<_> = resources.into_iter().flatten().collect();
    let action = call.start(call.action("create_primary_ip", &resources));
    if let Some(body) = &mut reply.body {
        body["action"] = action;
    }
    Ok(reply)
}

pub(crate) fn update(call: &mut Call<'_>) -> Answer {
    let (id, body) = (call.id()?, call.body()?);
    call.state.primary_ips.get(id)?;
    let has_auto_delete = Call::input(&body)?.maybe_flag("auto_delete")?;
    let mut reply = super::update::<PrimaryIp>(call)?;
    if let (Some(flag), Some(ip)) = (has_auto_delete, call.state.primary_ips.find_mut(id)) {
        ip.has_auto_delete = flag;
        reply = show::<PrimaryIp>(call, id, 200);
    }
    Ok(reply)
}

/// Unlike that of other resources, the body must say what is wanted.
pub(crate) fn protect(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let input = Call::input(&body)?;
    input.maybe_flag("delete")?.ok_or_else(|| input.fault("delete", "is required"))?;
    super::protect::<PrimaryIp>(call)
}

pub(crate) fn assign(call: &mut Call<'_>) -> Answer {
    let (id, body) = (call.id()?, call.body()?);
    let input = Call::input(&body)?;
    let server = input.number("assignee_id")?;
    input.word("assignee_type", &["server"])?;
    check_free::<PrimaryIp>(call, id)?;
    let ip = call.state.primary_ips.get(id)?;
    if ip.server.is_some() {
        let message = "the address is assigned to a server";
        return Err(ApiError::refused("primary_ip_already_assigned", message));
    }
    call.state.check_free(Kind::Server, server)?;
    let location = call.state.check_assignee(server, ip.is_v6)?;
    if location.name != ip.location.name {
        let message = format!("the address is in `{}`, the server in `{}`", ip.location.name, location.name);
        return Err(input.fault("assignee_id", message));
    }
    let resources = [(Kind::PrimaryIp, id), (Kind::Server, server)];
    let action = call.action("assign_primary_ip", &resources).effect(move |state| {
        if let Some(ip) = state.primary_ips.find_mut(id) {
            ip.server = Some(server);
        }
        Ok(())
    });
    Ok(call.started(action))
}

pub(crate) fn unassign(call: &mut Call<'_>) -> Answer {
    let id = call.id()?;
    check_free::<PrimaryIp>(call, id)?;
    let Some(server) = call.state.primary_ips.get(id)?.server else {
        return Err(ApiError::refused("primary_ip_not_assigned", "the address is not assigned"));
    };
    call.state.check_free(Kind::Server, server)?;
    if call.state.servers.get(server)?.status != Status::Off {
        return Err(not_stopped());
    }
    let resources = [(Kind::PrimaryIp, id), (Kind::Server, server)];
    let action = call.action("unassign_primary_ip", &resources).effect(move |state| {
        if let Some(ip) = state.primary_ips.find_mut(id) {
            ip.server = None;
        }
        Ok(())
    });
    Ok(call.started(action))
}

/// For the address that a server asks for by its ID.
pub(crate) fn check_wanted(
    state: &State,
    field: &str,
    id: u64,
    is_v6: bool,
    location: &Location,
) -> Result<(), ApiError> {
    let Some(ip) = state.primary_ips.find(id) else {
        return Err(ApiError::invalid(field, format!("Primary IP with ID '{id}' not found")));
    };
    if ip.is_v6 != is_v6 {
        let message = "the address has the wrong version";
        return Err(ApiError::refused("primary_ip_version_mismatch", message));
    }
    if ip.server.is_some() {
        return Err(ApiError::refused("primary_ip_assigned", "the address is assigned to a server"));
    }
    if ip.location.name != location.name {
        let message = format!("the address is in `{}`, the server in `{}`", ip.location.name, location.name);
        return Err(ApiError::refused("primary_ip_datacenter_mismatch", message));
    }
    state.check_free(Kind::PrimaryIp, id)
}

/// Nothing but the answer's form.
pub(crate) fn brief(ip: &PrimaryIp) -> Value {
    let pointer = if ip.is_v6 { json!(ip.pointers()) } else { json!(ip.pointer()) };
    json!({"id": ip.head.id, "ip": ip.ip, "blocked": false, "dns_ptr": pointer})
}
