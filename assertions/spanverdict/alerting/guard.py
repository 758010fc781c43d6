"""Which addresses a webhook may be sent to: what a client may not reach through us, it does not reach.

The judgement is about the address that is connected to, never about how a URL spells it, so
decimal, octal or mapped spellings, redirects and names that change their address gain nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver: TypeAlias = Callable[[str, int], Sequence[str]]
"""(host, port) to the textual addresses that the system would connect to, in its order."""


class AddressRefused(Exception):  # noqa: N818 - says what is wrong
    """A webhook's address is one that must not be reached; the message says why."""


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(map(ipaddress.ip_network, texts))


# The special-purpose registries of IANA, sorted by what `allow_private` opens and what nothing opens.
_PRIVATE = (
    ("loopback", _networks("127.0.0.0/8", "::1/128")),
    ("private", _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")),
    ("shared by carriers", _networks("100.64.0.0/10")),
)
_NEVER = (
    ("unspecified", _networks("0.0.0.0/8", "::/128")),
    ("link-local", _networks("169.254.0.0/16", "fe80::/10")),
    ("machine's own", _networks("168.63.129.16/32")),  # what Azure answers every virtual machine at
    ("multicast", _networks("224.0.0.0/4", "ff00::/8")),
    ("kept for protocols", _networks("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2002::/16")),
    ("for documentation", _networks("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")),
    ("for benchmarks", _networks("198.18.0.0/15")),
    ("reserved", _networks("240.0.0.0/4")),
)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
"""The only part of IPv6 that is handed out to the public."""
_TRANSLATED_V6 = ipaddress.IPv6Network("64:ff9b::/96")
"""How a network without IPv4 writes an IPv4 address (NAT64)."""


def refusal(address: Address, *, allow_private: bool) -> str:
    """Say why an address must not be reached; empty when it may.

    >>> refusal(ipaddress.ip_address("::ffff:10.0.0.1"), allow_private=False)
    'private'
    >>> refusal(ipaddress.ip_address("192.0.0.1"), allow_private=True)
    'kept for protocols'
    """
    address = _plain(address)
    for name, networks in _PRIVATE:
        if _within(address, networks):
            return "" if allow_private else name
    for name, networks in _NEVER:
        if _within(address, networks):
            return name
    return "reserved" if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_V6 else ""


def allowed_addresses(host: str, port: int, resolve: Resolver, *, allow_private: bool) -> list[str]:
    """Look a host up once and return its addresses if every one of them may be reached.

    One forbidden address among several refuses the host, since whoever names them would choose.

    Raises:
        AddressRefused: an address must not be reached, or there is none.
        OSError: the name cannot be looked up.
    """
    addresses = list(dict.fromkeys(resolve(host, port)))
    for text in addresses:
        why = refusal(ipaddress.ip_address(text), allow_private=allow_private)
        if why:
            hint = "; allow_private would permit it" if why in dict(_PRIVATE) else ""
            article = "an" if why[0] in "aeiou" else "a"
            raise AddressRefused(f"{host} is at {article} {why} address{hint}")
    if not addresses:
        raise AddressRefused(f"{host} has no address")
    return addresses


def check_host(host: str, allowed: Sequence[str]) -> None:
    """Refuse a host that is not on the list; an empty list has every host.

    An entry is a host name or address, or `*.` and a name for everything below that name. A final
    dot and upper case do not count, and names in other scripts are compared as they are looked up.

    Raises:
        AddressRefused: the host is not on the list.

    >>> check_host("Hooks.Example.", ["hooks.example"])
    >>> check_host("evil.hooks.example", ["hooks.example"])
    Traceback (most recent call last):
    spanverdict.alerting.guard.AddressRefused: evil.hooks.example is not among the hosts that webhooks may go to
    """
    name = _plain_name(host)
    for entry in allowed:
        below = entry.startswith("*.")
        wanted = _plain_name(entry.removeprefix("*."))
        if (below and name.endswith(f".{wanted}")) or (not below and name == wanted):
            return
    if allowed:
        raise AddressRefused(f"{host} is not among the hosts that webhooks may go to")


def _plain_name(host: str) -> str:
    name = host.lower().removeprefix("[").removesuffix("]").removesuffix(".")
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return name


def lookup_within(resolve: Resolver, seconds: float | None) -> Resolver:
    """Return a resolver that raises `TimeoutError` when there is no answer in time; None waits for ever.

    The system's resolver knows no time-out, so it is asked in a thread, which is left alone if it hangs:
    it ends when the system gives up.
    """

    def look_up(host: str, port: int) -> Sequence[str]:
        answer: Future[Sequence[str]] = Future()

        def ask() -> None:
            try:
                answer.set_result(resolve(host, port))
            except BaseException as error:  # noqa: BLE001 - it belongs to who asked
                answer.set_exception(error)

        threading.Thread(target=ask, name="spanverdict-lookup", daemon=True).start()
        return answer.result(seconds)

    return look_up


def system_resolver(host: str, port: int) -> list[str]:
    """Ask the system, as a connection would."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for family, *_, address in found if family in (socket.AF_INET, socket.AF_INET6)]


def _plain(address: Address) -> Address:
    """Return the IPv4 address within an IPv6 one that stands for it."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _TRANSLATED_V6:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
