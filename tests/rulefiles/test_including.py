"""`include` and `parameters`: whose rules they are, what values may do, and where each mistake is told."""

from __future__ import annotations

import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from spanverdict.checks.passrate import PassRate
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.render import render_all
from spanverdict.rulefiles import packs
from spanverdict.rulefiles.loader import load, load_files
from spanverdict.rulefiles.models import Flow, Severity
from spanverdict.rulefiles.packs import pack_file, pack_names

PACK = """\
version: 1
flow: web
parameters:
  service: {type: text, default: ".+", about: whose requests}
  serve: {type: stage, default: served}
  p95: {type: duration, default: 500ms}
  errors: {type: share, default: 1%}
  most: {type: count, default: 3}
  score: {type: field, default: span.score}
  note: {type: text}
stages:
  - stage: served
    select: '{ span:kind = server && resource.service.name =~ "${service}" }'
    count: "1..${most}"
defaults: {severity: critical, owner: web}
rules:
  - id: latency
    latency: {stage: "${serve}"}
    expect: {p95: "< ${p95}", samples: ">= ${most}"}
  - id: errors
    ratio: {of: '{ span:status = error }', over: '{ resource.service.name =~ "${service}" }'}
    expect: {ratio: "<= ${errors}"}
    severity: info
  - id: range
    output: {stage: "${serve}", value: "${score}"}
    expect: {every: "0..1"}
    title: "$${score} is ${score}"
  - id: noted
    count: '{ span:name = "${note}" }'
    expect: {count: "== 0"}
"""
FLOW = """\
version: 1
flow: shop
stages: [{stage: ingest, select: {service: gateway, kind: server}}]
defaults: {severity: info}
"""


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    path = tmp_path / "packs" / "web.yaml"
    path.parent.mkdir()
    path.write_text(PACK, encoding="utf-8")
    return path


def shop(folder: Path, text: str) -> tuple[Flow | None, list[str]]:
    """Load a flow that includes, and give what is said of it, paths shortened."""
    file = folder / "shop.yaml"
    file.write_text(FLOW + text, encoding="utf-8")
    flows, problems = load_files([str(file)])
    said = [
        f"{found.position}: {found.message} | {found.hint}".replace(f"{folder}/", "") for found in problems.sorted()
    ]
    return (flows[0] if flows else None), said


def loaded(folder: Path, text: str) -> Flow:
    flow, said = shop(folder, text)
    assert not said, said
    assert flow is not None
    return flow


def test_included_rules_stand_behind_those_of_the_flow_and_carry_a_prefix(pack: Path) -> None:
    text = """\
rules:
  - id: own
    latency: request
    expect: {max: "< 1s"}
include:
  - file: packs/web.yaml
    with: {serve: ingest, service: gateway, p95: 200ms, note: x}
"""
    flow = loaded(pack.parents[1], text)
    assert [rule.id for rule in flow.rules] == ["own", "web.latency", "web.errors", "web.range", "web.noted"]
    latency, errors, scores = flow.rules[1:4]
    assert [str(line.condition) for line in latency.expect] == ["< 200ms", ">= 3"]
    assert str(errors.check.over) == '{ resource.service.name =~ "gateway" }'  # type: ignore[attr-defined]
    assert scores.title == "${score} is span.score"
    assert (latency.position.file, latency.position.line) == (str(pack), 17)


def test_a_rule_is_as_severe_as_its_file_says_and_else_as_the_flow_says(pack: Path) -> None:
    text = "include: [{file: packs/web.yaml, with: {serve: ingest, note: x}}]\n"
    flow = loaded(pack.parents[1], text)
    assert [rule.severity for rule in flow.rules[:2]] == [Severity.CRITICAL, Severity.INFO]
    assert {rule.owner for rule in flow.rules} == {"web"}
    pack.write_text(PACK.replace("severity: critical, ", ""), encoding="utf-8")
    assert loaded(pack.parents[1], text).rules[0].severity is Severity.INFO


