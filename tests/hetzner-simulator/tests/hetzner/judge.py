"""Independent clients of the simulator: judge.py library|document URL TOKEN DOCUMENT [FOLDER]

`library` is the provider's own library, whose answers are held against the OpenAPI document besides. `document` is
schemathesis, which makes requests out of the document. DOCUMENT is the reduced one, unpacked; the configuration of
schemathesis is written into FOLDER.
"""

import os
import subprocess
import sys
import time

import hcloud
import schemathesis
from hcloud import APIException
from hcloud.firewalls import FirewallResource, FirewallResourceLabelSelector, FirewallRule
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.networks import NetworkRoute, NetworkSubnet
from hcloud.server_types import ServerType
from hcloud.servers import ServerCreatePublicNetwork
from hcloud.zones import ZoneRecord, ZoneRRSet

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKUoMdhCnH0zLXVBmAcHQQI8HfLJp3jdqCHzqdDTk3aG me"


def client(url, token, document=None):
    """The library; with a document, every answer must be as it says."""
    made = hcloud.Client(token, api_endpoint=url, application_name="judge", poll_interval=0.01)
    if document:
        schema = schemathesis.openapi.from_path(document)
        operations = [one.ok() for one in schema.get_all_operations()]
        made._client._session.hooks["response"].append(lambda response, **_: hold(operations, url, response))
    return made


def hold(operations, url, response):
    """Holds an answer against the document."""
    steps = response.request.url.removeprefix(url).split("?")[0].split("/")

    def fits(operation):
        own = operation.path.split("/")
        pairs = zip(own, steps)
        return (
            operation.method.upper() == response.request.method
            and len(own) == len(steps)
            and all(one == other or one.startswith("{") for one, other in pairs)
        )

    fitting = sorted(filter(fits, operations), key=lambda one: one.path.count("{"))
    assert fitting, f"{response.request.method} {response.request.url} is in no document"
    fitting[0].validate_response(response)


def refused(code, act):
    """Something that must be refused with a code."""
    try:
        act()
    except APIException as error:
        assert error.code == code, f"{error.code} instead of {code}: {error.message}"
        return error
    raise AssertionError(f"nothing was refused with {code}")


