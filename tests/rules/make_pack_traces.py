"""Writes the traces beside the rule packs anew: `PYTHONPATH=tests python -m rules.make_pack_traces`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from rules import genai_traffic, http_traffic, messaging_traffic
from rules.recording import Recording

PACKS = Path(__file__).parents[2] / "rules"
RECORDINGS: dict[str, dict[str, Callable[[], Recording]]] = {
    "http": http_traffic.RECORDINGS,
    "genai": genai_traffic.RECORDINGS,
    "messaging": messaging_traffic.RECORDINGS,
}


def traces() -> Iterator[tuple[Path, Callable[[], Recording]]]:
    """Yield every file of traces and what records it."""
    for pack, recordings in RECORDINGS.items():
        for name, record in recordings.items():
            yield PACKS / pack / "traces" / f"{name}.json", record


def main() -> None:
    for path, record in traces():
        path.parent.mkdir(exist_ok=True)
        path.write_text(record().to_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
