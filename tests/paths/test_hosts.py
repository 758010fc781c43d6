"""Which spans go by one clock: told by what their resources say of the host, and by nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from spantables import table_of
from spanverdict.paths.hosts import Hosts, hosts_of


def hosts(*resources: dict[str, Any]) -> tuple[list[int], Hosts]:
    """Return the clock of a span of each resource, and all clocks."""
    table = table_of([{"trace": "a", "id": n + 1, "resource": attributes} for n, attributes in enumerate(resources)])
    found = hosts_of(table)
    return found.of_resource[table.resource].tolist(), found


def same(*resources: dict[str, Any]) -> bool:
    return len(set(hosts(*resources)[0])) == 1


def stated(resource: dict[str, Any]) -> bool:
    clocks, found = hosts(resource)
    return bool(found.stated[clocks[0]])


@pytest.mark.parametrize("key", ["host.id", "host.name", "k8s.node.name", "k8s.node.uid", "host.ip"])
def test_services_on_one_host_share_its_clock(key: str) -> None:
    one, other = {"service.name": "a", key: "10.0.0.1"}, {"service.name": "b", key: "10.0.0.1"}
    assert same(one, other)
    assert not same(one, {"service.name": "a", key: "10.0.0.2"})
    assert stated(one)


def test_what_tells_more_comes_before_what_tells_less() -> None:
    """Proves it of an id against a name, and of a node against an id, which may be that of an image."""
    assert same({"host.id": "1", "host.name": "a"}, {"host.id": "1", "host.name": "b"})
    assert not same({"host.id": "1", "host.name": "a"}, {"host.id": "2", "host.name": "a"})
    assert not same({"k8s.node.name": "n1", "host.id": "1"}, {"k8s.node.name": "n2", "host.id": "1"})


def test_a_lesser_name_leads_to_the_host_that_others_call_so() -> None:
    """Proves that one SDK may know the host's id and another only its name."""
    known = {"service.name": "a", "host.id": "1", "host.name": "gateway-1"}
    named = {"service.name": "b", "host.name": "gateway-1", "host.ip": ["10.0.0.1"]}
    addressed = {"service.name": "c", "host.ip": "10.0.0.1"}
    assert same(known, named, addressed)
    assert same(addressed, named, known)


def test_a_name_that_two_hosts_have_leads_to_neither() -> None:
    clocks, _ = hosts({"host.id": "1", "host.name": "web"}, {"host.id": "2", "host.name": "web"}, {"host.name": "web"})
    assert len(set(clocks)) == 3


@pytest.mark.parametrize(
    "resource",
    [
        {},
        {"host.name": ""},
        {"host.name": "localhost"},
        {"host.name": 7},
        {"host.name": "0f3c9a2b7d11"},
        {"host.name": "checkout-5d4f", "k8s.pod.name": "checkout-5d4f"},
        {"host.ip": ["127.0.0.1", "::1", "172.17.0.1"]},
        {"service.instance.id": "627cc493-f310-47de-96bd-71410b7dec09", "container.id": "0f3c"},
    ],
)
def test_these_resources_do_not_say_where_they_are(resource: dict[str, Any]) -> None:
    assert not stated({"service.name": "a", **resource})


def test_processes_that_do_not_say_where_they_are_have_clocks_of_their_own() -> None:
    assert not same({"service.name": "a"}, {"service.name": "b"})
    assert not same(
        {"service.name": "a", "service.instance.id": "1"}, {"service.name": "a", "service.instance.id": "2"}
    )
    assert same({"service.name": "a", "x": 1}, {"service.name": "a", "x": 2})


def test_addresses_count_all_together_in_any_order() -> None:
    assert same({"host.ip": ["10.0.0.1", "10.0.0.2"]}, {"host.ip": ["10.0.0.2", "127.0.0.1", "10.0.0.1"]})
    assert not same({"host.ip": ["10.0.0.1", "192.168.0.1"]}, {"host.ip": ["10.0.0.2", "192.168.0.1"]})


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        ({"service.name": "gateway", "host.id": "1", "host.name": "gateway-1"}, "gateway-1"),
        ({"service.name": "gateway", "host.id": "1"}, "1"),
        ({"k8s.node.name": "node-7", "host.name": "gateway-1"}, "node-7"),
        ({"service.name": "gateway"}, "gateway"),
        ({}, "a service without a name"),
    ],
)
def test_clocks_have_names_for_people(resource: dict[str, Any], name: str) -> None:
    clocks, found = hosts(resource)
    assert found.names[clocks[0]] == name


def test_clocks_of_the_same_name_are_told_apart() -> None:
    _, found = hosts({"host.id": "1", "host.name": "web"}, {"host.id": "2", "host.name": "web"}, {"service.name": "a"})
    assert set(found.names) == {"web (1)", "web (2)", "a"}


def test_clocks_do_not_depend_on_the_order_of_spans() -> None:
    resources = [{"host.name": f"h{number % 7}", "service.name": f"s{number % 3}"} for number in range(20)]
    forward, backward = hosts(*resources), hosts(*resources[::-1])
    assert forward[0] == backward[0][::-1]
    assert forward[1].names == backward[1].names