def library(url, token, document):
    cloud = client(url, token, document)
    labels = {"run": "judge", "example.com/empty": ""}

    key = cloud.ssh_keys.create(name="judge", public_key=KEY, labels=labels)
    assert cloud.ssh_keys.get_by_fingerprint(key.fingerprint).id == key.id
    error = refused("uniqueness_error", lambda: cloud.ssh_keys.create(name="other", public_key=KEY))
    assert error.details["fields"][0]["name"] == "public_key"
    error = refused("invalid_input", lambda: key.update(labels={"-": "x"}))
    assert error.details["fields"][0]["name"] == "labels"
    assert key.update(name="renamed").name == "renamed"
    key.reload()

    network = cloud.networks.create(name="judge", ip_range="10.0.0.0/16", labels=labels)
    subnet = NetworkSubnet(type="cloud", network_zone="eu-central", ip_range="10.0.1.0/24")
    network.add_subnet(subnet).wait_until_finished()
    network.add_route(NetworkRoute(destination="10.9.0.0/16", gateway="10.0.1.5")).wait_until_finished()
    network.reload()
    assert network.subnets[0].ip_range == "10.0.1.0/24" and network.routes[0].gateway == "10.0.1.5"

    rules = [FirewallRule(direction="in", protocol="tcp", port="22", source_ips=["0.0.0.0/0", "::/0"])]
    selector = FirewallResource("label_selector", label_selector=FirewallResourceLabelSelector("run=judge"))
    firewall = cloud.firewalls.create(name="judge", rules=rules, resources=[selector]).firewall
    group = cloud.placement_groups.create(name="judge", type="spread").placement_group
    address = cloud.primary_ips.create(
        name="judge", type="ipv4", location=Location("fsn1"), assignee_type="server", auto_delete=False
    ).primary_ip

    created = cloud.servers.create(
        name="judge-1",
        server_type=ServerType(name="cx23"),
        image=Image(name="debian-13"),
        location=Location(name="fsn1"),
        ssh_keys=[key],
        labels=labels,
        user_data="#cloud-config\n",
        networks=[network],
        placement_group=group,
        public_net=ServerCreatePublicNetwork(ipv4=address, enable_ipv6=False),
        start_after_create=False,
    )
    assert created.root_password is None and created.next_actions == []
    created.action.wait_until_finished()
    server = created.server
    server.reload()
    assert server.status == "off" and server.public_net.ipv4.ip == address.ip and server.public_net.ipv6 is None
    assert server.private_net[0].ip == "10.0.1.2" and server.placement_group.id == group.id
    assert [one.firewall.id for one in server.public_net.firewalls] == [firewall.id]
    refused("server_already_attached", lambda: server.attach_to_network(network))
    refused("resource_in_use", firewall.delete)
    refused("must_be_unassigned", address.delete)

    rescue = server.enable_rescue(type="linux64", ssh_keys=[key.id])
    rescue.action.wait_until_finished()
    assert rescue.root_password
    server.power_on().wait_until_finished()
    server.reload()
    assert server.status == "running" and not server.rescue_enabled
    refused("server_not_stopped", lambda: server.change_type(ServerType(name="cx33"), upgrade_disk=False))
    server.shutdown().wait_until_finished()
    made = server.create_image(type="snapshot", description="judge", labels=labels)
    made.action.wait_until_finished()
    image = cloud.images.get_by_id(made.image.id)
    assert (image.status, image.disk_size, image.architecture) == ("available", 40, "x86") and image.image_size
    image.update(description="changed", labels={"run": "judge", "digest": "abc"})
    found = cloud.images.get_all(label_selector="run=judge,digest in (abc)", type=["snapshot"])
    assert [one.description for one in found] == ["changed"]
    image.change_protection(delete=True).wait_until_finished()
    refused("protected", image.delete)
    image.change_protection(delete=False).wait_until_finished()
    server.change_type(ServerType(name="cx33"), upgrade_disk=False).wait_until_finished()
    server.rebuild(image).action.wait_until_finished()
    server.reload()
    assert server.image.id == image.id and server.primary_disk_size == 40 and server.server_type.name == "cx33"

    wanted = {"name": "x", "server_type": ServerType(name="cx23"), "image": Image(name="debian-13")}
    error = refused("invalid_input", lambda: cloud.servers.create(**{**wanted, "name": "-"}))
    assert error.details["fields"][0]["name"] == "name"
    error = refused("invalid_input", lambda: cloud.servers.create(**wanted, user_data="x" * 32769))
    assert error.details["fields"][0]["name"] == "user_data"
    other = {**wanted, "server_type": ServerType(name="cax11"), "image": image}
    error = refused("invalid_input", lambda: cloud.servers.create(**other))
    assert error.details["fields"][0]["name"] == "image"

    others = [
        cloud.servers.create(
            **{**wanted, "name": f"page-{index}"}, labels={"page": str(index)}, location=Location(name="hel1")
        )
        for index in range(30)
    ]
    for one in others:
        one.action.wait_until_finished()
        [one.wait_until_finished() for one in one.next_actions]
    page = cloud.servers.get_list(label_selector="page", page=2, per_page=20)
    assert len(page.servers) == 10 and page.meta.pagination.total_entries == 30
    assert len(cloud.servers.get_all(label_selector="page notin (1,2),!run")) == 28
    assert cloud.servers.get_by_name("page-7").labels == {"page": "7"}
    for one in others:
        one.server.delete().wait_until_finished()

    more_of_servers(cloud, server, network, group)
    more_of_addresses(cloud, server)
    more_of_networks(network, subnet)
    firewall.set_rules(rules)
    firewall.apply_to_resources([FirewallResource("server", server=server)])[0].wait_until_finished()
    firewall.remove_from_resources([FirewallResource("server", server=server)])[0].wait_until_finished()
    firewall.update(name="renamed", labels=labels)
    group.update(name="renamed")
    group.reload()
    address.update(name="renamed", auto_delete=False)

    zone = cloud.zones.create(name="example.com", mode="primary", labels=labels)
    zone.action.wait_until_finished()
    zone = zone.zone
    records = [ZoneRecord(value="192.0.2.1"), ZoneRecord(value="192.0.2.2", comment="two")]
    zone.create_rrset(name="api", type="A", records=records, ttl=60).action.wait_until_finished()
    api = zone.get_rrset("api", "A")
    api.set_rrset_records([ZoneRecord(value="192.0.2.9")]).wait_until_finished()
    api.add_rrset_records([ZoneRecord(value="192.0.2.10")]).wait_until_finished()
    api.remove_rrset_records([ZoneRecord(value="192.0.2.9")]).wait_until_finished()
    assert [one.value for one in zone.get_rrset("api", "A").records] == ["192.0.2.10"]
    new = ZoneRRSet(zone=zone, name="new", type="AAAA")
    zone.add_rrset_records(new, [ZoneRecord(value="2001:db8::1")], ttl=120).wait_until_finished()
    assert {one.id for one in zone.get_rrset_all()} == {"@/SOA", "@/NS", "api/A", "new/AAAA"}
    more_of_zones(cloud, zone, api)
    for kind, one in (("servers", server), ("images", image), ("networks", network), ("firewalls", firewall)):
        look_around(cloud, kind, one.id)
    look_around(cloud, "primary_ips", address.id)
    look_around(cloud, "zones", zone.id)
    cloud.zones.delete_rrset(api).action.wait_until_finished()
    cloud.zones.get("example.com").delete().action.wait_until_finished()

    actions = server.get_actions(sort=["id:desc"])
    assert "rebuild_server" in {one.command for one in actions} and {one.status for one in actions} == {"success"}
    prices = cloud._client.request(method="GET", url="/pricing")["pricing"]
    assert prices["currency"] == "EUR"
    assert cloud.locations.get_by_id(1).name == "fsn1" and cloud.server_types.get_by_id(114).name == "cx23"
    for kind in ("ssh_keys", "placement_groups"):
        assert cloud._client.request(method="GET", url=f"/{kind}")[kind]
    assert len(cloud.locations.get_all()) == 6 and cloud.server_types.get_by_name("cax11").architecture == "arm"
    assert cloud.images.get_by_name_and_architecture("debian-13", "arm").architecture == "arm"

    server.power_off().wait_until_finished()
    address.reload()
    server.delete().wait_until_finished()
    address.reload()
    assert address.assignee_id is None
    address.delete()
    image.delete()
    firewall.remove_from_resources([selector])[0].wait_until_finished()
    firewall.delete()
    network.delete()
    group.delete()
    key.delete()
    refused("not_found", lambda: cloud.servers.get_by_id(server.id))
    refused("unauthorized", lambda: client(url, "wrong").servers.get_all())


