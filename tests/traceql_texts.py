"""Random selectors as text, mostly well typed, over few names, so that they often match."""

from __future__ import annotations

from hypothesis import strategies as st

BIG = 2**53
TEXTS = ["", "a", "b", "ab", "500", "é"]

ANY = [
    f"{scope}{key}"
    for scope in (
        "span.",
        ".",
        "resource.",
        "parent.",
        "parent.span.",
        "parent.resource.",
        "instrumentation.",
        "event.",
        "link.",
    )
    for key in "ab"
]
NUMERIC = [
    "duration",
    "trace:duration",
    "span:childCount",
    "event:timeSinceStart",
    "nestedSetLeft",
    "nestedSetRight",
    "nestedSetParent",
]
TEXTUAL = [
    "name",
    "statusMessage",
    "rootName",
    "rootServiceName",
    "event:name",
    "instrumentation:name",
    "instrumentation:version",
]
IDS = ["span:id", "span:parentID", "link:spanID", "trace:id", "link:traceID"]
EQUAL = ["=", "!="]
ORDER = ["=", "!=", "<", "<=", ">", ">="]

any_fields = st.sampled_from(ANY)
number_texts = st.sampled_from(
    [
        "0",
        "1",
        "-1",
        "2",
        "500",
        "2.5",
        "0.5",
        "1e300",
        "5ns",
        "1us",
        str(BIG),
        str(BIG + 1),
        f"{BIG}.0",
        "minInt",
        "maxInt",
        "-9223372036854775808.0",
    ]
)
text_texts = st.sampled_from([f'"{text}"' for text in TEXTS])
patterns = st.sampled_from(['".*"', '"a.*"', '"[ab]+"', "`\\d+`", '"a|b"', '""'])


def joined(*parts: st.SearchStrategy[str] | str) -> st.SearchStrategy[str]:
    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map(" ".join)


number_atoms = st.one_of(number_texts, any_fields, st.sampled_from(NUMERIC))
numbers = st.recursive(
    number_atoms,
    lambda inner: st.one_of(
        joined("(", inner, st.sampled_from("+-*/%"), inner, ")"),
        joined("-", inner),
        joined(
            "(",
            st.one_of(any_fields, st.sampled_from(["2", "-2", "1", "nestedSetLeft"])),
            "^",
            st.sampled_from(["0", "2", "3", "62", "63", "64"]),
            ")",
        ),
    ),
    max_leaves=4,
)
texts = st.one_of(text_texts, any_fields, st.sampled_from(TEXTUAL))
atoms = st.one_of(
    joined(numbers, st.sampled_from(ORDER), numbers),
    joined(texts, st.sampled_from(ORDER), texts),
    joined(any_fields, st.sampled_from(ORDER), any_fields),
    joined(st.one_of(texts, st.sampled_from(IDS)), st.sampled_from(["=~", "!~"]), patterns),
    joined(st.one_of(any_fields, st.sampled_from(NUMERIC + TEXTUAL + IDS)), st.sampled_from(EQUAL), "nil"),
    joined(any_fields, st.sampled_from(EQUAL), st.sampled_from(["true", "false"])),
    joined("status", st.sampled_from(EQUAL), st.sampled_from(["error", "ok", "unset", "status"])),
    joined("kind", st.sampled_from(EQUAL), st.sampled_from(["server", "consumer", "kind"])),
    joined(
        st.sampled_from(IDS[:3]),
        st.sampled_from(EQUAL),
        st.sampled_from(['"1"', '"0000000000000002"', '"F"', "span:id", "span:parentID", "span.a"]),
    ),
    any_fields,
    st.sampled_from(["true", "false"]),
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        joined("(", inner, st.sampled_from(["&&", "||"]), inner, ")"),
        joined("!", "(", inner, ")"),
        joined("(", inner, ")", st.sampled_from(EQUAL), st.one_of(any_fields, st.just("true"))),
    ),
    max_leaves=4,
)
filters = st.one_of(joined("{", conditions, "}"), joined("{", conditions, "}"), st.just("{ }"))
aggregates = st.one_of(
    st.just("count()"),
    st.tuples(
        st.sampled_from(["avg", "min", "max", "sum"]), st.one_of(any_fields, st.sampled_from(NUMERIC), numbers)
    ).map(lambda pair: f"{pair[0]}({pair[1]})"),
)
scalars_ = st.recursive(
    st.one_of(aggregates, number_texts),
    lambda inner: joined("(", inner, st.sampled_from("+-*/%"), inner, ")"),
    max_leaves=3,
)
scalar_filters = joined(aggregates, st.sampled_from(ORDER), scalars_)
STRUCTURAL = [f"{prefix}{op}" for op in (">", ">>", "<", "<<", "~") for prefix in ("", "!", "&")]


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    stages = st.one_of(
        scalar_filters,
        inner,
        st.one_of(any_fields, st.sampled_from(["name", "kind", "status", "duration"]), numbers).map(
            lambda key: f"by({key})"
        ),
        st.just("coalesce()"),
        st.just("select(name, span.a)"),
    )
    return st.one_of(
        joined("(", inner, st.sampled_from(STRUCTURAL), inner, ")"),
        joined("(", inner, st.sampled_from(["&&", "||"]), inner, ")"),
        joined("(", stages, "|", stages, ")"),
        joined("(", inner, "|", stages, "|", stages, ")"),
    )


selectors = st.recursive(st.one_of(filters, filters, scalar_filters), nested, max_leaves=4)
