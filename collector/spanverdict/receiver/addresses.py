"""`host:port`: reading it, knowing whether it is public, and taking it."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from dataclasses import dataclass

from spanverdict.receiver.errors import AddressInUse, BadAddress, CannotListen

_LOOPBACK = "127.0.0.1"
_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """A numeric IP address and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def is_any(self) -> bool:
        """Whether it stands for every interface."""
        return ipaddress.ip_address(self.host).is_unspecified

    @property
    def reachable(self) -> Address:
        """Where a client on this machine connects to."""
        if not self.is_any:
            return self
        return Address("::1" if ":" in self.host else _LOOPBACK, self.port)


def parse_address(text: str) -> Address:
    """Read `host:port`. A missing host is loopback; name `0.0.0.0` or `[::]` to listen on every interface.

    Raises:
        BadAddress: it is no address, or the host's name does not resolve.

    >>> parse_address(":4317")
    Address(host='127.0.0.1', port=4317)
    >>> str(parse_address("[::1]:0"))
    '[::1]:0'
    """
    host, colon, port = text.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or (":" in host and not bracketed):
        raise BadAddress(f"{text!r} is no address: write host:port, for instance 127.0.0.1:4317 or [::1]:4317")
    if not (port.isascii() and port.isdigit()) or int(port) > _HIGHEST_PORT:
        raise BadAddress(f"{text!r} is no address: the port must be a number from 0 to {_HIGHEST_PORT}")
    return Address(_resolved(host.strip("[]") or _LOOPBACK, text), int(port))


def _resolved(host: str, text: str) -> str:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise BadAddress(f"{text!r} is no address: the host {host!r} does not resolve") from None
    by_family = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)
    return str(by_family[0][4][0])


def bind(address: Address) -> socket.socket:
    """Take an address for ourselves; the socket is bound and not yet listening.

    Raises:
        AddressInUse: somebody else has it.
        CannotListen: it is not ours to take.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        raise _listen_error(address, error) from None
    return listener


def _listen_error(address: Address, error: OSError) -> CannotListen:
    if error.errno == errno.EADDRINUSE:
        return AddressInUse(str(address))
    return CannotListen(str(address), os.strerror(error.errno).lower() if error.errno else str(error))
