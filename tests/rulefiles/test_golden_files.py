"""Golden files as they are read: which paths a rule may name, what a line may hold, and where mistakes are shown."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleruns import HEAD
from spanverdict.checks.output import Output
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.rulefiles import beside
from spanverdict.rulefiles.beside import path_beside, read_beside, unread
from spanverdict.rulefiles.goldenfile import MOST_REPORTED, GoldenText, read_golden_text
from spanverdict.rulefiles.lint import lint
from spanverdict.rulefiles.loader import load, load_files
from spanverdict.rulefiles.mistake import Mistake

RULE = (
    "rules:\n  - {id: r, output: {stage: score, value: span.score}, golden: {file: FILE}, expect: {ratio: '>= 99%'}}\n"
)


def read(data: bytes) -> tuple[GoldenText | None, list[str]]:
    problems = Problems()
    found = read_golden_text(data, "g.jsonl", "rules/g.jsonl", problems)
    return found, [f"{one.position}: {one.message}" for one in problems.sorted()]


def test_records_keep_the_order_of_the_file() -> None:
    data = b'{"key": "b", "value": 1}\r\n\n{"key": 7, "values": {"score": [0.5, {"a": null}]}}\n'
    found, said = read(data)
    assert said == []
    assert found is not None
    assert dict(found.file.records) == {"b": {"value": 1}, "7": {"score": (0.5, {"a": None})}}
    assert found.lines == {"b": 1, "7": 3}
    assert found.texts["b"] == '{"key": "b", "value": 1}'
    assert found.file.sha256 == hashlib.sha256(data).hexdigest()


KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | KEYS


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=20), st.booleans())
def test_whatever_is_written_is_read_back(records: dict[str, object], as_ascii: bool) -> None:
    lines = [json.dumps({"key": key, "value": value}, ensure_ascii=as_ascii) for key, value in records.items()]
    found, said = read("\n".join(lines).encode())
    assert said == []
    assert found is not None
    assert {key: fields["value"] for key, fields in found.file.records.items()} == records


@given(st.binary(max_size=200))
def test_any_bytes_are_a_golden_file_or_refused(data: bytes) -> None:
    found, said = read(data)
    assert (found is None) == bool(said)


@pytest.mark.parametrize("data", [b"", b"\n \n\r\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(data: bytes) -> None:
    found, said = read(data)
    assert found is None
    assert len(said) == 1


def test_of_many_mistakes_the_first_are_shown_and_all_are_counted() -> None:
    found, said = read(b"oops\n" * (MOST_REPORTED + 5))
    assert found is None
    assert len(said) == MOST_REPORTED + 1
    assert said[1] == "rules/g.jsonl:1:1: this line is not JSON: expecting value"
    assert said[0] == "rules/g.jsonl:1:1: 5 more lines of this file are wrong"


@pytest.mark.parametrize(
    "name", ["../g.jsonl", "a/../../g.jsonl", "/g.jsonl", "C:/g.jsonl", "a\\g.jsonl", "..", "a/..", "~/../g"]
)
def test_a_path_out_of_the_folder_is_refused(name: str) -> None:
    with pytest.raises(Mistake) as caught:
        path_beside("rules/flow.yaml", name)
    assert "leads out of the folder" in caught.value.message


def test_a_link_out_of_the_folder_is_refused_and_one_inside_is_followed(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (tmp_path / "secret.jsonl").write_text("secret", encoding="utf-8")
    (rules / "real.jsonl").write_text("real", encoding="utf-8")
    (rules / "out.jsonl").symlink_to(tmp_path / "secret.jsonl")
    (rules / "in.jsonl").symlink_to(rules / "real.jsonl")
    (rules / "circle.jsonl").symlink_to(rules / "circle.jsonl")
    assert read_beside(str(rules / "flow.yaml"), "in.jsonl") == b"real"
    for name in ("out.jsonl", "circle.jsonl"):
        with pytest.raises(Mistake):
            read_beside(str(rules / "flow.yaml"), name)
        if name == "out.jsonl":
            with pytest.raises(Mistake):
                unread(str(rules / "flow.yaml"), name)


def test_what_is_no_file_or_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "large.jsonl").write_bytes(b"x" * 101)
    monkeypatch.setattr(beside, "MAX_BYTES", 100)
    for name, said in (("folder", "is a directory"), ("large.jsonl", "is larger than"), ("none", "there is no file")):
        with pytest.raises(Mistake) as caught:
            read_beside(str(tmp_path / "flow.yaml"), name)
        assert said in caught.value.message


def test_a_file_stands_beside_the_rule_file_wherever_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rules" / "golden").mkdir(parents=True)
    (tmp_path / "rules" / "golden" / "g.jsonl").write_text('{"key": "r", "value": 1}\n', encoding="utf-8")
    (tmp_path / "rules" / "flow.yaml").write_text(HEAD + RULE.replace("FILE", "golden/g.jsonl"), encoding="utf-8")
    for folder, name in ((tmp_path, "rules"), (tmp_path / "rules", "flow.yaml"), (tmp_path, str(tmp_path / "rules"))):
        monkeypatch.chdir(folder)
        (flow,), problems = load_files([name])
        assert not problems.sorted()
        check = flow.rules[0].check
        assert isinstance(check, Output)
        assert check.golden is not None
        assert check.golden.file.path == str(Path(flow.file).parent / "golden" / "g.jsonl")


def test_a_file_that_several_rules_name_is_read_once_and_its_mistakes_are_said_once(tmp_path: Path) -> None:
    rules = RULE.replace("FILE", "g.jsonl")
    (tmp_path / "flow.yaml").write_text(
        HEAD + rules + rules.replace("id: r", "id: s").partition("\n")[2], encoding="utf-8"
    )
    (tmp_path / "g.jsonl").write_text("oops", encoding="utf-8")
    assert [str(found.position) for found in lint([str(tmp_path / "flow.yaml")])] == [f"{tmp_path}/g.jsonl:1:1"]


def test_what_is_about_to_be_written_is_not_read() -> None:
    problems = Problems()
    flow = load(HEAD + RULE.replace("FILE", "nothing/there.jsonl"), "rules/flow.yaml", problems, unread)
    assert not problems.sorted()
    assert flow is not None
    assert load(HEAD + RULE.replace("FILE", "../there.jsonl"), "rules/flow.yaml", problems, unread) is None


def test_of_an_included_rule_the_file_stands_beside_the_file_that_includes(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    shared = HEAD + RULE.replace("FILE", "g.jsonl")
    (tmp_path / "shared" / "rules.yaml").write_text(shared, encoding="utf-8")
    (tmp_path / "g.jsonl").write_text('{"key": "r", "value": 1}\n', encoding="utf-8")
    including = f"{HEAD}include:\n  - {{file: shared/rules.yaml, as: own}}\n"
    (tmp_path / "flow.yaml").write_text(including, encoding="utf-8")
    (flow,), problems = load_files([str(tmp_path / "flow.yaml")])
    assert not problems.sorted()
    check = flow.rules[0].check
    assert isinstance(check, Output)
    assert check.golden is not None
    assert check.golden.file.path == str(tmp_path / "g.jsonl")
