"""Programs that send spans with the real SDKs of other languages, and how each is made from what stands here.

Making one needs its language's tools and package registry. The one for Node.js is made in seconds, so it is made
wherever it can be; the others are made on demand (`make clients`). What was made is kept in the user's cache folder.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from otelcollector import NotHere, cache

HERE: Final = Path(__file__).resolve().parent
ASKED: Final = bool(os.environ.get("SPANVERDICT_CLIENTS"))
"""Clients may be made, and one that cannot be made is a failure."""
MADE: Final = "made"
"""A file that says a client was made to its end."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client program in one language."""

    language: str
    tool: str
    """What has to be on PATH to make it."""
    protocols: tuple[str, ...]
    """As the program calls them; all but `grpc` go to the HTTP listener."""
    make: Callable[[Path, Path], Sequence[Sequence[str]]]
    """From the sources and the folder to make it in: commands, run in that folder."""
    command: Callable[[Path], Sequence[str]]
    """From the folder it was made in: how it is started."""
    quick: bool = False
    """It is made without being asked for."""


def _go(_source: Path, folder: Path) -> Sequence[Sequence[str]]:
    return [["go", "build", "-o", str(folder / "client"), "."]]


def _node(_source: Path, _folder: Path) -> Sequence[Sequence[str]]:
    return [["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]]


def _java(_source: Path, folder: Path) -> Sequence[Sequence[str]]:
    return [["mvn", "-q", "-B", f"-Dbuilt={folder}/target", "package"]]


def _java_command(folder: Path) -> Sequence[str]:
    return ["java", "-cp", f"{folder}/target/classes:{folder}/target/dependency/*", "Client"]


CLIENTS: Final = (
    Client("go", "go", ("grpc", "http"), _go, lambda folder: [str(folder / "client")]),
    Client("java", "mvn", ("grpc", "http"), _java, _java_command),
    Client(
        "node", "npm", ("grpc", "proto", "json"), _node, lambda folder: ["node", str(folder / "client.js")], quick=True
    ),
)


@functools.cache
def made(client: Client) -> tuple[str, ...]:
    """Return the command that starts a client; it is made first if that was asked for.

    Raises:
        NotHere: it was not made yet and nobody asked for that, or it cannot be made on this machine.
    """
    source = HERE / client.language
    folder = cache(f"client-{client.language}-{_digest(source)}")
    if not (folder / MADE).exists():
        if not (ASKED or client.quick):
            raise NotHere(f"the {client.language} client was not made yet: see `make clients`")
        if shutil.which(client.tool) is None:
            raise NotHere(f"there is no {client.tool} on this machine")
        shutil.copytree(source, folder, dirs_exist_ok=True)
        for command in client.make(source, folder):
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
            if done.returncode:
                raise NotHere(f"{' '.join(command)} fails: {(done.stderr or done.stdout)[-500:]}")
        (folder / MADE).touch()
    return tuple(client.command(folder))


def _digest(source: Path) -> str:
    """Return what tells one state of the sources from another."""
    whole = hashlib.sha256()
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        whole.update(f"{path.relative_to(source)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return whole.hexdigest()[:16]
