"""`golden record`, `golden diff` and `golden accept`: golden files from runs, and beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.flows import load_flows
from spanverdict.app.goldenaccept import acceptances
from spanverdict.app.goldendiff import (
    Difference,
    Entry,
    GoldenRule,
    Kind,
    difference_of,
    golden_rules,
    views,
)
from spanverdict.app.goldenrecord import Recording, recordings
from spanverdict.app.goldentext import write_whole
from spanverdict.app.printing import print_text
from spanverdict.app.sources import RunSpans, Source
from spanverdict.reporting.escaping import shown, strict_json
from spanverdict.reporting.quantities import counted
from spanverdict.rulefiles.beside import unread
from spanverdict.rulefiles.models import Flow

SCHEMA_VERSION: Final = 1
_CI: Final = (
    "CI",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "BUILDKITE",
    "CIRCLECI",
    "TF_BUILD",
    "JENKINS_URL",
    "TEAMCITY_VERSION",
)
"""What build servers set."""
_OFF: Final = frozenset({"", "0", "false", "no", "off"})
_KEY: Final = 80
_TEXT: Final = 400
_UNCHANGED: Final = "nothing was written"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a command was asked for."""

    rules: Sequence[str]
    """Rule files or directories."""
    source: Source
    names: Collection[str] = ()
    """Rules, as `RULE` or `FLOW/RULE`; all without any."""
    keys: Collection[str] = ()
    """Requests; all without any."""


def refuse_in_ci(environ: Mapping[str, str]) -> None:
    """Refuse to write where nobody reviews it.

    Raises:
        CommandError: this is a build server.
    """
    found = next((name for name in _CI if environ.get(name, "").strip().lower() not in _OFF), None)
    if found is not None:
        raise CommandError(
            f"golden files are never written in CI ({found} is set): a build that writes what it is judged by "
            "always passes; run this where the change is reviewed"
        )


def record(chosen: Chosen, environ: Mapping[str, str], *, replace: bool) -> ExitCode:
    """Write the golden files of rules from a run; `replace` those that are there.

    Raises:
        CommandError: in CI; a file is there already; or a rule file or the spans cannot be read.
    """
    refuse_in_ci(environ)
    rules = golden_rules(load_flows(chosen.rules, read=unread), chosen.names)
    made = recordings(rules, views(rules, _spans(chosen.source, rules)))
    texts = [(one, one.lines()) for one in made]
    for one, lines in texts:
        if not lines:
            left = _left_out(one)
            raise CommandError(f"nothing to record to {one.path}{left}; {_UNCHANGED}", ExitCode.NO_VERDICT)
        if one.path.exists() and not replace:
            hint = "`golden diff` shows what differs, `golden accept` takes it over, --replace writes it anew"
            raise CommandError(f"{one.path} is there already; {hint}; {_UNCHANGED}")
    for one, lines in texts:
        text = "".join(f"{line}\n" for line in lines)
        write_whole(one.path, text)
        print_text(
            f"{shown(str(one.path))}: {counted(len(lines), 'records')} written, {_digest(text)}{_left_out(one)}\n"
        )
    return ExitCode.PASSED


def _spans(source: Source, rules: Sequence[GoldenRule]) -> RunSpans:
    spans = source.of_run([rule.flow for rule in {rule.flow.name: rule for rule in rules}.values()])
    if not len(spans.table):
        raise CommandError(f"run {shown(spans.run.id)} has no spans", ExitCode.NO_VERDICT)
    return spans


def _left_out(recording: Recording) -> str:
    parts = [f"{counted(count, 'requests')} {reason}" for reason, count in sorted(recording.left_out.items())]
    return f"; left out: {', '.join(parts)}" if parts else ""


def _digest(text: str) -> str:
    return f"sha256 {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def diff(chosen: Chosen, *, as_json: bool, limit: int) -> ExitCode:
    """Print how the answers of a run differ from golden files, at most `limit` lines a file, 0 for all.

    Raises:
        CommandError: a rule file, a golden file or the spans cannot be read.
    """
    found = _differences(load_flows(chosen.rules), chosen)
    if as_json:
        print_text(f"{strict_json({'schema_version': SCHEMA_VERSION, 'rules': list(map(_object, found))}, indent=2)}\n")
    else:
        print_text("\n".join("".join(f"{line}\n" for line in _lines(one, limit)) for one in found))
    return ExitCode.FAILED if any(one.matters for one in found) else ExitCode.PASSED


def _differences(flows: Sequence[Flow], chosen: Chosen) -> list[Difference]:
    rules = golden_rules(flows, chosen.names)
    by_flow = views(rules, _spans(chosen.source, rules))
    found = [difference_of(rule, by_flow[rule.flow.name], chosen.keys) for rule in rules]
    known = {key for one in found for key in (*one.rule.golden.file.records, *(e.key for e in one.entries))}
    for key in chosen.keys:
        if key not in known:
            raise CommandError(f"neither the golden files nor the run know a request {shown(key)}")
    return found


def _object(found: Difference) -> dict[str, object]:
    file = found.rule.golden.file
    about = {"flow": found.rule.flow.name, "rule": found.rule.rule.id, "file": file.path, "sha256": file.sha256}
    entries = [entry.as_json() for entry in found.entries]
    return {**about, "records": len(file.records), "same": found.same, "differences": entries}


def _lines(found: Difference, limit: int) -> list[str]:
    file = found.rule.golden.file
    size = counted(len(file.records), "records")
    lines = [f"{found.rule.rule.id}   {shown(file.path)} ({size}, sha256 {file.sha256[:12]})"]
    some = found.entries[: limit or None]
    width = max((len(shown(entry.key, _KEY)) for entry in some), default=0)
    lines += [_line(entry, width) for entry in some]
    if len(some) < len(found.entries):
        lines.append(f"  {len(found.entries) - len(some):,} more are not shown; --limit 0 shows all")
    counts = [f"{len(found.of(kind)):,} {_WORDS[kind]}" for kind in Kind if found.of(kind)]
    return [*lines, f"  {', '.join([*counts, f'{found.same:,} the same'])}"]


_WORDS: Final = {
    Kind.DIFFERS: "different",
    Kind.MISSING: "missing",
    Kind.SILENT: "without a value",
    Kind.EXTRA: "extra",
}


def _line(entry: Entry, width: int) -> str:
    trace = f"   trace {entry.trace_id}" if entry.trace_id else ""
    return f"  {entry.kind:<8}  {shown(entry.key, _KEY):<{width}}  {shown(entry.said, _TEXT)}{trace}"


def accept(chosen: Chosen, environ: Mapping[str, str], *, add: bool, remove: bool) -> ExitCode:
    """Take over answers that differ; `add` requests that are not in the files, `remove` records without a request.

    Exit code 1 says that some could not be taken over.

    Raises:
        CommandError: in CI; or a rule file, a golden file or the spans cannot be read.
    """
    refuse_in_ci(environ)
    flows = load_flows(chosen.rules)
    done = acceptances(_differences(flows, chosen), golden_rules(flows), add=add, remove=remove)
    for one in done:
        if one.touched:
            write_whole(one.path, one.text())
    print_text("".join(f"{line}\n" for one in done for line in one.summary()))
    return ExitCode.FAILED if any(one.left for one in done) else ExitCode.PASSED
