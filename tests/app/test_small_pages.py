"""Judging takes memory in small pieces, unless the environment says otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
from numpy._core import multiarray
from spanverdict.app.pages import take_small_pages
take_small_pages()
print(multiarray._get_madvise_hugepage())
"""


@pytest.mark.parametrize(("asked", "expected"), [(None, "False"), ("1", "True"), ("0", "False")])
def test_huge_pages_are_asked_for_only_by_the_user(asked: str | None, expected: str) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "NUMPY_MADVISE_HUGEPAGE"}
    environ |= {} if asked is None else {"NUMPY_MADVISE_HUGEPAGE": asked}
    found = subprocess.run([sys.executable, "-c", PROGRAM], env=environ, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == expected