def more_of_servers(cloud, server, network, group):
    for act in (server.power_off, server.remove_from_placement_group):
        act().wait_until_finished()
    server.add_to_placement_group(group).wait_until_finished()
    server.detach_from_network(network).wait_until_finished()
    server.attach_to_network(network, ip="10.0.1.9").wait_until_finished()
    server.power_on().wait_until_finished()
    server.reload()
    assert server.private_net[0].ip == "10.0.1.9"
    server.reboot().wait_until_finished()
    server.reset().wait_until_finished()
    server.enable_rescue(type="linux64").action.wait_until_finished()
    server.disable_rescue().wait_until_finished()
    server.change_protection(delete=True, rebuild=True).wait_until_finished()
    server.change_protection(delete=False, rebuild=False).wait_until_finished()
    assert server.update(name="judge-2").name == "judge-2"


def more_of_addresses(cloud, server):
    address = cloud.primary_ips.create(
        name="other", type="ipv6", location=Location("fsn1"), assignee_type="server"
    ).primary_ip
    refused("server_not_stopped", lambda: address.assign(server.id, "server"))
    server.power_off().wait_until_finished()
    address.assign(server.id, "server").wait_until_finished()
    address.unassign().wait_until_finished()
    address.change_protection(delete=True).wait_until_finished()
    refused("protected", address.delete)
    address.change_protection(delete=False).wait_until_finished()
    address.delete()


def more_of_networks(network, subnet):
    refused("resource_in_use", lambda: network.delete_subnet(subnet))
    other = NetworkSubnet(type="cloud", network_zone="us-east", ip_range="10.0.2.0/24")
    network.add_subnet(other).wait_until_finished()
    network.delete_subnet(other).wait_until_finished()
    network.delete_route(network.routes[0]).wait_until_finished()
    network.change_ip_range("10.0.0.0/8").wait_until_finished()
    network.change_protection(delete=True).wait_until_finished()
    refused("protected", network.delete)
    network.change_protection(delete=False).wait_until_finished()
    network.update(name="renamed")


