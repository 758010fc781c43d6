"""The OpenTelemetry Collector's program, for tests and benchmarks: given, found, or built with Go.

It is built from its own modules, in the user's cache folder, with what our Collector file and the benchmarks need.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

VERSION: Final = "v0.161.0"
PROVIDER_VERSION: Final = "v1.67.0"
"""The newest modules that all belong together when this was written."""

_CORE: Final = "go.opentelemetry.io/collector"
_CONTRIB: Final = "github.com/open-telemetry/opentelemetry-collector-contrib"
_BUILDER: Final = f"{_CORE}/cmd/builder"
_MODULES: Final = {
    "receivers": [f"{_CORE}/receiver/otlpreceiver"],
    "processors": [
        f"{_CORE}/processor/batchprocessor",
        f"{_CORE}/processor/memorylimiterprocessor",
        f"{_CONTRIB}/processor/probabilisticsamplerprocessor",
    ],
    "exporters": [
        f"{_CORE}/exporter/debugexporter",
        f"{_CORE}/exporter/nopexporter",
        f"{_CORE}/exporter/otlpexporter",
        f"{_CORE}/exporter/otlphttpexporter",
        f"{_CONTRIB}/exporter/fileexporter",
    ],
    "extensions": [f"{_CONTRIB}/extension/storage/filestorage"],
}
_PROVIDERS: Final = tuple(f"{_CORE}/confmap/provider/{name}provider" for name in ("env", "file", "yaml"))


class NotHere(Exception):  # noqa: N818 - not an error of this program
    """A program is not on this machine and cannot be made; says why."""


def cache(name: str) -> Path:
    """Return a folder for what is built, kept from one time to the next."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "spanverdict-tests" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def collector(*, build: bool = True) -> Path:
    """Return the Collector's program: named by `OTELCOL`, on PATH, built before, or built now.

    Raises:
        NotHere: it is not here, and may or can not be built.
    """
    named = [os.environ.get("OTELCOL", ""), "otelcol", "otelcol-contrib"]
    found = next((program for name in named if name and (program := shutil.which(name))), None)
    if found is not None:
        return Path(found)
    program = cache(f"otelcol-{VERSION}") / "otelcol"
    if not program.exists():
        if not build:
            raise NotHere("no otelcol on PATH, and none was built")
        _build(program)
    return program


def _build(program: Path) -> None:
    if shutil.which("go") is None:
        raise NotHere("no otelcol on PATH, and no Go to build one")
    folder = program.parent
    recipe = folder / "builder.yaml"
    recipe.write_text(_recipe(folder), encoding="utf-8")
    print(f"building the Collector {VERSION} in {folder}", file=sys.stderr, flush=True)
    environ = {**os.environ, "GOBIN": str(folder)}
    install = ["go", "install", f"{_BUILDER}@{VERSION}"]
    for command in (install, [str(folder / "builder"), "--config", str(recipe)]):
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotHere(f"the Collector cannot be built:\n{done.stderr[-2000:]}")


def _recipe(folder: Path) -> str:
    lines = [f"dist: {{name: otelcol, output_path: {folder}}}"]
    for group, modules in _MODULES.items():
        lines += [f"{group}:", *(f"  - gomod: {module} {VERSION}" for module in modules)]
    lines += ["providers:", *(f"  - gomod: {module} {PROVIDER_VERSION}" for module in _PROVIDERS)]
    return "\n".join(lines) + "\n"
