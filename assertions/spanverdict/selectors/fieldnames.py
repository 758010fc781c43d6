"""Turns the word for a field into the field, or into the value it stands for."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from spanverdict.selectors.errors import SelectorSyntaxError, SelectorUnsupported
from spanverdict.selectors.lexer import Token
from spanverdict.selectors.literals import LiteralError, unquote
from spanverdict.selectors.tree import Attribute, Intrinsic, Scope, Static
from spanverdict.selectors.words import (
    AGGREGATES,
    INTRINSICS,
    KEYWORDS,
    METRICS,
    OLD_NAMES,
    RESOURCE_FIRST,
    SCOPES,
    STAGES,
    closest,
    did_you_mean,
)

_SCOPES: Final = {**{str(scope): scope for scope in Scope if scope}, "any": Scope.ANY}
_PARENT_SCOPES: Final = {"span": Scope.SPAN, "resource": Scope.RESOURCE}
_PIECE: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[^".]+|\.', re.DOTALL)


def field_named(token: Token) -> Attribute | Intrinsic | Static:
    """Return what a word stands for."""
    text, place = token.text, (token.start, len(token.text))
    if text in INTRINSICS:
        return Intrinsic(text, place)
    if text in KEYWORDS:
        kind, value = KEYWORDS[text]
        return Static(kind, value, place)
    if text in OLD_NAMES:
        return Intrinsic(OLD_NAMES[text], place)
    head, dot, rest = text.partition(".")
    if ":" in head or not dot:
        _no_such_word(token)
    if not head:
        return Attribute(Scope.ANY, _name(rest, token), place=place)
    if head == "parent":
        return _of_parent(rest, token)
    scope = _SCOPES.get(head)
    if scope is None:
        _no_such_scope(token, head)
    return Attribute(scope, _name(rest, token), place=place)


def _of_parent(rest: str, token: Token) -> Attribute:
    head, dot, name = rest.partition(".")
    scope = _PARENT_SCOPES.get(head) if dot else None
    if scope is None and dot and head in ("event", "link", "instrumentation", "trace", "parent"):
        raise SelectorUnsupported(
            f"`parent.{head}.` is not evaluated; a parent has `parent.span.` and `parent.resource.`",
            hint=f'for an attribute of that name: `parent."{head}.{name}"`',
            place=(token.start, len(token.text)),
        )
    place = (token.start, len(token.text))
    if scope is None:
        return Attribute(Scope.ANY, _name(rest, token), of_parent=True, place=place)
    return Attribute(scope, _name(name, token), of_parent=True, place=place)


def _name(text: str, token: Token) -> str:
    """Join the bare and quoted pieces of an attribute's name."""
    if '"' not in text:
        return text
    try:
        return "".join(unquote(piece) if piece[0] == '"' else piece for piece in _PIECE.findall(text))
    except LiteralError as error:
        raise SelectorSyntaxError(error.message, hint=error.hint, place=(token.start, len(token.text))) from None


def _no_such_word(token: Token) -> NoReturn:
    word = token.text
    if word in AGGREGATES | STAGES | METRICS:
        message, hint = f"`{word}` stands outside the braces", "after a pipe: `{ … } | count() > 1`"
    elif word == "parent":
        message = "the parent itself is no value"
        hint = "`parent.span.x` is one of its attributes; roots have `span:parentID = nil`"
    elif word in _SCOPES:
        message, hint = f"`{word}` is a scope, not a field", f"name an attribute: `{word}.x`"
    else:
        message = f"there is no field `{word}`"
        hint = _intrinsic_hint(*word.split(":")) if ":" in word else _word_hint(word)
    raise SelectorSyntaxError(message, hint=hint, place=(token.start, len(word)))


def _word_hint(word: str) -> str:
    if word.lower() == "not":
        return "write `!` for not"
    found = did_you_mean(word, (*INTRINSICS, *OLD_NAMES, *KEYWORDS))
    return found or f'an attribute has a scope: `span.{word}`; a text has quotes: `"{word}"`'


def _intrinsic_hint(scope: str, name: str) -> str:
    """Name the nearest intrinsic of a scope, or all that it has."""
    names = [rest for known in INTRINSICS for head, _, rest in [known.partition(":")] if head == scope and rest]
    if near := closest(name, names):
        return f"did you mean `{scope}:{near}`?"
    if names:
        return f"`{scope}:` has {', '.join(names)}"
    if scope in _SCOPES and name:
        return f"did you mean `{scope}.{name}`?"
    return did_you_mean(f"{scope}:{name}", INTRINSICS) or "attributes have a dot, intrinsics a colon"


def _no_such_scope(token: Token, head: str) -> NoReturn:
    rest = token.text[len(head) + 1 :]
    scope = "resource" if token.text.startswith(RESOURCE_FIRST) else "span"
    hint = f"did you mean `{scope}.{token.text}`?"
    if not token.text.startswith(RESOURCE_FIRST) and (near := closest(head, SCOPES)):
        hint = f"did you mean `{near}.{rest}`?"
    if head == "trace":
        hint = _intrinsic_hint(head, rest)
    raise SelectorSyntaxError(f"`{head}` is not a scope", hint=hint, place=(token.start, len(token.text)))
