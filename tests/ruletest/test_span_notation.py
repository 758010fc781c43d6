"""The compact trace notation: what each line means, where each mistake is, and that what is written is what is judged."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spanverdict.ruletest
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.json import json_to_protobuf
from spanverdict.ruletest.notation import STATUSES, WrittenSpan, read_notation
from spanverdict.ruletest.payload import CLOCK_UNIX_NANO, SpanBlock, otlp_json
from spanverdict.ruletest.spanline import KINDS
from spanverdict.selectors import parse, parse_field
from spanverdict.selectors.columns import Spans
from spanverdict.telemetry.spantable import SpanTable

MS = 1_000_000


def spans(text: str) -> tuple[WrittenSpan, ...]:
    found, mistakes = read_notation(text)
    assert not mistakes, [mistake.message for mistake in mistakes]
    return found


def table(text: str, repeat: int = 1, every_ns: int = 1_000 * MS) -> SpanTable:
    """Take a text the whole way to columns."""
    document = otlp_json([SpanBlock(spans(text), repeat, every_ns)])
    decoded = decode(json_to_protobuf(document.encode()).payload, new_pool())
    assert decoded.rejected == 0, decoded.problems
    return decoded.table


def values(found: SpanTable, name: str) -> list[object]:
    column = parse_field(name).column(Spans.of(found))
    return [column.values[code] if code >= 0 else None for code in column.codes.tolist()]


def matching(found: SpanTable, selector: str) -> int:
    return int(parse(selector).mask(Spans.of(found)).sum())


def test_the_example_of_the_reference_means_what_it_says() -> None:
    gateway, scorer, ledger = spans(
        "gateway POST /score server 0ms..180ms  run=r1 request.id=a\n"
        "  scorer predict 20ms..140ms  score=0.93\n"
        "ledger consume consumer 200ms..220ms  link=gateway\n"
    )
    assert (gateway.service, gateway.name, gateway.kind) == ("gateway", "POST /score", "server")
    assert (gateway.start_ns, gateway.end_ns, gateway.parent, gateway.trace) == (0, 180 * MS, None, 0)
    assert (scorer.name, scorer.kind, scorer.parent, scorer.trace) == ("predict", "internal", 0, 0)
    assert (ledger.kind, ledger.parent, ledger.trace, ledger.links) == ("consumer", None, 1, (0,))


@pytest.mark.parametrize(
    ("line", "service", "name", "kind"),
    [
        ("a b 0ms..1ms", "a", "b", "internal"),
        ("a server 0ms..1ms", "a", "server", "internal"),
        ("a server server 0ms..1ms", "a", "server", "server"),
        ("a GET /x/{id}?y=1 client 0ms..1ms", "a", "GET /x/{id}?y=1", "client"),
        ('"a b" "c  d" producer 0ms..1ms', "a b", "c  d", "producer"),
        ('a "1ms..2ms" 0ms..1ms', "a", "1ms..2ms", "internal"),
        ('a "say \\"hi\\"\\n" 0ms..1ms', "a", 'say "hi"\n', "internal"),
        ("a b internal 0..0  # nothing more", "a", "b", "internal"),
    ],
)
def test_service_name_and_kind_stand_before_the_times(line: str, service: str, name: str, kind: str) -> None:
    (span,) = spans(line)
    assert (span.service, span.name, span.kind) == (service, name, kind)


@pytest.mark.parametrize(
    ("times", "start", "end"),
    [
        ("0..1ms", 0, MS),
        ("1.5ms..2us", None, None),
        ("-5ms..1s", -5 * MS, 1000 * MS),
        ("1m30s..2h", 90_000 * MS, 7_200_000 * MS),
        ("7ns..7ns", 7, 7),
    ],
)
def test_times_are_exact(times: str, start: int | None, end: int | None) -> None:
    found, mistakes = read_notation(f"a b {times}")
    if start is None:
        assert [mistake.message for mistake in mistakes] == ["the span ends before it starts"]
        return
    assert (found[0].start_ns, found[0].end_ns) == (start, end)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("3", 3),
        ("-3", -3),
        ("3.0", 3.0),
        ("1e3", 1000.0),
        ("true", True),
        ("false", False),
        ("gold", "gold"),
        ('"3"', "3"),
        ('""', ""),
        ('"a b"', "a b"),
        ("5ms", "5ms"),
        ("a=b", "a=b"),
        ("[1, 2]", (1, 2)),
        ("[]", ()),
        ('[a, "b, c"]', ("a", "b, c")),
        ("Infinity", float("inf")),
        ("9223372036854775807", 2**63 - 1),
        ("{id}", "{id}"),
    ],
)
def test_a_value_has_the_type_that_it_is_written_in(written: str, read: object) -> None:
    (value,) = values(table(f"a b 0..1ms x={written}"), "span.x")
    assert value == read
    assert type(value) is type(read)


def test_scopes_say_whose_attribute_it_is() -> None:
    found = table("a b 0..1ms span.link=x span.run=1 resource.zone=eu resource.service.version=2 status.code=9")
    assert values(found, "span.link") == ["x"]
    assert values(found, "span.run") == [1]
    assert values(found, "resource.zone") == ["eu"]
    assert values(found, "resource.service.version") == [2]
    assert values(found, "resource.service.name") == ["a"]
    assert values(found, "span.status.code") == [9]


def test_a_resource_is_that_of_all_later_spans_of_the_service_that_do_not_say_otherwise() -> None:
    found = table("a b 0..1ms resource.v=1\n  c d 0..1ms\n  a e 0..1ms\n  a f 0..1ms resource.v=2\n  a g 0..1ms")
    by_name = dict(zip(values(found, "span:name"), values(found, "resource.v"), strict=True))
    assert by_name == {"b": 1, "d": None, "e": 1, "f": 2, "g": 1}


def test_status_state_and_events_arrive() -> None:
    found = table(
        'a b 0..9ms status=error status.message="card declined" tracestate="ot=th:8"\n'
        "  * first token 4ms  tokens=3 kind=x\n"
        "  c d 1ms..2ms status=ok"
    )
    assert matching(found, '{ span:status = error && span:statusMessage = "card declined" }') == 1
    assert matching(found, '{ event:name = "first token" && event.tokens = 3 && event.kind = "x" }') == 1
    assert matching(found, "{ event:timeSinceStart = 4ms }") == 1
    assert matching(found, "{ span:status = ok }") == 1
    assert found.trace_state[found.start_time_unix_nano.argmin()] >= 0


def test_a_run_is_named_by_an_attribute_that_is_always_a_text() -> None:
    assert values(table("a b 0..1ms run=7"), "span.test.suite.run.id") == ["7"]


def test_a_lost_span_leaves_orphans() -> None:
    found = table("a b 0..9ms lost\n  c d 1ms..2ms")
    assert values(found, "span:name") == ["d"]
    assert found.parent_span_id.tolist() != [0]


def test_links_name_services_names_and_labels() -> None:
    text = "a b 0..1ms\na c 0..1ms @two\nd e 0..1ms  link=b link=@two\nf g 0..1ms link=d"
    assert [span.links for span in spans(text)] == [(), (), (0, 1), (2,)]


def test_repetitions_have_their_own_ids_times_and_numbers() -> None:
    text = 'a b 0..1ms id=o-{n} n={n} at="{start-1s}"\nc d 2ms..3ms link=a run=r-{n}'
    found = table(text, repeat=3, every_ns=250 * MS)
    assert len(found) == 6
    assert len(set(found.span_id.tolist())) == 6
    assert len(set(found.trace.tolist())) == 6
    ids = sorted(value for value in values(found, "span.id") if isinstance(value, str))
    assert ids == ["o-1", "o-2", "o-3"]
    assert sorted(value for value in values(found, "span.n") if isinstance(value, int)) == [1, 2, 3]
    starts = sorted(found.start_time_unix_nano.tolist())
    assert [start - CLOCK_UNIX_NANO for start in starts] == [at * MS for at in (0, 2, 250, 252, 500, 502)]
    times = sorted(value for value in values(found, "span.at") if isinstance(value, str))
    assert times == ["2026-03-02T08:59:59.25Z", "2026-03-02T08:59:59.5Z", "2026-03-02T08:59:59Z"]


def test_blocks_follow_each_other_and_numbers_go_on() -> None:
    good, bad = spans("a b 0..1ms n={n}"), spans("a c 0..1ms n={n}")
    document = otlp_json([SpanBlock(good, 2), SpanBlock(bad, 1)])
    found = decode(json_to_protobuf(document.encode()).payload, new_pool()).table
    assert dict(zip(values(found, "span.n"), values(found, "span:name"), strict=True)) == {1: "b", 2: "b", 3: "c"}


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", (1, 1), "there are no spans here"),
        ("# only a remark", (1, 1), "there are no spans here"),
        ("a b server", (1, 1), "the span says no times"),
        ("a 0ms..1ms", (1, 1), "a span needs a service and a name before its times"),
        ("a b 0ms..20", (1, 5), "`20` has no unit"),
        ("a b 0ms..", (1, 5), "an empty text is no duration"),
        ("a b 0..99999h", (1, 5), "99999h is too far from the beginning of the request"),
        ("a b 3ms..2ms", (1, 5), "the span ends before it starts"),
        ("  a b 0..1ms", (1, 3), "this indentation fits no span above"),
        ("a b 0..1ms\n    c d 0..1ms\n  e f 0..1ms", (3, 3), "this indentation fits no span above"),
        ("a b 0..1ms\n\tc d 0..1ms", (2, 1), "a tab cannot indent a span"),
        ("* first 1ms", (1, 1), "an event stands below its span, further in"),
        ("a b 0..1ms\n  * first", (2, 3), "an event needs a name and a time"),
        ("a b 0..1ms x", (1, 12), "`x` says nothing here"),
        ("a b 0..1ms x=", (1, 14), "a value is missing behind the `=`"),
        ("a b 0..1ms =1", (1, 12), "`=1` is no attribute"),
        ("a b 0..1ms x=1 x=2", (1, 16), "`x` is said twice"),
        ('a b 0..1ms x="1', (1, 12), "the quotes or brackets are not closed here"),
        ("a b 0..1ms x=[1", (1, 12), "the quotes or brackets are not closed here"),
        ("a b 0..1ms x=[1,,2]", (1, 14), "a list holds values with commas between them"),
        ("a b 0..1ms x=99999999999999999999", (1, 14), "99999999999999999999 does not fit into 64 bits"),
        ("a b 0..1ms x=1e400", (1, 14), "1e400 is more than a double can hold"),
        ("a b 0..1ms status=eror", (1, 19), "`eror` is no status"),
        ("a b 0..1ms status=ok status=error", (1, 22), "status is said twice"),
        ('a b 0..1ms run="no spaces"', (1, 16), "this cannot name a run"),
        ("a b 0..1ms @x\nc d 0..1ms @x", (2, 12), "there is a span @x already"),
        ("a b 0..1ms link=a", (1, 12), "no span above is called `a`"),
        ("a b 0..1ms\nc d 0..1ms link=x", (2, 12), "no span above is called `x`"),
        ("a b 0..1ms\na c 0..1ms\nd e 0..1ms link=a", (3, 12), "2 spans above are called `a`"),
    ],
)
def test_a_mistake_is_reported_at_its_character(text: str, place: tuple[int, int], message: str) -> None:
    _, (mistake,) = read_notation(text)
    before = text[: mistake.offset]
    assert (before.count("\n") + 1, len(before) - before.rfind("\n")) == place
    assert mistake.message == message


def test_every_mistake_is_reported_not_only_the_first() -> None:
    _, mistakes = read_notation("a b 0..1\n  c d 0..1ms x= link=nobody\n e f\n  * g")
    assert len(mistakes) == 5


@given(st.text(max_size=200))
def test_no_text_makes_it_raise(text: str) -> None:
    found, mistakes = read_notation(text)
    assert mistakes or found


@dataclass(frozen=True)
class Drawn:
    """A span that Hypothesis made up: what it is, and how deep it stands."""

    depth: int
    service: str
    name: str
    kind: str
    start: int
    took: int
    attributes: dict[str, Any]
    status: str


WORDS = st.from_regex(r"[a-z][a-z0-9./_-]{0,6}", fullmatch=True)
VALUES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Zs"]), max_size=8),
)
DRAWN = st.builds(
    Drawn,
    depth=st.integers(0, 4),
    service=WORDS,
    name=st.lists(WORDS, min_size=1, max_size=3).map(" ".join),
    kind=st.sampled_from(KINDS),
    start=st.integers(-(10**9), 10**12),
    took=st.integers(0, 10**12),
    attributes=st.dictionaries(st.from_regex(r"k\.[a-z][a-z0-9_]{0,6}", fullmatch=True), VALUES, max_size=3),
    status=st.sampled_from(STATUSES),
)


def written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("{", "{{") + '"'
    return repr(value)


def line(span: Drawn, depth: int) -> str:
    items = " ".join(f"{key}={written(value)}" for key, value in span.attributes.items())
    times = f"{span.start}ns..{span.start + span.took}ns"
    return f"{'  ' * depth}{span.service} {span.name} {span.kind} {times} status={span.status} {items}"


@settings(max_examples=60, deadline=None)
@given(st.lists(DRAWN, min_size=1, max_size=8))
def test_what_is_written_is_what_comes_out_as_columns(drawn: list[Drawn]) -> None:
    """Proves that reading, encoding and decoding change nothing: times, kinds, parents and values are exact."""
    depths: list[int] = []
    for span in drawn:
        depths.append(min(span.depth, depths[-1] + 1 if depths else 0))
    found = table("\n".join(line(span, depth) for span, depth in zip(drawn, depths, strict=True)))
    place = {int(number) & 0xFFFFFFFF: row for row, number in enumerate(found.span_id.tolist())}
    for number, (span, depth) in enumerate(zip(drawn, depths, strict=True), start=1):
        row = place[number]
        assert found.start_time_unix_nano[row] - CLOCK_UNIX_NANO == span.start
        assert found.end_time_unix_nano[row] - found.start_time_unix_nano[row] == span.took
        assert found.kind[row] == KINDS.index(span.kind) + 1
        assert found.status_code[row] == STATUSES.index(span.status)
        above = next((at for at in range(number - 2, -1, -1) if depths[at] < depth), None) if depth else None
        assert int(found.parent_span_id[row]) & 0xFFFFFFFF == (0 if above is None else above + 1)
        for key, value in span.attributes.items():
            read = values(found, f"span.{key}")[row]
            assert read == (value.replace("{", "{{") if isinstance(value, str) else value)
            assert type(read) is type(value)


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(spanverdict.ruletest.__path__)])
def test_the_examples_in_the_source_hold_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"spanverdict.ruletest.{name}")).failed == 0
