//! Servers and their addresses.

use super::super::primary_ip::{AssigneeType, CreatePrimaryIp, IpType, PrimaryIp};
use super::super::server::{CreatePublicNet, CreateServer, ImageName, Server};
use super::{MADE_BY, Site, Snapshot, missing};
use crate::cloud::observed::DIGEST_LABEL;
use crate::cloud::plan::Step;
use crate::cloud::wanted::{self, AddressFamily, NODE_LABEL};
use crate::cluster::Role;
use crate::hetzner::{HetznerError, Labels, Operation, PrimaryIpId, ServerId};

impl Site<'_> {
    pub(super) async fn create_address(
        &self,
        operation: &Operation,
        name: &str,
        family: AddressFamily,
        location: &str,
    ) -> Result<(), HetznerError> {
        let wanted = CreatePrimaryIp {
            name: name.to_owned(),
            kind: match family {
                AddressFamily::Ipv4 => IpType::Ipv4,
                AddressFamily::Ipv6 => IpType::Ipv6,
            },
            location: location.to_owned(),
            assignee_type: AssigneeType::Server,
            // It is what names and endpoints say: it outlives its server.
            auto_delete: false,
            labels: self.labels()?,
        };
        let created = self.client.create(operation, self.run, wanted).await?;
        let made = created.made;
        self.known().addresses.insert(made.name.clone(), (made.id, made.ip.of_server()));
        self.client.wait(operation, created.actions).await
    }

    pub(super) async fn create_server(
        &self,
        operation: &Operation,
        name: &str,
        server_type: &str,
        location: &str,
    ) -> Result<(), HetznerError> {
        let server = self.wanted_server(name)?;
        let snapshot = self.snapshot(server)?;
        let wanted = {
            let known = self.known();
            let address =
                |family| known.addresses.get(&server.address_name(family)).map(|(number, _)| *number);
            let [ipv4, ipv6] = AddressFamily::ALL.map(address);
            CreateServer {
                name: name.to_owned(),
                server_type: server_type.to_owned(),
                image: ImageName::Id(snapshot.id),
                location: location.to_owned(),
                start_after_create: false,
                ssh_keys: Vec::new(),
                user_data: self.given.user_data.get(name).cloned(),
                public_net: CreatePublicNet {
                    enable_ipv4: ipv4.is_some(),
                    enable_ipv6: ipv6.is_some(),
                    ipv4,
                    ipv6,
                },
                // That of the cluster selects it by its label.
                firewalls: Vec::new(),
                placement_group: known.group.filter(|_| server.role == Role::ControlPlane),
                labels: self.server_labels(server, snapshot)?,
            }
        };
        let made = async {
            let created = self.client.create(operation, self.run, wanted).await?;
            self.known().servers.insert(name.to_owned(), created.made.id);
            self.client.wait(operation, created.actions).await
        };
        made.await.map_err(|error| {
            if !error.is_out_of_stock() {
                return error;
            }
            let [server, server_type, location] = [name, server_type, location].map(str::to_owned);
            HetznerError::OutOfStock { server, server_type, location, source: Box::new(error) }
        })
    }

    /// Gives a server that is off another address than the one it may have.
    pub(super) async fn assign(
        &self,
        operation: &Operation,
        address: PrimaryIpId,
        server: ServerId,
    ) -> Result<(), HetznerError> {
        let found: Option<PrimaryIp> = self.client.get(operation, address).await?;
        let there: Option<Server> = self.client.get(operation, server).await?;
        let kind = found.map(|found| found.kind);
        let net = there.map(|there| there.public_net);
        let has = match kind {
            Some(IpType::Ipv4) => net.and_then(|net| net.ipv4).and_then(|address| address.id),
            Some(IpType::Ipv6) => net.and_then(|net| net.ipv6).and_then(|address| address.id),
            _ => None,
        };
        if has == Some(address) {
            return Ok(());
        }
        if let Some(other) = has {
            let actions = self.client.unassign_primary_ip(operation, other).await?;
            self.client.wait(operation, actions).await?;
        }
        let actions = self.client.assign_primary_ip(operation, address, server).await?;
        self.client.wait(operation, actions).await
    }

    /// Asks the system to end, and switches it off where it does not.
    pub(super) async fn shut_down(&self, operation: &Operation, id: ServerId) -> Result<(), HetznerError> {
        let actions = self.client.shutdown(operation, id).await?;
        self.client.wait(operation, actions).await?;
        self.client.wait_until_off(operation, id).await
    }

    /// The label follows the image: one that is cut short before that is re-imaged once more.
    pub(super) async fn rebuild(
        &self,
        operation: &Operation,
        step: &Step,
        id: ServerId,
    ) -> Result<(), HetznerError> {
        let server = self.wanted_server(&step.name)?;
        let snapshot = self.snapshot(server)?;
        let user_data = self.given.user_data.get(&step.name).map(String::as_str);
        let actions = self.client.rebuild(operation, id, snapshot.id, user_data).await?;
        self.client.wait(operation, actions).await?;
        let labels = self.server_labels(server, snapshot)?;
        self.client.set_labels::<Server>(operation, id, &labels).await.map(drop)
    }

    fn wanted_server(&self, name: &str) -> Result<&wanted::Server, HetznerError> {
        let mut servers = self.wanted.servers.iter();
        servers.find(|server| server.name == name).ok_or_else(|| missing("server", name))
    }

    fn snapshot(&self, server: &wanted::Server) -> Result<&Snapshot, HetznerError> {
        let found = self.given.images.iter().find(|(image, _)| *image == server.disk);
        found.map(|(_, snapshot)| snapshot).ok_or_else(|| missing("snapshot for", &server.name))
    }

    fn server_labels(&self, server: &wanted::Server, snapshot: &Snapshot) -> Result<Labels, HetznerError> {
        let labels = self.labels()?.with(NODE_LABEL, &server.node)?.with(DIGEST_LABEL, &snapshot.digest)?;
        Ok(labels.with(MADE_BY, &self.run.to_string())?)
    }
}
