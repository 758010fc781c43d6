"""Which spans go by the same clock: those of one host, as far as their resources say where they ran."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from spanverdict.telemetry.pool import Pool, Value
from spanverdict.telemetry.spantable import Bools, Int64s, SpanTable

Identity: TypeAlias = tuple[str, ...]
Described: TypeAlias = tuple[int, ...]
"""Numbers of attributes in the pool."""

_LEVELS: Final = ("k8s.node.uid", "k8s.node.name", "host.id", "host.name", "host.ip")
"""What names a host, the most telling first. A node comes before the host id: an image may bring one of its own."""
_PROCESS: Final = (
    "service.name",
    "service.namespace",
    "service.instance.id",
    "container.id",
    "k8s.pod.uid",
    "k8s.pod.name",
    "host.name",
)
"""What tells processes apart that do not name their host."""
_KEYS: Final = frozenset((*_LEVELS, *_PROCESS))
_NO_HOST: Final = frozenset({"", "localhost", "localhost.localdomain", "unknown"})
_CONTAINER: Final = re.compile(r"[0-9a-f]{12}|[0-9a-f]{64}", re.ASCII)
"""What container engines call a container that nobody has named."""
_LOCAL: Final = ("127.", "::1", "169.254.", "fe80:", "172.17.")
"""Addresses that every host has: of itself, of one link, of the bridge to its containers."""
_LONGEST: Final = 80


@dataclass(frozen=True, slots=True, eq=False)
class Hosts:
    """The clocks of a run, numbered in the order of what identifies them."""

    of_resource: Int64s
    """By the resource's number in the pool; -1 for those that no span of the run has."""
    names: tuple[str, ...]
    """For people."""
    stated: Bools
    """Whether the resources say which host it is. If not, it is the clock of one process on a host unknown."""

    def __len__(self) -> int:
        return len(self.names)


def hosts_of(table: SpanTable) -> Hosts:
    """Find the clocks that the spans of a table go by; works once for each distinct description of a host."""
    pool = table.pool
    used = np.zeros(len(pool.resource_attributes), np.bool_)
    used[table.resource] = True
    described = dict(_descriptions(pool, np.flatnonzero(used).tolist()))
    attributes = {own: dict(pool.attribute(number) for number in own) for own in set(described.values())}
    identities = _identities(attributes)
    ordered = sorted(set(identities.values()))
    number = {identity: place for place, identity in enumerate(ordered)}
    of_resource = np.full(len(used), -1, np.int64)
    for resource, own in described.items():
        of_resource[resource] = number[identities[own]]
    stated = np.array([identity[0] in _LEVELS for identity in ordered], np.bool_)
    return Hosts(of_resource, _names(ordered, identities, attributes), stated)


def _descriptions(pool: Pool, resources: list[int]) -> Iterator[tuple[int, Described]]:
    """Yield the attributes of each resource that say where it is, in the order sent: of equal keys the last counts."""
    wanted = {pool.keys.id_of(key) for key in _KEYS} - {-1}
    keys = pool.keys.of_attributes()
    for resource in resources:
        yield resource, tuple([number for number in pool.resource_attributes[resource] if int(keys[number]) in wanted])


def _identities(attributes: Mapping[Described, Mapping[str, Value]]) -> dict[Described, Identity]:
    """Return what identifies the clock of each description.

    One that has only a lesser name for its host takes the greater one that others with that name have, if they agree.
    """
    stated = {resource: list(_said_hosts(own)) for resource, own in attributes.items()}
    found: dict[Described, Identity] = {}
    known: dict[Identity, set[Identity]] = {}
    for level in _LEVELS:
        here = [resource for resource, said in stated.items() if said and said[0][0] == level]
        for resource in here:
            first, *_ = stated[resource]
            others = known.get(first, set())
            found[resource] = min(others) if len(others) == 1 else first
        for resource in here:
            for lesser in stated[resource][1:]:
                known.setdefault(lesser, set()).add(found[resource])
    vague = {resource: _process(own) for resource, own in attributes.items() if resource not in found}
    return found | vague


def _said_hosts(attributes: Mapping[str, Value]) -> Iterator[Identity]:
    """Yield (level, name) of what a resource calls its host, the most telling first."""
    for level in _LEVELS:
        name = _addresses(attributes.get(level)) if level == "host.ip" else _text(attributes.get(level))
        if name not in _NO_HOST and not (level == "host.name" and _is_container(name, attributes)):
            yield level, name


def _is_container(name: str, attributes: Mapping[str, Value]) -> bool:
    """Tell whether a host's name is only that of a container or pod, which says nothing of the machine."""
    own = {_text(attributes.get(key)) for key in ("container.name", "k8s.pod.name")}
    return bool(_CONTAINER.fullmatch(name)) or name in own


def _addresses(value: Value) -> str:
    """Return all addresses of a host that tell it from others, sorted."""
    parts = value if isinstance(value, tuple) else (value,)
    return " ".join(sorted({text for text in map(_text, parts) if text and not text.startswith(_LOCAL)}))


def _process(attributes: Mapping[str, Value]) -> Identity:
    return ("", *(_text(attributes.get(key)) for key in _PROCESS))


def _text(value: Value) -> str:
    return value.strip() if isinstance(value, str) else ""


def _names(
    ordered: list[Identity],
    identities: Mapping[Described, Identity],
    attributes: Mapping[Described, Mapping[str, Value]],
) -> tuple[str, ...]:
    """Name clocks for people: the host where it is known, else the service; with more where others are called so."""
    found: dict[Identity, str] = {}
    for resource, identity in identities.items():
        name = _name(identity, attributes[resource])[:_LONGEST]
        found[identity] = min(name, found.get(identity, name))
    often = Counter(found.values())
    return tuple(
        name if often[name] == 1 else f"{name} ({_detail(identity, number)})"
        for number, identity in enumerate(ordered)
        for name in [found[identity]]
    )


def _name(identity: Identity, attributes: Mapping[str, Value]) -> str:
    if identity[0] not in _LEVELS:
        return identity[1] or "a service without a name"
    host = _text(attributes.get("host.name"))
    named = host not in _NO_HOST and not _is_container(host, attributes) and not identity[0].startswith("k8s.")
    return host if named else identity[1]


def _detail(identity: Identity, number: int) -> str:
    parts = identity[1:] if identity[0] in _LEVELS else identity[2:]
    return next(filter(None, parts), str(number))[:_LONGEST]
