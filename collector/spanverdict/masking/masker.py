"""Taking what is to be masked out of OTLP payloads.

A payload in which nothing is suspicious stays as it is, byte for byte. Of another one the spans, resources and
scopes that hold something are written anew; fields that we do not know stay in them.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSequence
from itertools import pairwise
from typing import Any, Final

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from spanverdict.masking.detectors import compiled
from spanverdict.masking.rules import Action, MaskingRules
from spanverdict.masking.secrets import OPTION, USER_OPTION, WAYS
from spanverdict.otlp import shallow_pb2 as pb
from spanverdict.otlp.errors import Undecodable
from spanverdict.otlp.values import decode_attribute

REDACTED: Final = "[redacted]"
UNREADABLE: Final = b"\xff"
"""In place of what cannot be read: as that, it makes its span one that is rejected, and holds nothing."""
_OPTION: Final = compiled(OPTION, case_sensitive=False)
_USER_OPTION: Final = compiled(USER_OPTION)
_WAYS: Final = compiled(WAYS, case_sensitive=False)
_HASHED: Final = compiled("hmac-sha256:[0-9a-f]{32}")
_REMEMBERED: Final = 50_000
"""Distinct attributes whose masked form is kept; then it is begun anew."""


class Masker:
    """Masks by rules. For one thread."""

    def __init__(self, rules: MaskingRules) -> None:
        self._rules = rules
        self._known: dict[bytes, bytes | None] = {}
        self.masked_payloads = 0
        """Payloads in which something was masked so far."""

    @property
    def pattern(self) -> str:
        """What a payload, or new texts of it, must match to hold anything to mask; "" when that cannot be told."""
        return "" if self._rules.idle else self._rules.suspicious_pattern

    def masked(self, payload: bytes) -> bytes:
        """Return a payload without what is to be masked; the same object where there is nothing.

        What is no OTLP is returned as it is: it is refused by whoever decodes it, and never kept.
        """
        rules = self._rules
        if rules.idle or not self._may_hold(payload, TracesData):
            return payload
        try:
            request = pb.TracesData.FromString(payload)
        except DecodeError:
            return payload
        found = [self._resource_spans(part) for part in request.resource_spans]
        if not any(found):
            return payload
        self.masked_payloads += 1
        return request.SerializeToString()

    def _resource_spans(self, part: pb.ResourceSpans) -> bool:
        found = self._each(part.resource, pb.Resource, self._attributes)
        for scope_spans in part.scope_spans:
            found |= self._each(scope_spans.scope, pb.Scope, self._scope)
            found |= self._each(scope_spans.spans, pb.Span, self._span)
        return found

    def _each(self, parts: MutableSequence[bytes], kind: type[Message], mask: Callable[[Any], bool]) -> bool:
        """Mask serialised messages in place; of a suspicious one that cannot be read nothing is left."""
        found = False
        for number, part in enumerate(parts):
            try:
                message = kind.FromString(part)
                left = message.SerializeToString() if mask(message) else part
            except DecodeError:
                left = UNREADABLE if self._may_hold(part, kind) else part
            if left is not part:
                parts[number] = left
                found = True
        return found

    def _span(self, span: Any) -> bool:
        found = self._attributes(span)
        found |= self._texts(span, "name", "trace_state")
        found |= self._each(span.events, pb.Event, self._event)
        found |= self._each(span.links, pb.Link, self._link)
        return self._each(span.status, pb.Status, self._status) | found

    def _scope(self, scope: Any) -> bool:
        return self._texts(scope, "name", "version") | self._attributes(scope)

    def _event(self, event: Any) -> bool:
        return self._texts(event, "name") | self._attributes(event)

    def _link(self, link: Any) -> bool:
        return self._texts(link, "trace_state") | self._attributes(link)

    def _status(self, status: Any) -> bool:
        return self._texts(status, "message")

    def _texts(self, message: Any, *fields: str) -> bool:
        """Mask fields of a message that are texts."""
        changed = False
        for name in fields:
            before = getattr(message, name)
            after = self._bytes(before)
            if after != before:
                setattr(message, name, after)
                changed = True
        return changed

    def _attributes(self, message: Any) -> bool:
        before = list(message.attributes)
        after = [kept for attribute in before if (kept := self._attribute(attribute)) is not None]
        if after == before:
            return False
        del message.attributes[:]
        message.attributes.extend(after)
        return True

    def _attribute(self, serialised: bytes) -> bytes | None:
        """Return what is left of an attribute, None for nothing; worked out once while it is remembered."""
        known = self._known
        if serialised not in known:
            if len(known) >= _REMEMBERED:
                known.clear()
            known[serialised] = self._fresh(serialised)
        return known[serialised]

    def _fresh(self, serialised: bytes) -> bytes | None:
        if not self._may_hold(serialised, pb.KeyValue):
            return serialised
        try:
            attribute = pb.KeyValue.FromString(serialised)
        except DecodeError:
            return None if _is_deep(serialised) else UNREADABLE
        if self._rules.action(attribute.key) is Action.DROP:
            return None
        return attribute.SerializeToString() if self._masks(attribute) else serialised

    def _masks(self, attribute: Any) -> bool:
        """Mask an attribute as its name says; tell whether that changed it."""
        value = attribute.value
        match self._rules.action(attribute.key):
            case Action.KEEP:
                return False
            case Action.LOOK:
                return self._looks(value) | self._looks_at_name(attribute)
            case Action.HASH:
                masked = self._hashed(value)
            case Action.SECRET_TEXT if not _is_secret_text(value):
                return self._looks(value)
            case Action.SECRET if value.WhichOneof("value") in (None, "bool_value"):
                return False
            case _:
                masked = REDACTED
        if value.string_value == masked:
            return False
        value.Clear()
        value.string_value = masked
        return True

    def _looks_at_name(self, attribute: Any) -> bool:
        before, attribute.key = attribute.key, self._text(attribute.key)
        return bool(before != attribute.key)

    def _hashed(self, value: Any) -> str:
        if _HASHED.fullmatch(value.string_value):
            return str(value.string_value)
        is_text = value.WhichOneof("value") == "string_value"
        return self._rules.hashed(
            value.string_value.encode() if is_text else value.SerializeToString(deterministic=True)
        )

    def _looks(self, value: Any) -> bool:
        """Search all texts of a value; names of nested values say what they do on their own."""
        match value.WhichOneof("value"):
            case "string_value":
                masked = self._text(value.string_value)
                changed = bool(masked != value.string_value)
                value.string_value = masked
            case "bytes_value":
                masked_bytes = self._bytes(value.bytes_value)
                changed = bool(masked_bytes != value.bytes_value)
                value.bytes_value = masked_bytes
            case "array_value":
                changed = self._arguments(value.array_value.values) | (
                    sum(self._looks(item) for item in value.array_value.values) > 0
                )
            case "kvlist_value":
                changed = self._inside(value.kvlist_value.values)
            case _:
                changed = False
        return changed

    def _arguments(self, items: Any) -> bool:
        """Mask what follows an option of a command that says so, as in `["--password", "x"]`."""
        if not self._rules.secrets:
            return False
        changed = False
        for option, argument in pairwise(items):
            is_text = argument.WhichOneof("value") == "string_value"
            masked = _masked_argument(option.string_value, argument.string_value) if is_text else ""
            if is_text and argument.string_value != masked:
                argument.string_value = masked
                changed = True
        return changed

    def _inside(self, items: Any) -> bool:
        kept = [item for item in items if self._rules.action(item.key) is not Action.DROP]
        dropped = len(kept) < len(items)
        changed = sum(self._masks(item) for item in kept) > 0
        if dropped:
            left = [pb.KeyValue.FromString(item.SerializeToString()) for item in kept]
            del items[:]
            items.extend(left)
        return changed or dropped

    def _text(self, text: str) -> str:
        return self._bytes(text.encode()).decode()

    def _bytes(self, text: bytes) -> bytes:
        """Mask a text that need not be UTF-8."""
        if not self._is_suspicious(text):
            return text
        try:
            text.decode()
        except UnicodeDecodeError:
            return REDACTED.encode()
        for detector in self._rules.detectors:
            text = detector.replaced(text)
        return text

    def _may_hold(self, part: bytes, kind: type[Message]) -> bool:
        """Tell whether a serialised message may hold something to mask, in whatever order its parts were written."""
        hint = self._rules.hint
        if hint is not None and hint.search(part) is None:
            return False
        if self._is_suspicious(part):
            return True
        try:
            usual = kind.FromString(part).SerializeToString()
        except DecodeError:
            return True
        return usual != part and self._is_suspicious(usual)

    def _is_suspicious(self, part: bytes) -> bool:
        suspicion = self._rules.suspicion
        return suspicion is None or suspicion.search(part) is not None


def _is_deep(serialised: bytes) -> bool:
    """Tell of an attribute that protobuf does not read whether it is nested too deep for it, and sound."""
    try:
        decode_attribute(serialised)
    except Undecodable:
        return False
    return True


def _masked_argument(option: str, argument: str) -> str:
    """Return what is left of what follows an option of a command."""
    if _OPTION.fullmatch(option):
        return REDACTED
    user, colon, password = argument.partition(":")
    is_secret = _USER_OPTION.fullmatch(option) and user and not password.isdecimal()
    return f"{user}{colon}{REDACTED}" if is_secret and password else argument


def _is_secret_text(value: Any) -> bool:
    """Tell whether a value may be a token: numbers are none, nor is what says in which way somebody logs in."""
    match value.WhichOneof("value"):
        case "string_value":
            return bool(value.string_value) and _WAYS.fullmatch(value.string_value) is None
        case kind:
            return kind in {"bytes_value", "array_value", "kvlist_value"}
