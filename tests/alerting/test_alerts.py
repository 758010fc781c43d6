"""Which alerts a verdict raises and ends, and by what they are known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.alertexamples import result, run
from spanverdict.alerting.alerts import CHANGES_TOLD, Alert, AlertState, assess, fingerprint, scope_of


def states(*assessments) -> list[AlertState]:
    """What the store would hold after these, one after the other."""
    held = {}
    for assessment in assessments:
        for s in assessment.changes:
            held[s.environment, s.branch, s.flow, s.rule, s.group] = s
    return list(held.values())


def test_fingerprints_are_those_of_prometheus() -> None:
    assert fingerprint({}) == "cbf29ce484222325"
    assert fingerprint({"name": "garland, briggs", "fear": "love is not enough"}) == f"{5799056148416392346:016x}"


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=6), st.randoms())
def test_a_fingerprint_does_not_depend_on_the_order_of_labels(labels, chance) -> None:
    shuffled = list(labels.items())
    chance.shuffle(shuffled)
    assert fingerprint(dict(shuffled)) == fingerprint(labels)
    assert len(fingerprint(labels)) == 16


def test_a_failed_rule_fires_with_its_labels_and_annotations() -> None:
    failed = result(
        labels={"team": "risk", "severity": "ignored"},
        annotations={"summary": "Scoring is slow", "runbook_url": "https://runbooks/slow", "run_id": "ignored"},
    )
    found = assess(run(**{"service.name": "scorer"}), [failed], [], 7, "https://sv.example/")
    (alert,) = found.alerts
    assert alert == Alert(
        firing=True,
        labels={
            "alertname": "slow",
            "flow": "fraud",
            "severity": "critical",
            "service": "scorer",
            "environment": "ci",
            "branch": "main",
            "team": "risk",
        },
        annotations={
            "summary": "Scoring is slow",
            "description": "p95 = 231.4ms, expected < 200ms (n = 200 requests)",
            "runbook_url": "https://runbooks/slow",
            "run_id": "run-1",
            "observed": "p95 = 231.4ms",
            "expected": "p95 < 200ms",
        },
        starts_unix_nano=7,
        ends_unix_nano=None,
        generator_url="https://sv.example/runs/run-1",
        news=True,
        appeared=True,
    )
    (state,) = found.changes
    assert (state.environment, state.branch, state.flow, state.rule, state.group) == ("ci", "main", "fraud", "slow", "")
    assert (state.firing, state.since_unix_nano, state.run_id) == (True, 7, "run-1")
    assert (state.fingerprint, state.labels) == (alert.fingerprint, alert.labels)


def test_labels_are_the_same_in_every_run() -> None:
    first = assess(run("run-1"), [result(message="p95 = 1s", samples=5)], [], 1).alerts[0]
    second = assess(run("run-2"), [result(message="p95 = 2s", samples=9)], [], 2).alerts[0]
    assert first.fingerprint == second.fingerprint
    assert not {"run-1", "p95 = 1s", "5"} & set(first.labels.values())


def test_a_run_id_with_odd_characters_is_quoted_in_its_link() -> None:
    assert assess(run("a/b:c"), [result()], [], 1, "https://sv").alerts[0].generator_url == "https://sv/runs/a%2Fb%3Ac"


@pytest.mark.parametrize("outcome", ["passed", "inconclusive", "errored", "skipped"])
def test_what_did_not_fail_does_not_fire(outcome: str) -> None:
    assert assess(run(), [result(outcome)], [], 1) == assess(run(), [], [], 1)


def test_a_rule_that_only_reports_does_not_fire() -> None:
    assert assess(run(), [result(report_only=True)], [], 1).alerts == ()


def test_a_later_run_that_passes_ends_the_alert_with_the_labels_that_were_sent() -> None:
    fired = assess(run(), [result()], [], 10)
    over = assess(run("run-2"), [result("passed", severity="info")], states(fired), 20)
    (alert,) = over.alerts
    assert (alert.firing, alert.labels, alert.starts_unix_nano, alert.ends_unix_nano) == (
        False,
        fired.alerts[0].labels,
        10,
        20,
    )
    assert alert.annotations["description"] == "all good"
    assert [s.firing for s in over.changes] == [False]
    assert assess(run("run-3"), [result("passed")], states(fired, over), 30).alerts == (), "resolved once"


@pytest.mark.parametrize("results", [[], *[[result(o)] for o in ("inconclusive", "errored", "skipped")]])
def test_what_proves_nothing_leaves_an_alert_firing(results) -> None:
    fired = assess(run(), [result()], [], 10)
    later = assess(run("run-2"), results, states(fired), 20)
    assert (later.alerts, later.changes) == ((), ())


def test_other_branches_and_environments_do_not_end_it() -> None:
    fired = states(assess(run(), [result()], [], 10))
    for other in (run("run-2", branch="dev"), run("run-3", environment="staging")):
        assert assess(other, [result("passed")], fired, 20).alerts == ()


def test_failing_again_keeps_the_start_and_is_news_of_another_run_only() -> None:
    fired = assess(run(), [result()], [], 10)
    again = assess(run("run-2"), [result()], states(fired), 20)
    assert [(a.starts_unix_nano, a.news, a.appeared) for a in again.alerts] == [(10, True, False)]
    same_run = assess(run(revision=2), [result()], states(fired), 20)
    assert [(a.starts_unix_nano, a.news) for a in same_run.alerts] == [(10, False)]


def test_a_run_judged_again_with_late_spans_can_end_and_raise_its_own_alerts() -> None:
    fired = assess(run(), [result()], [], 10)
    over = assess(run(revision=2), [result("passed")], states(fired), 20)
    assert [a.firing for a in over.alerts] == [False]
    back = assess(run(revision=3), [result()], states(fired, over), 30)
    assert [(a.firing, a.starts_unix_nano, a.appeared) for a in back.alerts] == [(True, 30, True)]


def test_an_older_run_judged_again_does_not_end_what_a_later_one_found() -> None:
    fired = assess(run("run-2"), [result()], [], 10)
    assert assess(run("run-1", revision=2), [result("passed")], states(fired), 20).alerts == ()


def test_a_changed_severity_is_another_alert_to_receivers() -> None:
    fired = assess(run(), [result()], [], 10)
    changed = assess(run("run-2"), [result(severity="info")], states(fired), 20)
    assert sorted((a.labels["severity"], a.firing) for a in changed.alerts) == [("critical", False), ("info", True)]
    assert [(s.firing, s.labels["severity"]) for s in changed.changes] == [(True, "info")]


def test_groups_of_a_rule_are_alerts_of_their_own() -> None:
    fired = assess(run(), [result(group="v1"), result(group="v2")], [], 10)
    assert [a.labels["group"] for a in fired.alerts] == ["v1", "v2"]
    later = assess(run("run-2"), [result(group="v1"), result("passed", group="v2")], states(fired), 20)
    assert [(a.labels["group"], a.firing) for a in later.alerts] == [("v1", True), ("v2", False)]


def test_a_rule_that_had_no_group_at_all_is_over_when_it_has_groups() -> None:
    fired = assess(run(), [result(message="no data")], [], 10)
    for outcomes, ended in ((["passed"], 1), (["failed", "passed"], 1), (["inconclusive"], 0)):
        later = assess(run("run-2"), [result(o, group=f"v{i}") for i, o in enumerate(outcomes)], states(fired), 20)
        assert sum(not a.firing for a in later.alerts) == ended, outcomes


def test_a_rule_that_still_has_a_result_without_group_is_not_over() -> None:
    fired = assess(run(), [result()], [], 10)
    for outcome, firing in (("failed", [True]), ("inconclusive", [])):
        later = assess(run("run-2"), [result(outcome), result("passed", group="v1")], states(fired), 20)
        assert [a.firing for a in later.alerts] == firing


def test_a_failure_counts_when_a_rule_was_judged_twice() -> None:
    for results in ([result(), result("passed")], [result("passed"), result()]):
        assert [a.firing for a in assess(run(), results, [], 1).alerts] == [True]


@given(st.permutations([result(rule=r, group=g) for r in ("a", "b") for g in (None, "x", "y")]))
def test_the_order_of_results_does_not_matter(results) -> None:
    expected = assess(run(), sorted(results, key=lambda r: (r.id, r.group or "")), [], 1)
    assert assess(run(), results, [], 1) == expected


def test_where_a_run_belongs_is_read_from_its_labels() -> None:
    assert scope_of(run()) == ("ci", "main")
    named = replace(run(), labels={"deployment.environment.name": "staging", "vcs.ref.head.name": "feature/x"})
    assert scope_of(named) == ("staging", "feature/x")
    assert scope_of(replace(run(), labels={})) == ("", "")
    assert "branch" not in assess(replace(run(), labels={}), [result()], [], 1).alerts[0].labels


def test_a_revision_says_so_and_what_it_changed() -> None:
    said = assess(run(revision=2), [result()], [], 1, changes=["the verdict was passed and is failed now"])
    annotations = said.alerts[0].annotations
    assert (annotations["revision"], annotations["changes"]) == ("2", "the verdict was passed and is failed now")
    first = assess(run(), [result()], [], 1).alerts[0].annotations
    assert not {"revision", "changes"} & set(first)


def test_of_many_changes_the_first_are_told_and_the_others_counted() -> None:
    changes = [f"change {number}" for number in range(CHANGES_TOLD + 3)]
    said = assess(run(revision=2), [result()], [], 1, changes=changes).alerts[0].annotations["changes"]
    assert said == "; ".join([*changes[:CHANGES_TOLD], "and 3 more"])
