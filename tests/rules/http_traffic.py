"""A shop whose API asks a payment service: what the http pack is tried on."""

from __future__ import annotations

from dataclasses import dataclass

from opentelemetry.sdk.trace import Span
from opentelemetry.trace import SpanKind

from rules.recording import Recording

REQUESTS = 20
ROUTES = ("/cart", "/checkout")


@dataclass(frozen=True)
class Weather:
    """What is wrong with a run."""

    apart: float = 250.0
    """Milliseconds between requests."""
    slow: float = 0.0
    """How much longer every payment takes."""
    broken: frozenset[int] = frozenset()
    """Requests that fail, after the payment was tried four times."""
    unknown: frozenset[int] = frozenset()
    """Requests for what is not there."""
    lost: frozenset[int] = frozenset()
    """Requests whose call was not exported, so that the payment's span has no parent."""
    described: bool = True


def healthy() -> Recording:
    return _record("http-healthy", Weather())


def slow_payments() -> Recording:
    """Everything waits for the payments, and the load that was meant cannot be kept up."""
    return _record("http-slow-payments", Weather(apart=3000.0, slow=1200.0))


def errors() -> Recording:
    """Two payments fail although they are tried again and again; four requests are for what is not there."""
    return _record("http-errors", Weather(broken=frozenset({4, 11}), unknown=frozenset({7, 13, 15, 18})))


def lost_spans() -> Recording:
    """One service lost spans, and tells neither routes nor its version."""
    return _record("http-lost-spans", Weather(lost=frozenset({2, 9, 16}), described=False))


def no_calls() -> Recording:
    """One service that asks no other."""
    run = Recording("http-no-calls")
    run.service("shop-api", "opentelemetry.instrumentation.flask")
    for number in range(REQUESTS):
        served = {
            "http.request.method": "GET",
            "url.path": "/prices",
            "http.route": "/prices",
            "http.response.status_code": 200,
        }
        run.span("shop-api", "GET /prices", SpanKind.SERVER, at=number * 50.0, took=run.jitter(3, 9), attributes=served)
    return run


def _record(name: str, weather: Weather) -> Recording:
    run = Recording(name)
    run.service("shop-api", "opentelemetry.instrumentation.flask", "1.4.0" if weather.described else None)
    run.service("payments", "opentelemetry.instrumentation.flask")
    for number in range(REQUESTS):
        if number in weather.unknown:
            _not_found(run, number * weather.apart)
        else:
            _request(run, number, weather)
    return run


def _request(run: Recording, number: int, weather: Weather) -> None:
    at = number * weather.apart
    broken = number in weather.broken
    before, paying, after = run.jitter(5, 15), run.jitter(30, 60) + weather.slow, run.jitter(2, 6)
    tries = 4 if broken else 1
    route = ROUTES[number % len(ROUTES)]
    served = {
        "http.request.method": "POST",
        "url.path": route,
        "http.response.status_code": 503 if broken else 200,
        **({"http.route": route} if weather.described else {}),
        **({"error.type": "503"} if broken else {}),
    }
    request = run.span(
        "shop-api", f"POST {route}", SpanKind.SERVER,
        at=at, took=before + tries * paying + after, attributes=served, error="no payment" if broken else "",
    )  # fmt: skip
    for attempt in range(tries):
        _pay(
            run, request, (at + before + attempt * paying, paying, attempt), broken=broken, lost=number in weather.lost
        )


def _pay(run: Recording, request: Span, when: tuple[float, float, int], *, broken: bool, lost: bool) -> None:
    at, took, attempt = when
    status = 503 if broken else 201
    asked = {
        "http.request.method": "POST",
        "server.address": "payments.test",
        "url.full": "http://payments.test/charges",
        "http.response.status_code": status,
        **({"http.request.resend_count": attempt} if attempt else {}),
        **({"error.type": str(status)} if broken else {}),
    }
    answered = {
        "http.request.method": "POST",
        "http.route": "/charges",
        "url.path": "/charges",
        "http.response.status_code": status,
    }
    error = "unavailable" if broken else ""
    call = run.span(
        "shop-api", "POST", SpanKind.CLIENT,
        at=at, took=took, parent=request, attributes=asked, error=error, lost=lost,
    )  # fmt: skip
    run.span(
        "payments", "POST /charges", SpanKind.SERVER,
        at=at + 0.8, took=took - 1.6, parent=call, attributes=answered, error=error,
    )  # fmt: skip


def _not_found(run: Recording, at: float) -> None:
    attributes = {
        "http.request.method": "GET",
        "url.path": "/old",
        "http.response.status_code": 404,
        "http.route": "/*",
    }
    run.span("shop-api", "GET /*", SpanKind.SERVER, at=at, took=run.jitter(1, 2), attributes=attributes)


RECORDINGS = {
    "healthy": healthy,
    "slow-payments": slow_payments,
    "errors": errors,
    "lost-spans": lost_spans,
    "no-calls": no_calls,
}
