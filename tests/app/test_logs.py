"""What is logged: lines that nobody who sends something can forge or colour."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.app.logs import JsonLines, TextLines, configure_logging, escaped

HOSTILE = "run \x1b[31mred\x1b[0m\r\n2026-01-01 00:00:00,000 ERROR forged: all is well\x00\x7f\u2028\u202e\x9b"


def record(message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    about = (type(error), error, None) if error is not None else None
    return logging.LogRecord("spanverdict.app.judge", logging.ERROR, __file__, 1, message, args, about)


@given(st.text())
def test_a_record_is_one_line_of_printable_text(text: str) -> None:
    line = TextLines("%(levelname)s %(message)s").format(record("about %s", text))
    assert line.isprintable()
    assert line.startswith("ERROR about ")
    assert escaped(escaped(text)) == escaped(text)


@given(st.text())
def test_a_json_record_is_one_object_that_holds_the_text_as_it_is(text: str) -> None:
    line = JsonLines().format(record("about %s", text))
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["message"] == f"about {text}"


def test_of_a_traceback_no_line_looks_like_a_record() -> None:
    lines = TextLines("%(levelname)s %(message)s").format(record("it broke", error=ValueError(HOSTILE))).split("\n")
    assert lines[0] == "ERROR it broke"
    assert len(lines) > 2
    assert all(line.startswith("    ") and line.isprintable() for line in lines[1:])


def test_a_json_record_has_its_traceback_and_a_time_that_machines_read() -> None:
    told = json.loads(JsonLines().format(record("it broke", error=ValueError(HOSTILE))))
    assert (told["level"], told["logger"], told["message"]) == ("error", "spanverdict.app.judge", "it broke")
    assert told["error"] == f"ValueError: {HOSTILE}"
    assert told["time"].endswith("+00:00")


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, left as it was."""
    logger = logging.getLogger()
    before = (logger.level, list(logger.handlers))
    for handler in before[1]:
        logger.removeHandler(handler)
    yield logger
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.setLevel(before[0])
    logging.getLogger("spanverdict").setLevel(logging.NOTSET)
    for handler in before[1]:
        logger.addHandler(handler)


def test_what_is_configured_last_counts_alone(root: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    configure_logging("text", logging.WARNING)
    configure_logging("json", logging.INFO)
    ours = logging.getLogger("spanverdict.app")
    ours.info("ready")
    ours.debug("unseen")
    (line,) = screen.getvalue().splitlines()
    assert json.loads(line)["message"] == "ready"


def test_what_libraries_chat_about_is_not_logged(root: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    """`httpx` names the whole address of each request, and a webhook's address may be a secret."""
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    configure_logging("text", logging.INFO)
    logging.getLogger("httpx").info("HTTP Request: POST https://hooks.example/secret")
    logging.getLogger("httpx").warning("something is wrong")
    (line,) = screen.getvalue().splitlines()
    assert "something is wrong" in line