def test_rules_are_chosen_and_only_what_they_need_has_to_be_given(pack: Path) -> None:
    folder = pack.parents[1]
    one = loaded(folder, "include: [{file: packs/web.yaml, rules: errors, as: gate}]\n")
    assert [rule.id for rule in one.rules] == ["gate.errors"]
    most = loaded(folder, "include: [{file: packs/web.yaml, without: [noted, latency], with: {serve: ingest}}]\n")
    assert [rule.id for rule in most.rules] == ["web.errors", "web.range"]


def test_a_file_is_included_twice_under_two_names(pack: Path) -> None:
    text = "include:\n  - {file: packs/web.yaml, rules: errors}\n  - {file: packs/web.yaml, rules: errors, as: other}\n"
    flow = loaded(pack.parents[1], text)
    assert [rule.id for rule in flow.rules] == ["web.errors", "other.errors"]


def test_the_hash_of_a_flow_is_that_of_all_that_it_includes(pack: Path) -> None:
    text = "include: [{file: packs/web.yaml, rules: errors}]\n"
    before = loaded(pack.parents[1], text).sha256
    pack.write_text(PACK.replace("severity: info", "severity: warning"), encoding="utf-8")
    after = loaded(pack.parents[1], text).sha256
    assert before != after
    assert len(after) == 64


def test_a_file_with_parameters_is_a_flow_by_itself_when_all_have_defaults(pack: Path) -> None:
    problems = Problems()
    assert load(PACK, "web.yaml", problems) is None
    (found,) = problems.sorted()
    assert (str(found.position), found.message) == (
        "web.yaml:10:3",
        "`note` has no default, so the file can only be included",
    )
    flow = load(PACK.replace("note: {type: text}", "note: {type: text, default: x}"), "web.yaml", Problems())
    assert flow is not None
    assert str(flow.stages[0].count) == "1..3"
    assert str(flow.stages[0].selector) == '{ span:kind = server && resource.service.name =~ ".+" }'


def test_without_parameters_a_dollar_is_a_dollar() -> None:
    text = FLOW + 'rules: [{id: a, latency: request, expect: {max: "< 1s"}, title: "costs ${n} $$"}]\n'
    flow = load(text, "a.yaml", Problems())
    assert flow is not None
    assert flow.rules[0].title == "costs ${n} $$"


@pytest.mark.parametrize("value", ['a" || true || "', "a\\\\", "a`b", "a'b", "a\\nb"])
def test_a_value_never_ends_the_text_that_it_is_put_into(pack: Path, value: str) -> None:
    quoted = value.replace('"', '\\"')
    flow, said = shop(
        pack.parents[1], f'include: [{{file: packs/web.yaml, rules: errors, with: {{service: "{quoted}"}}}}]\n'
    )
    assert flow is None
    assert "service is put into a longer text, where quotes, backslashes and line breaks cannot stand" in said[0]
    assert said[0].startswith("shop.yaml:5:")