def more_of_zones(cloud, zone, records):
    zone.change_ttl(600).wait_until_finished()
    zone.change_protection(delete=True).wait_until_finished()
    refused("protected", zone.delete)
    zone.change_protection(delete=False).wait_until_finished()
    zone.update(labels={"run": "judge"})
    records.change_rrset_ttl(90).wait_until_finished()
    records.change_rrset_protection(change=True).wait_until_finished()
    refused("protected", lambda: cloud.zones.delete_rrset(records))
    records.change_rrset_protection(change=False).wait_until_finished()
    records.update_rrset_records([ZoneRecord(value="192.0.2.10", comment="new")]).wait_until_finished()
    cloud.zones.update_rrset(records, labels={"run": "judge"})
    assert zone.get_rrset("api", "A").records[0].comment == "new"


def look_around(cloud, kind, one):
    """All that a kind with actions has for reading, which the library has methods for in part."""

    def get(path):
        return cloud._client.request(method="GET", url=path)

    own = get(f"/{kind}/{one}/actions")["actions"]
    assert own and get(f"/{kind}/actions")["actions"] and get(f"/{kind}")[kind]
    last = own[-1]["id"]
    for path in (f"/{kind}/{one}/actions/{last}", f"/{kind}/actions/{last}", f"/actions/{last}", f"/actions?id={last}"):
        assert get(path)
    assert get(f"/{kind}/{one}")


def seed(cloud):
    """One of each kind; their IDs by the first step of their paths."""
    zone = cloud.zones.create(name="example.com", mode="primary").zone
    zone.create_rrset(name="www", type="A", records=[ZoneRecord(value="192.0.2.1")])
    subnet = NetworkSubnet(type="cloud", network_zone="eu-central", ip_range="10.0.1.0/24")
    server = cloud.servers.create(
        name="seed",
        server_type=ServerType(name="cx23"),
        image=Image(name="debian-13"),
        location=Location(name="fsn1"),
        start_after_create=False,
    )
    image = server.server.create_image(type="snapshot").image
    kept = {
        "servers": server.server,
        "images": image,
        "networks": cloud.networks.create(name="seed", ip_range="10.0.0.0/16", subnets=[subnet]),
        "primary_ips": cloud.primary_ips.create(
            name="seed", type="ipv6", location=Location("fsn1"), assignee_type="server"
        ).primary_ip,
        "firewalls": cloud.firewalls.create(name="seed").firewall,
        "placement_groups": cloud.placement_groups.create(name="seed", type="spread").placement_group,
        "ssh_keys": cloud.ssh_keys.create(name="seed", public_key=KEY),
    }
    return {"actions": server.action.id, "locations": 1, "server_types": 114} | {
        kind: one.id for kind, one in kept.items()
    }


def document(url, token, path, folder):
    # Requests that are right and wrong, to IDs that are made up.
    made_up = schemathesis_run(url, token, path, folder, "all", [])
    lines = []

    def use(pattern, place, value):
        # What was made stays: deletion meets other IDs, or none.
        lines.extend(["[[operations]]", f"include-path-regex = '{pattern}'", 'exclude-method = "DELETE"'])
        lines.append(f'parameters = {{ "path.{place}" = {value} }}')

    for kind, one in seed(client(url, token)).items():
        use(rf"^/{kind}/\{{id\}}", "id", one)
    for place, value in (("id_or_name", "example.com"), ("rr_name", "www"), ("rr_type", "A")):
        use(rf"\{{{place}\}}", place, f'"{value}"')
    # Requests that are right, to what is there: a wrong ID would be replaced by a right one.
    there = schemathesis_run(url, token, path, folder, "positive", lines)
    assert made_up == there == 0, f"schemathesis ended with {made_up} and {there}"


def schemathesis_run(url, token, path, folder, mode, lines):
    configuration = os.path.join(folder, "schemathesis.toml")
    with open(configuration, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    arguments = [
        *("--url", url, "--header", f"Authorization: Bearer {token}", "--mode", mode),
        *("--seed", "1", "--max-examples", "5", "--phases", "coverage,fuzzing", "--warnings", "off"),
        # What a schema can't say, such as that a name is one of a host, is refused and may be.
        *("--exclude-checks", "positive_data_acceptance", "--continue-on-failure", "--no-shrink"),
        *("--suppress-health-check", "all"),
    ]
    program = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    command = [program, "--config-file", configuration, "run", path, *arguments]
    return subprocess.run(command, cwd=folder, check=False).returncode


def main():
    kind, url, token, path, *rest = sys.argv[1:]
    started = time.monotonic()
    if kind == "library":
        library(url, token, path)
    else:
        document(url, token, path, *rest)
    print(f"accepted in {time.monotonic() - started:.1f} s")


main()
