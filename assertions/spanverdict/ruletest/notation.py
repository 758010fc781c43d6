"""The compact trace notation: spans as lines of text.

    gateway POST /score server 0ms..180ms  run=r1 request.id=a
      scorer predict 20ms..140ms  score=0.93
    ledger consume consumer 200ms..220ms  link=gateway

Indentation is parenthood, a line at the margin begins a trace. The reference of the rule language
describes it in full.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import LINE_BREAK
from spanverdict.diagnostics.yamldoc import did_you_mean
from spanverdict.rulefiles.mistake import Mistake
from spanverdict.ruletest.attributevalues import filled, read_value, varies
from spanverdict.ruletest.spanline import KINDS, EventLine, Indented, Item, SpanLine, Token, read_line, unquoted
from spanverdict.telemetry.identifiers import RUN_ID_ATTRIBUTES, is_run_id

STATUSES: Final = ("unset", "ok", "error")
WORDS: Final = ("run", "link", "status", "status.message", "tracestate")
"""Keys that are no attributes; an attribute of that name is written `span.link=…`."""
LOST: Final = "lost"
"""The word for a span that is made and never sent."""
MAX_LINES: Final = 10_000

_RESOURCE: Final = "resource."
_SPAN: Final = "span."


@dataclass(frozen=True, slots=True)
class Attribute:
    """A key and the value as it is written."""

    key: str
    value: Token


@dataclass(frozen=True, slots=True)
class WrittenEvent:
    """An event; its time is ns since the request began."""

    name: str
    time_ns: int
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class WrittenSpan:
    """A span as it is written once; times are ns since the request began."""

    service: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    trace: int
    """Which of the traces, from 0."""
    parent: int | None
    """Its place among the spans, from 0."""
    attributes: tuple[Attribute, ...] = ()
    resource: tuple[Attribute, ...] = ()
    events: tuple[WrittenEvent, ...] = ()
    links: tuple[int, ...] = ()
    status: str = STATUSES[0]
    status_message: str = ""
    trace_state: str = ""
    lost: bool = False


def read_notation(text: str) -> tuple[tuple[WrittenSpan, ...], list[Mistake]]:
    r"""Return the spans that a text writes down, and every mistake in it at its character.

    With mistakes, the spans are those that could be read and not to be used.

    >>> spans, mistakes = read_notation("a GET server 0ms..5ms\n  b SELECT 1ms..2ms  db.rows=3")
    >>> [(span.service, span.parent) for span in spans], mistakes
    ([('a', None), ('b', 0)], [])
    """
    page = _Page()
    offset = 0
    for number, line in enumerate(LINE_BREAK.split(text)):
        if number >= MAX_LINES:
            page.mistakes.append(Mistake(codes.SPAN_NOTATION, f"there are more than {MAX_LINES:,} lines", "", offset))
            break
        try:
            read = read_line(line, offset)
            if read is not None:
                page.add(read)
        except Mistake as mistake:
            page.mistakes.append(mistake)
        offset += len(line) + 1
    if not page.spans and not page.mistakes:
        page.mistakes.append(Mistake(codes.SPAN_NOTATION, "there are no spans here"))
    return tuple(draft.span() for draft in page.spans), page.mistakes


@dataclass(slots=True)
class _Draft:
    """A span while the lines that belong to it are read."""

    line: SpanLine
    trace: int
    parent: int | None
    label: str | None = None
    attributes: dict[str, Attribute] = field(default_factory=dict)
    resource: dict[str, Attribute] = field(default_factory=dict)
    events: list[WrittenEvent] = field(default_factory=list)
    links: list[int] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)

    def span(self) -> WrittenSpan:
        line, words = self.line, self.words
        return WrittenSpan(
            line.service,
            line.name,
            line.kind,
            line.start_ns,
            line.end_ns,
            self.trace,
            self.parent,
            tuple(self.attributes.values()),
            tuple(self.resource.values()),
            tuple(self.events),
            tuple(self.links),
            words.get("status", STATUSES[0]),
            words.get("status.message", ""),
            words.get("tracestate", ""),
            LOST in words,
        )


@dataclass(slots=True)
class _Page:
    """All lines so far: what they made, and which spans the next line may stand below."""

    spans: list[_Draft] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    traces: int = 0
    above: list[tuple[int, int]] = field(default_factory=list)
    """(indent, span) from the margin inwards."""
    services: dict[str, dict[str, Attribute]] = field(default_factory=dict)
    """What is known of each service's resource."""

    def add(self, read: Indented) -> None:
        """Take in one line; raises `Mistake`."""
        if isinstance(read.line, EventLine):
            self._add_event(read.indent, read.line)
        else:
            self._add_span(read.indent, read.line)

    def _add_event(self, indent: int, line: EventLine) -> None:
        owner = next((span for depth, span in reversed(self.above) if depth < indent), None)
        if owner is None:
            raise line.head.refuse("an event stands below its span, further in", "indent the line")
        attributes: dict[str, Attribute] = {}
        for item in line.items:
            _keep(attributes, item.key, item)
        self.spans[owner].events.append(WrittenEvent(line.name, line.time_ns, tuple(attributes.values())))

    def _add_span(self, indent: int, line: SpanLine) -> None:
        parent = self._parent(indent, line)
        if parent is None:
            self.traces += 1
        draft = _Draft(line, self.traces - 1 if parent is None else self.spans[parent].trace, parent)
        self.above.append((indent, len(self.spans)))
        self.spans.append(draft)
        for item in line.items:
            try:
                self._add_item(draft, item)
            except Mistake as mistake:
                self.mistakes.append(mistake)
        known = self.services.setdefault(line.service, {})
        draft.resource = {**known, **draft.resource}
        known.update({key: value for key, value in draft.resource.items() if key not in known})

    def _parent(self, indent: int, line: SpanLine) -> int | None:
        """Return the span that an indentation puts a line below; raises `Mistake` where it fits no level."""
        closed = None
        while self.above and self.above[-1][0] >= indent:
            closed = self.above.pop()[0]
        if indent and (not self.above or closed not in (None, indent)) and not self.mistakes:
            hint = "children of one span stand equally far in, and a trace begins at the margin"
            raise line.head.refuse("this indentation fits no span above", hint)
        return self.above[-1][1] if self.above else None

    def _add_item(self, draft: _Draft, item: Item) -> None:
        if item.value is None:
            self._add_word(draft, item)
        elif item.key == "link":
            draft.links.append(self._linked(unquoted(item.value), item))
        elif item.key in WORDS:
            _add_setting(draft, item.key, item.value, item)
        elif item.key.startswith(_RESOURCE):
            _keep(draft.resource, item.key.removeprefix(_RESOURCE), item)
        else:
            _keep(draft.attributes, item.key.removeprefix(_SPAN), item)

    def _add_word(self, draft: _Draft, item: Item) -> None:
        if item.key == LOST:
            draft.words[LOST] = ""
        elif item.key.startswith("@") and len(item.key) > 1:
            if any(other.label == item.key for other in self.spans):
                raise item.token.refuse(f"there is a span {item.key} already", "give each span its own label")
            draft.label = item.key
        else:
            hint = (
                did_you_mean(item.key, [LOST, *KINDS])
                or "write key=value, @label or lost; a name goes before the times"
            )
            raise item.token.refuse(f"`{item.key}` says nothing here", hint)

    def _linked(self, wanted: str, item: Item) -> int:
        """Return the earlier span that a link names; raises `Mistake` when that is none or several."""
        earlier = self.spans[:-1]
        names = [{draft.label, draft.line.service, draft.line.name} for draft in earlier]
        found = [at for at, known in enumerate(names) if wanted in known]
        if len(found) == 1:
            return found[0]
        if found:
            message = f"{len(found)} spans above are called `{wanted}`"
            raise item.token.refuse(
                message, "give the one that is meant a label, @name, and link to it", codes.SPAN_LINK
            )
        known = {name for of_span in names for name in of_span if name}
        hint = did_you_mean(wanted, known) or "a link names the service, the name or the @label of a span above it"
        raise item.token.refuse(f"no span above is called `{wanted}`", hint, codes.SPAN_LINK)


