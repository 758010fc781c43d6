"""An assistant that looks things up, calls tools and a model: what the genai pack is tried on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.trace import Span
from opentelemetry.trace import SpanKind

from rules.recording import Recording

TASKS = 20
MODEL = "gpt-4.1-2025-04-14"


@dataclass(frozen=True)
class Weather:
    """What is wrong with a run."""

    slow: float = 1.0
    """How many times longer the model takes."""
    failed: frozenset[int] = frozenset()
    """Tasks of which the first model call fails."""
    cut: frozenset[int] = frozenset()
    """Tasks whose answer is cut off."""
    weak_tools: bool = False
    score: float = 0.91
    """What an evaluator gives the answers."""
    circling: frozenset[int] = frozenset()
    """Tasks that call the model ten times."""
    asked: int = 1
    """How many times longer prompts are."""
    said: int = 1
    """How many times longer answers are."""
    model: str = MODEL
    reported: bool = True


def healthy() -> Recording:
    return _record("genai-healthy", Weather())


def slow_model() -> Recording:
    """The model talks too much, so that everything takes long."""
    return _record("genai-slow-model", Weather(slow=9.0, said=9))


def poor_answers() -> Recording:
    """The provider refuses calls, tools fail, answers are cut off, and an evaluator notices."""
    return _record(
        "genai-poor-answers",
        Weather(failed=frozenset({3, 8}), cut=frozenset({5, 12}), weak_tools=True, score=0.42),
    )


def another_model() -> Recording:
    """Another model was rolled out: it is given whole handbooks, goes round in circles and hides what one answer cost."""
    weather = Weather(circling=frozenset({1, 10}), asked=20, model="gpt-4o-2024-11-20", reported=False)
    return _record("genai-another-model", weather)


def plain_chat() -> Recording:
    """No agent, no tools, no streaming: every request is one call of the model."""
    run = Recording("genai-plain-chat")
    run.service("assistant", "opentelemetry.instrumentation.openai_v2")
    for number in range(TASKS):
        _chat(run, None, (number * 100.0, run.jitter(900, 1800)), _reply(number, 0, Weather()), streamed=False)
    return run


def _record(name: str, weather: Weather) -> Recording:
    run = Recording(name)
    run.service("assistant", "opentelemetry.instrumentation.openai_v2")
    for number in range(TASKS):
        _task(run, number, weather)
    return run


def _task(run: Recording, number: int, weather: Weather) -> None:
    at = number * 400.0
    looking_up, thinking = run.jitter(40, 90), run.jitter(900, 1800) * weather.slow
    calls = 10 if number in weather.circling else 1 + (number in weather.failed)
    uses_tool = number % 4 == 0
    spent = looking_up + calls * (thinking + 20) + 120
    agent = run.span(
        "assistant", "invoke_agent support", at=at, took=spent,
        attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "support"},
        events=_evaluation(number, spent, weather),
    )  # fmt: skip
    run.span(
        "assistant", "retrieval handbook", SpanKind.CLIENT, at=at + 5, took=looking_up, parent=agent,
        attributes={"gen_ai.operation.name": "retrieval", "gen_ai.data_source.id": "handbook"},
    )  # fmt: skip
    if uses_tool:
        _tool(run, agent, at + looking_up + 10, fails=weather.weak_tools)
    for turn in range(calls):
        begin = at + looking_up + 100 + turn * (thinking + 20)
        _chat(run, agent, (begin, thinking), _reply(number, turn, weather), streamed=number % 2 == 0)


def _evaluation(number: int, at: float, weather: Weather) -> Sequence[tuple[str, float, dict[str, Any]]]:
    if number % 5:
        return ()
    values = {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": weather.score}
    return [("gen_ai.evaluation.result", at, values)]


def _tool(run: Recording, agent: Span, at: float, *, fails: bool) -> None:
    run.span(
        "assistant", "execute_tool order_status", at=at, took=run.jitter(20, 60), parent=agent,
        attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "order_status"},
        error="order service unavailable" if fails else "",
    )  # fmt: skip


def _reply(number: int, turn: int, weather: Weather) -> dict[str, Any]:
    """Return what the model says of its answer; nothing for a call that fails."""
    if number in weather.failed and turn == 0:
        return {}
    tokens = {"gen_ai.usage.input_tokens": (700 + 31 * number) * weather.asked}
    if weather.reported or number:
        tokens["gen_ai.usage.output_tokens"] = (120 + 7 * number) * weather.said
    return {
        "gen_ai.response.model": weather.model,
        "gen_ai.response.finish_reasons": ["length" if number in weather.cut else "stop"],
        **tokens,
    }


def _chat(
    run: Recording, agent: Span | None, when: tuple[float, float], reply: dict[str, Any], *, streamed: bool
) -> None:
    at, took = when
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4.1",
        **reply,
    }
    if not reply:
        attributes["error.type"] = "429"
    if streamed and reply:
        attributes["gen_ai.request.stream"] = True
        attributes["gen_ai.response.time_to_first_chunk"] = round(took * 0.4 / 1000, 6)
    run.span(
        "assistant", "chat gpt-4.1", SpanKind.CLIENT,
        at=at, took=took, parent=agent, attributes=attributes, error="" if reply else "rate limit",
    )  # fmt: skip


RECORDINGS = {
    "healthy": healthy,
    "slow-model": slow_model,
    "poor-answers": poor_answers,
    "another-model": another_model,
    "plain-chat": plain_chat,
}
