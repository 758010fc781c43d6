"""What a command is given to find the receiver and the run by."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.resources import OTELResourceDetector

from spanverdict.app.runcommand import environment
from spanverdict.app.runids import new_run_id
from spanverdict.receiver.addresses import Address
from spanverdict.receiver.listen import Endpoints
from spanverdict.telemetry.identifiers import is_run_id

ENDPOINTS = Endpoints(Address("127.0.0.1", 4317), Address("127.0.0.1", 4318))


@pytest.mark.parametrize(
    ("chosen", "protocol", "endpoint"),
    [
        (None, "http/protobuf", "http://127.0.0.1:4318"),
        ("http/protobuf", "http/protobuf", "http://127.0.0.1:4318"),
        ("http/json", "http/json", "http://127.0.0.1:4318"),
        ("grpc", "grpc", "http://127.0.0.1:4317"),
    ],
)
def test_the_endpoint_is_that_of_the_protocol(chosen, protocol, endpoint) -> None:
    given = environment({"OTEL_EXPORTER_OTLP_PROTOCOL": chosen} if chosen else {}, ENDPOINTS, "r")
    assert (given["OTEL_EXPORTER_OTLP_PROTOCOL"], given["OTEL_EXPORTER_OTLP_ENDPOINT"]) == (protocol, endpoint)


def test_a_receiver_on_every_interface_is_reached_on_this_machine() -> None:
    anywhere = Endpoints(Address("0.0.0.0", 4317), Address("::", 4318))
    given = environment({}, anywhere, "r")
    assert (given["SPANVERDICT_ENDPOINT_GRPC"], given["SPANVERDICT_ENDPOINT_HTTP"]) == (
        "http://127.0.0.1:4317",
        "http://[::1]:4318",
    )


attributes = st.dictionaries(
    st.from_regex(r"\A[a-z][a-z.]{0,10}\Z"), st.from_regex(r"\A[A-Za-z0-9%._-]{0,10}\Z"), max_size=4
)


@given(present=attributes, run=st.from_regex(r"\A[A-Za-z0-9._:/-]{1,128}\Z"), repeated=st.booleans())
def test_resource_attributes_and_baggage_keep_what_is_there_and_name_the_run(present, run, repeated) -> None:
    text = ",".join(f"{name}={value}" for name, value in present.items())
    if repeated:
        text = f"test.suite.run.id=older, {text} ,"
    given = environment({"OTEL_RESOURCE_ATTRIBUTES": text, "BAGGAGE": text}, ENDPOINTS, run)
    for variable in ("OTEL_RESOURCE_ATTRIBUTES", "BAGGAGE"):
        pairs = dict(part.strip().split("=", 1) for part in given[variable].split(","))
        assert unquote(pairs.pop("test.suite.run.id")) == run
        assert pairs == present


def test_the_sdk_reads_what_we_write(monkeypatch: pytest.MonkeyPatch) -> None:
    given = environment({"OTEL_RESOURCE_ATTRIBUTES": "service.version=3"}, ENDPOINTS, "gh-1/a:b")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", given["OTEL_RESOURCE_ATTRIBUTES"])
    found = OTELResourceDetector().detect().attributes
    assert (found["service.version"], found["test.suite.run.id"]) == ("3", "gh-1/a:b")


def test_new_run_ids_are_right_and_differ() -> None:
    ids = {new_run_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(map(is_run_id, ids))
