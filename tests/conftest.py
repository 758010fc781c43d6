"""What all tests share: how patient Hypothesis is, which tests wait for `make soak`, and how these tell how far they are."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import HealthCheck, settings

from soaking import Progress

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("SPANVERDICT_SOAK"):
        return
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.skip(reason="set SPANVERDICT_SOAK=1 for the long version"))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their argument: what they hold may differ between the processes that collect (gzip tells the second)."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture
def progress(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Progress:
    def tell(what: str) -> None:
        with capsys.disabled():
            print(f"\n{time.strftime('%H:%M:%S')} {request.node.name}: {what}", flush=True)

    return Progress(tell)
