from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.stories import RULES


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The rule file of the scoring system."""
    path = tmp_path / "scoring.yaml"
    path.write_text(RULES, encoding="utf-8")
    return path
