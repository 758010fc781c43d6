"""Payloads are masked wherever a value can stand, and stay as they came where there is nothing to mask."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData

from bench.load import make_payload
from oddwriters import part
from spanverdict.masking.masker import REDACTED, Masker
from spanverdict.masking.rules import BadMasking, MaskingRules
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.values import encode_attribute
from spanverdict.telemetry.pool import Value

CANARY = "c4nary-51b7"
KEY = b"a key of sixteen bytes"


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def payload(*attributes: KeyValue, **more: object) -> bytes:
    span = Span(trace_id=b"t" * 16, span_id=b"s" * 8, name="score", attributes=attributes, **more)
    return TracesData(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])]).SerializeToString()


def span_of(masked: bytes) -> Span:
    return TracesData.FromString(masked).resource_spans[0].scope_spans[0].spans[0]


def told_of(request: bytes) -> tuple[int, int, tuple[str, ...]]:
    """Return how many spans are accepted and rejected, and why."""
    found = decode(request, new_pool())
    return len(found.table), found.rejected, found.problems


def left(rules: MaskingRules, *attributes: KeyValue) -> dict[str, str]:
    span = span_of(Masker(rules).masked(payload(*attributes)))
    return {attribute.key: attribute.value.string_value for attribute in span.attributes}


def everywhere(value: str) -> bytes:
    """A payload that holds a value wherever a text can be."""
    attribute = text("note", value)
    nested = KeyValue(
        key="nested",
        value=AnyValue(
            kvlist_value=KeyValueList(
                values=[
                    KeyValue(key="inner", value=AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=value)])))
                ]
            )
        ),
    )
    raw = KeyValue(key="raw", value=AnyValue(bytes_value=value.encode()))
    span = Span(
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        name=f"get {value}",
        attributes=[attribute, nested, raw],
        events=[Span.Event(name=f"said {value}", attributes=[attribute])],
        links=[Span.Link(trace_id=b"t" * 16, span_id=b"l" * 8, attributes=[attribute])],
        status=Status(code=Status.STATUS_CODE_ERROR, message=f"no {value}"),
    )
    scope = ScopeSpans(scope=InstrumentationScope(name="lib", attributes=[attribute]), spans=[span])
    return TracesData(
        resource_spans=[ResourceSpans(resource=Resource(attributes=[attribute]), scope_spans=[scope])]
    ).SerializeToString()


def test_a_value_is_masked_wherever_a_text_can_stand() -> None:
    before = everywhere(f"password={CANARY}")
    after = Masker(MaskingRules()).masked(before)
    assert before.count(CANARY.encode()) == 10
    assert CANARY.encode() not in after
    span = span_of(after)
    assert (span.name, span.status.message, span.status.code) == ("get password=[secret]", "no password=[secret]", 2)
    assert (span.trace_id, span.links[0].span_id) == (b"t" * 16, b"l" * 8)


def test_names_of_attributes_scopes_and_trace_states_are_texts_too() -> None:
    mail = "anne@example.org"
    nested = AnyValue(kvlist_value=KeyValueList(values=[text(mail, "x")]))
    span = Span(
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        trace_state=f"k={mail}",
        attributes=[text(mail, "x"), KeyValue(key="by", value=nested)],
        links=[Span.Link(trace_id=b"t" * 16, span_id=b"l" * 8, trace_state=f"k={mail}")],
    )
    scope = ScopeSpans(scope=InstrumentationScope(name=mail, version=mail), spans=[span])
    before = TracesData(resource_spans=[ResourceSpans(scope_spans=[scope])]).SerializeToString()
    assert before.count(mail.encode()) == 6
    assert mail.encode() not in Masker(MaskingRules(values=("email",))).masked(before)


def test_the_argument_of_a_secret_option_is_masked() -> None:
    words = ["app", "--db-password", "hunter2", "--token", "abc", "--verbose", "yes", "-first-token", "x"]
    listed = KeyValue(key="process.command_args")
    listed.value.array_value.values.extend(AnyValue(string_value=word) for word in words)
    masker = Masker(MaskingRules())
    once = masker.masked(payload(listed))
    kept = [value.string_value for value in span_of(once).attributes[0].value.array_value.values]
    assert kept == ["app", "--db-password", REDACTED, "--token", REDACTED, "--verbose", "yes", "-first-token", REDACTED]
    assert masker.masked(once) == once


@pytest.mark.parametrize("option", ["-u", "--user", "--proxy-user"])
def test_the_password_of_a_user_in_a_list_of_arguments_is_masked(option: str) -> None:
    words = ["curl", option, "admin:hunter2:x", "-u", "1000:1000", "--user", "admin", "-o", "a:b"]
    listed = KeyValue(key="process.command_args")
    listed.value.array_value.values.extend(AnyValue(string_value=word) for word in words)
    masker = Masker(MaskingRules())
    once = masker.masked(payload(listed))
    kept = [value.string_value for value in span_of(once).attributes[0].value.array_value.values]
    assert kept == ["curl", option, f"admin:{REDACTED}", *words[3:]]
    assert masker.masked(once) == once


TOKENS = [
    "token",
    "auth",
    "jwt",
    "gitlab.token",
    "x-auth",
    "user_jwt",
    "http.request.header.x-auth",
    "gitlabToken",
    "userJWT",
    "basicAuth",
]
NO_TOKENS = [
    "gen_ai.usage.input_tokens", "token_count", "llm.token_count.prompt", "token.kind", "auth.method", "auth_type",
    "jwt.alg", "oauth", "author", "tokenizer", "eos_token", "gen_ai.stop_token", "time_to_first_token", "time_per_output_token",
]  # fmt: skip


@pytest.mark.parametrize("key", TOKENS)
def test_a_text_whose_name_ends_in_a_word_for_a_token_is_masked(key: str) -> None:
    assert left(MaskingRules(), text(key, CANARY)) == {key: REDACTED}
    assert left(MaskingRules(keep=("*",)), text(key, CANARY)) == {key: CANARY}
    assert left(MaskingRules(secrets=False), text(key, CANARY)) == {key: CANARY}
    listed = KeyValue(key=key, value=AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=CANARY)])))
    inner = KeyValue(key="nested", value=AnyValue(kvlist_value=KeyValueList(values=[text(key, CANARY)])))
    raw = KeyValue(key=key, value=AnyValue(bytes_value=CANARY.encode()))
    for attribute in (listed, inner, raw):
        assert CANARY.encode() not in Masker(MaskingRules()).masked(payload(attribute))


@pytest.mark.parametrize("key", NO_TOKENS)
def test_counts_kinds_and_words_of_a_model_are_left(key: str) -> None:
    assert left(MaskingRules(), text(key, CANARY), text("password", "x")) == {key: CANARY, "password": REDACTED}


@pytest.mark.parametrize("key", ["token", "auth", "x.jwt", "seconds_to_token"])
def test_numbers_and_ways_of_logging_in_are_no_tokens(key: str) -> None:
    number = KeyValue(key=key, value=AnyValue(double_value=0.31))
    kept = span_of(Masker(MaskingRules()).masked(payload(number, text("password", "x")))).attributes[0]
    assert kept.value.double_value == 0.31
    ways = [text(key, way) for way in ("none", "Basic", "oauth2", "mTLS", "scram-sha-256", "")]
    for way in ways:
        assert left(MaskingRules(), way, text("password", "x"))[key] == way.value.string_value


def test_a_number_whose_name_ends_so_costs_no_closer_look() -> None:
    numbers = [KeyValue(key=key, value=AnyValue(int_value=300)) for key in TOKENS]
    before = payload(*numbers)
    assert Masker(MaskingRules()).masked(before) is before
    assert MaskingRules().suspicion.search(before) is None


def test_a_payload_without_anything_to_mask_is_the_same_object() -> None:
    before = make_payload(100, 16, 3, run_id="gh-1")
    assert Masker(MaskingRules()).masked(before) is before


@pytest.mark.parametrize(
    "key",
    [
        "http.request.header.authorization",
        "db.password",
        "API-Key",
        "user.session_token",
        "secret",
        "x.client_secret.v",
        "userPassword",
        "PGPASSWORD",
        "stripeApiKey",
        "oauth.userSecret",
        "passwordHash",
        "db.pwd",
        "http.request.header.x-vault-token",
    ],
)
def test_secrets_are_known_by_the_names_of_attributes(key: str) -> None:
    assert left(MaskingRules(), text(key, CANARY)) == {key: REDACTED}


@pytest.mark.parametrize(
    "key", ["gen_ai.usage.output_tokens", "secretary", "author", "keyboard", "cookiecutter.name", "time_to_first_token"]
)
def test_names_that_only_look_alike_are_left(key: str) -> None:
    assert left(MaskingRules(), text(key, CANARY)) == {key: CANARY}


def test_truths_under_a_secret_name_are_left() -> None:
    truth = KeyValue(key="password.changed", value=AnyValue(bool_value=True))
    assert span_of(Masker(MaskingRules()).masked(payload(truth))).attributes[0] == truth


def test_lists_of_names_decide_what_becomes_of_an_attribute() -> None:
    rules = MaskingRules(
        keep=("user.name",), drop=("user.ssn",), hash=("user.id",), redact=("user.*",), hash_key=KEY, secrets=False
    )
    given_ = [text(key, "anne") for key in ("user.name", "user.ssn", "user.id", "User.Mail", "other")]
    found = left(rules, *given_)
    assert list(found) == ["user.name", "user.id", "User.Mail", "other"]
    assert (found["user.name"], found["User.Mail"], found["other"]) == ("anne", REDACTED, "anne")
    assert found["user.id"].startswith("hmac-sha256:")


def test_equal_values_have_equal_hashes_under_one_key_only() -> None:
    rules = MaskingRules(hash=("user.id",), hash_key=KEY)
    first, second = (left(rules, text("user.id", "anne"))["user.id"] for _ in range(2))
    other = left(MaskingRules(hash=("user.id",), hash_key=b"another key, as long"), text("user.id", "anne"))["user.id"]
    assert first == second != other
    assert left(rules, text("user.id", "ben"))["user.id"] != first


def test_what_holds_a_run_together_is_never_masked() -> None:
    rules = MaskingRules(redact=("*",), values=("card",))
    tags = [text("test.suite.run.id", "4111111111111111"), text("messaging.message.id", "m-1"), text("note", "x")]
    assert left(rules, *tags) == {
        "test.suite.run.id": "4111111111111111",
        "messaging.message.id": "m-1",
        "note": REDACTED,
    }


def test_kinds_of_values_are_masked_where_asked_for() -> None:
    mail = text("note", "mail anne@example.org")
    assert left(MaskingRules(), mail) == {"note": "mail anne@example.org"}
    assert left(MaskingRules(values=("email",)), mail) == {"note": "mail [email]"}


def test_a_pattern_of_ones_own_may_know_where_a_value_begins() -> None:
    rules = MaskingRules(patterns=(("ticket", "^TKT-[0-9]+"),))
    assert left(rules, text("note", "TKT-12 is open")) == {"note": "[ticket] is open"}
    assert left(rules, text("note", "see TKT-12")) == {"note": "see TKT-12"}


def test_dropped_names_go_from_nested_values_too() -> None:
    inner = KeyValueList(values=[text("keep", "a"), text("user.ssn", CANARY)])
    nested = KeyValue(key="body", value=AnyValue(kvlist_value=inner))
    span = span_of(Masker(MaskingRules(drop=("user.ssn",))).masked(payload(nested)))
    assert [item.key for item in span.attributes[0].value.kvlist_value.values] == ["keep"]


def test_of_what_is_suspicious_and_cannot_be_read_nothing_is_left_and_the_rest_stays() -> None:
    broken = payload(text("note", "fine")) + payload(text("note", "password=\x01" + CANARY))
    spoiled = broken.replace(b"password=\x01", b"password=\xff")
    after = Masker(MaskingRules()).masked(spoiled)
    assert CANARY.encode() not in after
    assert b"fine" in after
    assert (
        told_of(after)
        == told_of(spoiled)
        == (1, 1, ("1 span: an attribute is malformed, not UTF-8, or nested too deep",))
    )


@pytest.mark.parametrize(("field", "what"), [(11, "an event"), (13, "a link"), (15, "the status")])
def test_a_span_that_is_rejected_for_what_cannot_be_read_stays_so(field: int, what: str) -> None:
    unreadable = f"password={CANARY}".encode() + b"\xff"
    span = span_of(payload()).SerializeToString() + part(field, unreadable)
    before = payload() + part(1, part(2, part(2, span)))
    after = Masker(MaskingRules()).masked(before)
    assert CANARY.encode() not in after
    assert told_of(after) == told_of(before)
    assert what in str(told_of(after))


def test_what_is_suspicious_and_too_deep_to_be_masked_goes_and_its_span_stays() -> None:
    value: Value = f"password={CANARY}"
    for _ in range(60):
        value = (value,)
    span = span_of(payload(text("note", "fine"))).SerializeToString() + part(9, encode_attribute("deep", value))
    after = Masker(MaskingRules()).masked(part(1, part(2, part(2, span))))
    assert [attribute.key for attribute in span_of(after).attributes] == ["note"]


def test_what_is_no_otlp_is_left_to_be_refused() -> None:
    nonsense = b"\xff password=x"
    assert Masker(MaskingRules()).masked(nonsense) is nonsense


def test_fields_that_nobody_knows_yet_stay() -> None:
    unknown = b"\xfa\x3f\x03new"  # field 1023
    inside = payload(text("password", CANARY))
    span = TracesData.FromString(inside).resource_spans[0].scope_spans[0].spans[0].SerializeToString() + unknown
    scope = b"\x12" + bytes([len(span)]) + span
    whole = b"\x12" + bytes([len(scope)]) + scope
    request = b"\x0a" + bytes([len(whole)]) + whole
    after = Masker(MaskingRules()).masked(request)
    assert unknown in after
    assert CANARY.encode() not in after


keys = st.sampled_from(["note", "password", "user.id", "user.ssn", "http.request.header.cookie", "test.run.id"])
values = st.sampled_from(
    ["", "plain", "Bearer abcdefghij", "password=x1", "a@b.example", "x é 漢", "[secret]"]
) | st.text(max_size=20)
everything = MaskingRules(
    drop=("user.ssn",), hash=("user.id",), hash_key=KEY, values=("email", "card", "phone", "ip"), redact=("red*",)
)


@given(st.lists(st.tuples(keys, values), max_size=6), values)
def test_masking_twice_is_masking_once_and_remembering_changes_nothing(pairs: list[tuple[str, str]], name: str) -> None:
    before = payload(*(text(key, value) for key, value in pairs), events=[Span.Event(name=name)])
    masker = Masker(everything)
    once = masker.masked(before)
    assert masker.masked(once) == once
    assert masker.masked(before) == once == Masker(everything).masked(before)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (MaskingRules(values=("mail",)), "there is no detector mail; there are"),
        (MaskingRules(patterns=(("mine", "("),)), "the pattern mine is no regular expression"),
        (MaskingRules(hash=("user.id",)), "hashing needs a key of at least 16 bytes"),
    ],
    ids=["values", "patterns", "hash"],
)
def test_rules_that_cannot_be_followed_are_refused(rules: MaskingRules, said: str) -> None:
    with pytest.raises(BadMasking, match=said.replace("(", r"\(")):
        rules.check()


def test_rules_without_anything_to_do_look_at_nothing() -> None:
    before = everywhere("password=x")
    assert Masker(MaskingRules(secrets=False)).masked(before) is before
