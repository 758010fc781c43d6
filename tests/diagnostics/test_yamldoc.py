"""YAML is read as the core schema of YAML 1.2, within limits, and never raises."""

from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.diagnostics import yamlcompose
from spanverdict.diagnostics.diagnostic import LINE_BREAK, Diagnostic, Problems
from spanverdict.diagnostics.yamldoc import MAX_ALIASES, MAX_BYTES, MAX_DEPTH, Mapping, Node, Scalar, Sequence, compose


def read(text: str) -> tuple[Node | None, tuple[Diagnostic, ...]]:
    problems = Problems()
    return compose(text, "f.yaml", problems), problems.sorted()


def value_of(text: str) -> object:
    """The value of the only key of `text`, which must hold no mistake."""
    node, found = read(text)
    assert not found
    assert isinstance(node, Mapping)
    return plain(node.entries[0][1])


def plain(node: Node) -> object:
    if isinstance(node, Mapping):
        return {name.text: plain(value) for name, value in node.entries}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    assert isinstance(node, Scalar)
    return node.value


@pytest.fixture(params=["libyaml", "python"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds with libyaml and with PyYAML's own parser."""
    loader = yaml.CSafeLoader if request.param == "libyaml" else yaml.SafeLoader
    monkeypatch.setattr(yamlcompose, "LOADER", loader)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("NO", "NO"), ("y", "y"),
        ("12:30:45", "12:30:45"), ("2026-01-01", "2026-01-01"), ("1_000", "1_000"), ("0b1", "0b1"),
        ("true", True), ("True", True), ("FALSE", False), ("tRue", "tRue"),
        ("null", None), ("~", None), ("", None), ("NULL", None),
        ("0o17", 15), ("017", 17), ("0x1F", 31), ("-12", -12), ("+3", 3), ("-0x1", "-0x1"),
        ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("-.inf", float("-inf")), ("1.5.2", "1.5.2"),
        ("'1'", "1"), ('"true"', "true"), ("!!str 1", "1"), ('!!int "7"', 7), ("! 12", "12"), ("<", "<"), ("=", "="),
    ],
)  # fmt: skip
def test_plain_values_mean_what_yaml_1_2_says(written: str, meant: object) -> None:
    found = value_of(f"key: {written}")
    assert found == meant
    assert type(found) is type(meant)


def test_not_a_number_is_read_as_such() -> None:
    found = value_of("key: .nan")
    assert isinstance(found, float)
    assert found != found  # noqa: PLR0124 - the test for NaN


def test_every_node_knows_where_it_begins() -> None:
    node, _ = read("a: 1\nb:\n  - x\n  - {c: 'd'}\n")
    assert isinstance(node, Mapping)
    assert str(node.position) == "f.yaml:1:1"
    listed = node.get("b")
    assert isinstance(listed, Sequence)
    assert str(listed.position) == "f.yaml:3:3"
    assert [str(item.position) for item in listed.items] == ["f.yaml:3:5", "f.yaml:4:5"]
    inner = listed.items[1]
    assert isinstance(inner, Mapping)
    assert str(inner.key("c").position) == "f.yaml:4:6"  # type: ignore[union-attr]
    assert node.get("absent") is None
    assert node.key("absent") is None