@pytest.mark.parametrize("value", ["a, b: c", "{x: 1}", "[1]", "# no", "&a"])
def test_a_value_never_becomes_yaml(pack: Path, value: str) -> None:
    flow = loaded(
        pack.parents[1], f"include: [{{file: packs/web.yaml, rules: errors, with: {{service: '{value}'}}}}]\n"
    )
    assert str(flow.rules[0].check.over) == f'{{ resource.service.name =~ "{value}" }}'  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("include", "said"),
    [
        ("{pack: htp}", "shop.yaml:5:18: there is no pack `htp` | did you mean `http`?"),
        ("{file: nowhere.yaml}", "shop.yaml:5:18: there is no file nowhere.yaml | paths are relative to the file that includes"),
        ("{as: x}", "shop.yaml:5:11: an include needs a pack or a file, one of them | write it like {pack: http}"),
        ("{pack: http, file: x}", "shop.yaml:5:11: an include needs a pack or a file, one of them | write it like {pack: http}"),
        ("{fil: x}", "shop.yaml:5:12: an include has no key `fil` | did you mean `file`?"),
        (
            "{file: packs/web.yaml, rules: eror}",
            "shop.yaml:5:41: there is no rule `eror` to be included | did you mean `errors`?",
        ),
        (
            "{file: packs/web.yaml, without: [latency, errors, range, noted]}",
            "shop.yaml:5:11: no rule is left to be included | ",
        ),
        (
            "{file: packs/web.yaml, rules: errors, with: {eror: 1%}}",
            "shop.yaml:5:56: there is no parameter `eror` | did you mean `errors`?",
        ),
        (
            "{file: packs/web.yaml, rules: errors, with: {errors: 7}}",
            "outside 0 to 1 (0 % to 100 %) | did you mean `7%`?; it is declared as share in packs/web.yaml:7:3",
        ),
        (
            "{file: packs/web.yaml, rules: latency, with: {serve: ingst}}",
            "5:64: serve: the flow has no stage `ingst` | did you mean `ingest`?; it is declared as stage in packs/web.yaml:5:3",
        ),
        (
            "{file: packs/web.yaml, rules: latency}",
            "5:11: the rules need `serve`, a stage of this flow (ingest) | add with: {serve: …}; it is declared in packs/web.yaml:5:3",
        ),
        (
            "{file: packs/web.yaml, rules: latency, with: {serve: ingest, p95: [1ms]}}",
            "shop.yaml:5:77: p95 has to be a single value, not a list | it is declared in packs/web.yaml:6:3",
        ),
        (
            "{file: packs/web.yaml, rules: range, with: {serve: ingest, score: score}}",
            "it is declared as field in packs/web.yaml:9:3",
        ),
        ("{file: packs/web.yaml, rules: errors, as: a b}", "shop.yaml:5:53: as cannot be `a b` | did you mean `a-b`?"),
        (
            "{file: packs/web.yaml, rules: errors}, {file: packs/web.yaml, rules: errors}",
            "shop.yaml:5:50: rule `web.errors` is included already | give the rules another prefix with as: NAME",
        ),
    ],
)  # fmt: skip
def test_a_mistake_in_an_include_is_told_at_its_place(pack: Path, include: str, said: str) -> None:
    flow, found = shop(pack.parents[1], f"include: [{include}]\n")
    assert flow is None
    assert len(found) == 1, found
    assert said in found[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"< ${p95}"', '"<< ${p95}"', "packs/web.yaml:19:19: `<< 500ms` is not a condition"),
        ('"< ${p95}"', '"< ${p59}"', "packs/web.yaml:19:22: no parameter is called `p59` | did you mean `p95`?"),
        ("version: 1\n", "version: 1\ninclude: [{pack: http}]\n", "packs/web.yaml:2:1: a file that is included cannot include"),
        ("type: share", "type: shar", "packs/web.yaml:7:18: type cannot be `shar` | did you mean `share`?"),
        ("type: share, ", "typ: share, ", "packs/web.yaml:7:12: a parameter has no key `typ`"),
        ("  p95: {", "  P95: {", "packs/web.yaml:6:3: a parameter cannot be called `P95`"),
        ("version: 1\n", "version: 1\nversion: 1\n", "packs/web.yaml:2:1: the key `version` stands twice in one mapping"),
        ("rules:\n", "rulez:\n", "packs/web.yaml has no rules that could be included"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_included_file_is_told_there_and_who_included_it(
    pack: Path, old: str, new: str, said: str
) -> None:
    pack.write_text(PACK.replace(old, new, 1), encoding="utf-8")
    flow, found = shop(pack.parents[1], "include: [{file: packs/web.yaml, with: {serve: ingest, note: x}}]\n")
    assert flow is None
    assert any(said in each for each in found), found
    assert all("shop.yaml:5:11" in each for each in found)


def test_an_own_rule_cannot_take_the_name_of_an_included_one(pack: Path) -> None:
    text = 'rules: [{id: web.errors, latency: request, expect: {max: "< 1s"}}]\ninclude: [{file: packs/web.yaml, rules: errors}]\n'
    flow, (found,) = shop(pack.parents[1], text)
    assert flow is None
    assert "there is a rule `web.errors` already | it stands in shop.yaml:5:14" in found.replace(
        str(pack.parents[1]) + "/", ""
    )


@pytest.mark.parametrize("text", ["include: {pack: http}\n", "include: []\n", "include: http\n"])
def test_an_include_is_a_list(tmp_path: Path, text: str) -> None:
    flow, found = shop(tmp_path, text)
    assert flow is None
    assert "include has to be a list of packs or files" in found[0]


@pytest.mark.parametrize(
    "text", ["parameters: [a]\n", "parameters: {a: 1}\n", "parameters: {a: {type: text, default: [1]}}\n"]
)
def test_parameters_are_a_mapping_of_single_values(text: str) -> None:
    problems = Problems()
    assert load(FLOW + 'rules: [{id: a, latency: request, expect: {max: "< 1s"}}]\n' + text, "a.yaml", problems) is None
    assert problems.fatal


def test_every_pack_that_comes_along_can_be_included(tmp_path: Path) -> None:
    """Proves that packs are found by name, and that each needs no more than stages."""
    assert "http" in pack_names()
    for name in pack_names():
        file = pack_file(name)
        assert file is not None
        whole, problems = load_files([str(file)])
        assert not problems.sorted(), render_all(problems.sorted())
        stages = "stages:\n" + "".join(
            f"  - {{stage: {stage.name}, select: {{service: a}}}}\n" for stage in whole[0].stages
        )
        own = tmp_path / f"{name}.yaml"
        own.write_text(f"version: 1\nflow: own\n{stages}include: [{{pack: {name}}}]\n", encoding="utf-8")
        flows, problems = load_files([str(own)])
        assert not problems.sorted(), render_all(problems.sorted())
        assert [rule.id for rule in flows[0].rules] == [f"{name}.{rule.id}" for rule in whole[0].rules]


def test_an_installed_pack_is_found_beside_the_code(tmp_path: Path) -> None:
    """Proves that packs are where the wheel puts them: `rulepacks`, in the folder of the rooms."""
    room = tmp_path / "site-packages" / "spanverdict"
    for folder in ("rulefiles", "rulepacks/own", "rulepacks/empty"):
        (room / folder).mkdir(parents=True)
    (room / "rulepacks" / "own" / "flow.yaml").touch()
    source = Path(packs.__file__)
    copied = room / "rulefiles" / source.name
    copied.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    spec = spec_from_file_location("installed_packs", copied)
    assert spec is not None
    assert spec.loader is not None
    installed = module_from_spec(spec)
    spec.loader.exec_module(installed)
    assert installed.pack_names() == ("own",)
    assert installed.pack_file("own") == room / "rulepacks" / "own" / "flow.yaml"
    assert installed.pack_file("../own") is None


def test_the_wheel_puts_the_packs_beside_the_code() -> None:
    settings = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {"rules": "spanverdict/rulepacks"}


def test_a_rule_over_runs_looks_at_the_rule_of_its_own_file_under_the_prefix(pack: Path) -> None:
    over = "  - {id: budget, pass_rate: {of: errors, window: 1d}, expect: {ratio: '>= 90%'}}\n"
    pack.write_text(PACK + over, encoding="utf-8")
    include = "include: [{file: packs/web.yaml, as: edge, with: {serve: ingest}, rules: [errors, budget]}]\n"
    budget = loaded(pack.parents[1], include).rules[-1]
    assert isinstance(budget.check, PassRate)
    assert (budget.id, budget.check.target.rule) == ("edge.budget", "edge.errors")
    _, found = shop(pack.parents[1], include.replace("[errors, budget]", "[latency, budget]"))
    assert any("there is no rule `errors`" in said for said in found)


@pytest.mark.parametrize("version", ["version: 2", "version: one", ""])
def test_a_file_of_another_version_is_not_included(pack: Path, version: str) -> None:
    pack.write_text(PACK.replace("version: 1", version), encoding="utf-8")
    flow, found = shop(pack.parents[1], "include: [{file: packs/web.yaml, with: {serve: ingest}, rules: [errors]}]\n")
    assert flow is None
    assert any("version" in each and "included by" in each for each in found), found