def _add_setting(draft: _Draft, key: str, value: Token, item: Item) -> None:
    text = unquoted(value)
    if key == "run":
        _check_run(text, value)
        as_text = replace(item, value=Token(f'"{text}"', value.offset))
        _keep(draft.attributes, RUN_ID_ATTRIBUTES[0], as_text)
        return
    if key in draft.words:
        raise item.token.refuse(f"{key} is said twice")
    if key == "status" and text not in STATUSES:
        hint = did_you_mean(text, STATUSES) or f"write {', '.join(STATUSES[:-1])} or {STATUSES[-1]}"
        raise value.refuse(f"`{text}` is no status", hint)
    draft.words[key] = text


def _check_run(text: str, value: Token) -> None:
    if not is_run_id(filled(text, 1, 0)):
        raise value.refuse("this cannot name a run", "use up to 128 of A-Z a-z 0-9 . _ : / -")


def _keep(found: dict[str, Attribute], key: str, item: Item) -> None:
    """Keep an attribute whose value can be read."""
    if item.value is None or not key:
        raise item.token.refuse(f"`{item.token.text}` is no attribute", "write it like key=value")
    if key in found:
        raise item.token.refuse(f"`{key}` is said twice")
    _check_value(item.value)
    found[key] = Attribute(key, item.value)


def _check_value(value: Token) -> None:
    """Read a value once; raises `Mistake`."""
    read_value(Token(filled(value.text, 1, 0), value.offset) if varies(value.text) else value)
