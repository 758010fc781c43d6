"""Where the rule packs are that come with Spanverdict."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FLOW_FILE: Final = "flow.yaml"
"""The file of a pack that is its flow; the folder names the pack."""

_ROOM: Final = Path(__file__).parents[1]


def pack_file(name: str) -> Path | None:
    """Return the file of a pack, None when there is no such pack."""
    return next((home / name / FLOW_FILE for home in _homes() if name in _names(home)), None)


def pack_names() -> tuple[str, ...]:
    """Return the names of all packs, sorted."""
    return tuple(sorted({name for home in _homes() for name in _names(home)}))


def _homes() -> list[Path]:
    """Return the folder beside the installed code, or in a checkout the one that it is made from."""
    checkout = [_ROOM.parents[1] / "rules"] if _ROOM.parent.name == "assertions" else []
    return [home for home in (_ROOM / "rulepacks", *checkout) if home.is_dir()]


def _names(home: Path) -> list[str]:
    return [path.parent.name for path in home.glob(f"*/{FLOW_FILE}")]
