"""Golden files as they are written: records as lines, and changes that leave all other bytes alone."""

from __future__ import annotations

import doctest
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.app import goldentext
from spanverdict.app.errors import CommandError
from spanverdict.app.goldentext import GoldenEdit, can_be_kept, record_line, write_whole
from spanverdict.checks.alike import are_alike
from spanverdict.checks.golden import Allowance
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.rulefiles.goldenfile import GoldenText, read_golden_text

KEYS = st.text(max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner, max_size=3)
)
FINITE = VALUES.filter(can_be_kept)


def read(data: bytes) -> GoldenText:
    problems = Problems()
    found = read_golden_text(data, "g.jsonl", "g.jsonl", problems)
    assert found is not None, problems.sorted()
    return found


def edit(data: bytes) -> GoldenEdit:
    return GoldenEdit.of(read(data), data)


def line(key: str, value: Any) -> str:
    return record_line(key, {"value": value})


@given(KEYS, st.dictionaries(KEYS, FINITE, min_size=1, max_size=3))
def test_what_is_recorded_is_what_is_compared_with(key: str, values: dict[str, Any]) -> None:
    """Half characters, huge numbers and all: every value is alike to what is read back."""
    written = record_line(key, values)
    assert "\n" not in written
    assert written == record_line(key, dict(reversed(values.items())))
    found = read(written.encode()).file.records[key]
    assert all(are_alike(found[name], value, Allowance()) for name, value in values.items())


@given(VALUES)
def test_what_json_cannot_hold_is_not_kept(value: Any) -> None:
    try:
        json.dumps(goldentext.as_json(value), allow_nan=False)
    except ValueError:
        assert not can_be_kept(value)
    else:
        assert can_be_kept(value)
    assert not can_be_kept({"a": (value, math.inf)})


def test_only_the_line_of_a_changed_record_changes() -> None:
    """Blank lines, blanks inside lines, another order and line ends of another system stay."""
    data = b'{"key":"b","value":1}\r\n\n{ "value": 2, "key": "a" }\n{"key": "c", "value": 0.10}'
    found = edit(data)
    found.change("b", {"value": 5})
    found.add_and_remove({}, ())
    assert found.text() == '{"key": "b", "value": 5}\r\n\n{ "value": 2, "key": "a" }\n{"key": "c", "value": 0.10}\n'


def test_values_of_other_rules_stay_in_a_changed_record() -> None:
    found = edit(b'{"key": "a", "values": {"score": 1, "label": "x"}}\n')
    found.change("a", {"score": 2})
    assert found.text() == '{"key": "a", "values": {"label": "x", "score": 2}}\n'


@given(
    st.dictionaries(KEYS, st.integers(), min_size=1, max_size=8),
    st.dictionaries(KEYS, st.integers(), max_size=8),
    st.sets(KEYS, max_size=8),
    st.booleans(),
)
def test_a_sorted_file_stays_sorted_and_another_is_added_to_at_its_end(
    old: dict[str, int], new: dict[str, int], gone: set[str], is_sorted: bool
) -> None:
    order = sorted(old) if is_sorted else sorted(old, reverse=True)
    found = edit("".join(f"{line(key, old[key])}\n" for key in order).encode())
    new = {key: value for key, value in new.items() if key not in old}
    gone &= old.keys()
    found.add_and_remove({key: {"value": value} for key, value in new.items()}, gone)
    if not new and gone == old.keys():
        return
    keys = list(read(found.text().encode()).file.records)
    kept = [key for key in order if key not in gone]
    assert keys == (sorted([*kept, *new]) if order == sorted(old) else [*kept, *sorted(new)])


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "golden" / "g.jsonl"
    write_whole(path, "one\n")
    assert path.read_text(encoding="utf-8") == "one\n"

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CommandError, match="No space left on device"):
        write_whole(path, "two\n")
    assert path.read_text(encoding="utf-8") == "one\n"
    assert [one.name for one in path.parent.iterdir()] == ["g.jsonl"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.jsonl").write_text("one\n", encoding="utf-8")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "real.jsonl")
    write_whole(tmp_path / "link.jsonl", "two\n")
    assert (tmp_path / "link.jsonl").is_symlink()
    assert (tmp_path / "real.jsonl").read_text(encoding="utf-8") == "two\n"


def test_the_examples_in_the_docstrings_are_true() -> None:
    result = doctest.testmod(goldentext)
    assert result.attempted > 0
    assert result.failed == 0