MISTAKES = {
    "a: 1\nb: 2\na: 3": "3:1 SV012",
    "a: {x: 1, 'x': 2}": "1:11 SV012",
    "a: !custom 1": "1:4 SV013",
    "a: !!python/object/apply:os.system [x]": "1:4 SV013",
    "a: !!set {x}": "1:4 SV013",
    "a: != 3": "1:4 SV013",
    "a: !!int x": "1:4 SV013",
    "a: &x {b: 1}\nc:\n  <<: *x": "3:3 SV014",
    "a: *nobody": "1:4 SV015",
    "a: &x [*x]": "1:8 SV015",
    "a: 1\n---\nb: 2": "2:1 SV017",
    "? [a]\n: 1": "1:3 SV018",
    "{a: 1}: 2": "1:1 SV018",
    "a: {~: 1}": "1:5 SV018",
    "%YAML 1.1\n---\na: 1": "1:1 SV019",
    "%TAG ! tag:x,1:\n---\na: 1": "1:1 SV019",
    "": "1:1 SV005",
    "# only a comment\n": "1:1 SV005",
    "\ta: 1": "1:1 SV011",
    "a:\n\tb: 1": "2:1 SV011",
    "a: [1,\n\t2]": "2:1 SV011",
    "a:\n  \t- b": "2:3 SV011",
    "a: \x07": "1:4 SV003",
    "a: \ud800": "1:4 SV003",
    "a: x\u2028y": "1:5 SV003",
    "a: x\ufeffy": "1:5 SV003",
    "a: b: c": "1:5 SV010",
    "a: [1, 2": "1:9 SV010",
    "a: {b: 1": "1:9 SV010",
    "a: 'open": "1:9 SV010",
    "a: @x": "1:4 SV010",
    "a: >= 100": "1:5 SV010",
    "a: 1\n  b: 2": "2:4 SV010",
    "a: " + "9" * 401: "1:4 SV026",
    "a: " + "[" * (MAX_DEPTH + 5): f"1:{4 + MAX_DEPTH - 1} SV016",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_reported_at_its_place(text: str) -> None:
    _, found = read(text)
    assert [f"{d.position.line}:{d.position.column} {d.code}" for d in found] == [MISTAKES[text]]


@pytest.mark.parametrize("text", ["a: >= 100", "a: {b: >= 100}", "a: != 3"])
def test_a_comparison_without_quotes_gets_the_hint_to_quote_it(text: str) -> None:
    _, found = read(text)
    assert "in quotes" in found[0].hint


def test_all_mistakes_that_leave_the_rest_readable_are_reported_at_once() -> None:
    node, found = read("a: 1\na: 2\nb: !x 3\n<<: 4\nc: 5\n")
    assert [d.code for d in found] == ["SV012", "SV013", "SV014"]
    assert plain(node) == {"a": 1, "b": 3, "c": 5}  # type: ignore[arg-type]


def test_tabs_are_allowed_where_they_indent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamlcompose, "LOADER", yaml.CSafeLoader)  # the other one allows fewer
    node, found = read('a:\t1\nb: |\n  x\n  \ty\nc: "q\n\tz"\nd: 2\n')
    assert not found
    assert plain(node) == {"a": 1, "b": "x\n\ty\n", "c": "q z", "d": 2}  # type: ignore[arg-type]


def test_a_byte_order_mark_at_the_start_is_no_part_of_the_text() -> None:
    node, found = read("\ufeffa: 1\n")
    assert not found
    assert plain(node) == {"a": 1}  # type: ignore[arg-type]


def test_aliases_share_their_node() -> None:
    node, found = read("a: &x [1, 2]\nb: *x\n")
    assert not found
    assert isinstance(node, Mapping)
    assert node.get("a") is node.get("b")


@pytest.mark.parametrize(("aliases", "fine"), [(MAX_ALIASES, True), (MAX_ALIASES + 1, False)])
def test_aliases_are_limited(aliases: int, fine: bool) -> None:
    _, found = read("a: &x 1\nb: [" + ", ".join(["*x"] * aliases) + "]\n")
    assert [d.code for d in found] == ([] if fine else ["SV015"])


def laughs(levels: int, times: int) -> str:
    first = "a0: &a0 [" + ", ".join(["lol"] * 9) + "]"
    rest = (f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * times) + "]" for n in range(1, levels))
    return "\n".join([first, *rest])


@pytest.mark.parametrize("text", [laughs(10, 9), laughs(25, 2), laughs(10, 5) + "\n#" + "x" * 4_000])
def test_a_billion_laughs_are_an_error_in_no_time(text: str) -> None:
    before = time.process_time()
    _, found = read(text)
    assert time.process_time() - before < 0.05
    assert [d.code for d in found] in (["SV015"], ["SV016"])


def test_a_file_may_be_large_but_not_too_large() -> None:
    assert not read("a: 1\n#" + "x" * (MAX_BYTES - 6))[1]
    for text in ("a: 1\n#" + "x" * MAX_BYTES, "#" + "é" * (MAX_BYTES // 2)):
        assert [d.code for d in read(text)[1]] == ["SV004"]


def test_a_file_of_very_many_values_is_refused() -> None:
    _, found = read("[" + "1," * 200_000 + "]")
    assert [d.code for d in found] == ["SV016"]


@given(st.text(alphabet=st.sampled_from(list("ab:-#&*!|>'\"[]{},?\n \t\r%@`1é日\x00\u2028\\<~")), max_size=60))
def test_no_text_raises_and_every_place_is_in_the_file(text: str) -> None:
    node, found = read(text)
    assert node is not None or found
    lines = LINE_BREAK.split(text)
    for diagnostic in found:
        place = diagnostic.position
        assert 1 <= place.line <= len(lines)
        assert 1 <= place.column <= len(lines[place.line - 1]) + 1
