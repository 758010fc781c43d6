"""A paragraph on every code, for whoever asks what a diagnostic means."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.examples import EXAMPLES

_PARAGRAPHS: Final = {
    codes.FILE_UNREADABLE: """
        The path was named on the command line or found in a directory, but its content could not be read: it does
        not exist, is not a file, or its permissions do not allow it. Nothing was judged by it, so a run that names
        it stops before any trace is read.""",
    codes.NOT_UTF8: """
        Rule files are UTF-8, and this one holds a byte that cannot be part of it. The place is that of the first
        such byte. Save the file as UTF-8; editors often call it "UTF-8 without BOM".""",
    codes.FORBIDDEN_CHARACTER: """
        YAML allows tabs, line ends and printable characters only. Control characters, lone surrogates, a byte order
        mark inside the text and the line ends that only Unicode knows (U+0085, U+2028, U+2029) are refused, because
        editors, terminals and parsers disagree about them. In double quotes they can be written as escapes.""",
    codes.FILE_TOO_LARGE: """
        A rule file may be 1 MiB. Nobody writes so much by hand, and the limit keeps a wrong or hostile file from
        taking the memory of a server that holds many. Split the flow, or look whether the right file was named.""",
    codes.FILE_EMPTY: """
        The file holds nothing but white space and comments. An empty file would judge nothing, and a run that is
        judged by nothing must not look as if it had passed.""",
    codes.NO_FILES: """
        The directory holds no file that ends in .yaml or .yml (rule tests, which end in _test.yaml, are not rules),
        or the pattern matches nothing. A run without rules would pass whatever happened, so this is an error.""",
    codes.YAML_SYNTAX: """
        The text is not YAML. The place is where the parser could not go on; the cause is often a little earlier: a
        quote that is not closed, a line that is indented too little or too much, or a value that has to be quoted.
        Comparisons that begin with > or !, and selectors in braces, always need quotes.""",
    codes.TAB_INDENT: """
        YAML is indented with spaces. Where a tab stands, parsers disagree about how deep the line is, so a key could
        end up in another mapping than the one it seems to be in.""",
    codes.DUPLICATE_KEY: """
        A mapping holds the same key twice. Most readers silently keep the last one, so that the other condition is
        never judged although everybody can read it in the file. Keep one, or write two rules.""",
    codes.TAG: """
        Tags (a word after an exclamation mark) ask a YAML reader to build something other than plain data. Only the
        core types are read here. A condition such as != 3 looks like a tag to YAML: put it in quotes.""",
    codes.MERGE_KEY: """
        The merge key << is not part of YAML 1.2, and readers disagree about which value wins. Write the keys out, or
        use an alias for a whole value.""",
    codes.ALIAS: """
        Aliases repeat a value that an anchor has named before. This one names nothing, or a value that it is itself
        part of, or there are more than 50 in the file, which is how small files are made to grow without limit.""",
    codes.TOO_COMPLEX: """
        Values are nested more than 32 deep, or the file holds more than 100,000 values once its aliases are written
        out. Rule files are far from both; files that are not are mistakes or attacks.""",
    codes.SEVERAL_DOCUMENTS: """
        A line of three dashes begins a second YAML document. One file describes one flow, so that a file's name, its
        hash and its verdict belong together. Put the second flow in a file of its own.""",
    codes.KEY_NOT_TEXT: """
        Every key is a plain text such as `latency`. This one is a list, a mapping or nothing at all. An unquoted
        selector in braces is read by YAML as a mapping; put selectors in quotes.""",
    codes.DIRECTIVE: """
        Lines that begin with a per cent sign tell a YAML reader which version and tags a file uses. Rule files are
        YAML 1.2 without tags, and %YAML 1.2 is the only directive they may have.""",
    codes.WRONG_TYPE: """
        The value is of another kind than the key needs: a list where a mapping belongs, a number where a text does.
        Remember that YAML reads 1, true and null without quotes as a number, a truth value and nothing.""",
    codes.UNKNOWN_KEY: """
        Nothing in the rule language has this name at this place. It is refused, not skipped: a misspelt `expect`
        would otherwise leave a rule that looks as if it judged something. As a warning it stands on names that are
        free to choose but look like a misspelt known one.""",
    codes.MISSING_KEY: """
        The mapping needs this key to mean anything. The place is where the mapping begins.""",
    codes.NOT_A_CHOICE: """
        The key takes one of a few words, and this is none of them. The hint lists them, or names the most similar.""",
    codes.BAD_DURATION: """
        Durations are numbers with units, as Go and Prometheus write them: 250ms, 1.5s, 1h30m, 10us. The units are ns,
        us, ms, s, m, h, d and w; a number without a unit is never taken for one, since seconds and milliseconds are
        too easily confused.""",
    codes.EMPTY: """
        A value is needed here and there is none: a key without a value, an empty text, an empty list. An empty list
        of rules or conditions would judge nothing and so could never fail.""",
    codes.OUT_OF_RANGE: """
        The number is smaller or larger than what makes sense here, such as less than one expected request or a time
        to wait of nothing.""",
    codes.CONFLICTING_KEYS: """
        The keys belong to different forms of the same thing, and only one form can be meant. Keep the keys of one.""",
    codes.VERSION: """
        Every rule file says which version of the language it is written in, so that a later version can change what
        something means without changing old verdicts. This program reads version 1.""",
    codes.BAD_NAME: """
        Names of flows, stages, rules and tags appear in addresses, file names, reports and command lines. They are
        letters, digits, - and _ (and dots, except in stages), at most 128, a letter or digit first. Use `title` for
        words meant for people.""",
    codes.NAME_TAKEN: """
        Two stages, rules or flows have the same name, so a result could not be traced to one of them. The hint says
        where the first one stands.""",
    codes.UNKNOWN_STAGE: """
        The flow has no stage of this name. A rule on a stage that does not exist would see nothing for ever. Stages
        are declared under `stages`; upper and lower case differ.""",
    codes.STAGE_ORDER: """
        Stages are listed in the order in which a request passes them, and here something ends before it starts.
        Mend the order of the list, or the stages that were named.""",
    codes.STAGE_COUNT: """
        `count` says how often a stage stands in one request: 1, "0..1", ">= 1". The default is one or more. A stage
        that must be absent cannot be where requests start or end.""",
    codes.WAITING_TIMES: """
        A run counts as complete when nothing has come for `idle`, and is cut off after `at_most`. An `idle` that is
        longer than `at_most` can never come to pass. Nor can a `structure` that is as long as `idle`, or one beside
        `requests`: a run of known size is judged when all of it is there.""",
    codes.MEASURE: """
        A rule is one measure, a population and an expectation. This rule has no measure, or more than one, and it
        would not be clear what the expectation is about. Write one rule for each measure.""",
    codes.UNKNOWN_STATISTIC: """
        The keys of `expect` are statistics: percentiles from p0.1 to p99.99, min, max, mean, sum, stddev, samples,
        ratio, count, rate, and the quantifiers every, any and none. This is none of them.""",
    codes.PERCENTILE_SCALE: """
        Percentiles are written in per cent: p95, not p0.95. A p0.95 taken at its word would be the fastest hundredth
        of all requests and pass almost always. They go from p0.1 to p99.99 in steps of 0.01; the ends are min and
        max.""",
    codes.STATISTIC_MISMATCH: """
        The measure's values do not have this statistic: truth values have a ratio and no percentiles, durations have
        percentiles and no ratio. The hint lists what can be asked.""",
    codes.CONDITION_SYNTAX: """
        A condition is a comparison (< <= > >= == !=) with a value, an inclusive range a..b, a list in [a, b], or
        matches /expression/. It always says how to compare: a bare number is refused, as it could mean "at least",
        "at most" or "exactly". Put conditions in quotes.""",
    codes.UNIT_NEEDED: """
        The measure is a duration, and the value it is compared with has no unit. 200 could be milliseconds, seconds
        or nanoseconds. Write 200ms.""",
    codes.SHARE_RANGE: """
        A share is a part of a whole: 0 % to 100 %, or 0 to 1. A ratio of ">= 99" would never hold, and ">= 99%" is
        meant.""",
    codes.NOT_INTEGER: """
        Samples, matches and repetitions are counted in whole numbers, so a fraction cannot be reached exactly and the
        condition would mean something other than it says.""",
    codes.BAD_REGEX: """
        Regular expressions are those of RE2: they take time in proportion to the text and have no look-around and no
        back references. They have to match the whole text. This one is not valid, too long, or too large when
        compiled.""",
    codes.RELATIVE_CONDITION: """
        A condition relative to a baseline says how far from it a statistic may lie: "<= +10% of baseline", "<= +5ms of
        baseline", ">= -1pp of baseline" for a share. The sign is needed, as 10% of baseline could be a tenth of it.
        Only statistics have a baseline: every, any and none look at single values.""",
    codes.CONDITION_MISMATCH: """
        The condition compares with a value of another kind than the statistic has: a per cent value with a duration,
        a text with an order, an expression with numbers.""",
    codes.CONTRADICTION: """
        No run can satisfy the conditions together, for example a minimum above the maximum, or a p50 above the p95.
        The rule would fail whatever happens. This is a warning; the rule is judged as it stands.""",
    codes.ALWAYS_HOLDS: """
        Every run satisfies the condition, for example a ratio of at least 0 %. It looks like a check and is none.
        This is a warning; the rule is judged as it stands.""",
    codes.ONLY_SAMPLES: """
        The rule asks how many values there are and nothing about the values. If that is meant, `count` says it more
        clearly. This is a warning; the rule is judged as it stands.""",
    codes.CONFIDENCE: """
        `confidence` asks for a verdict on an interval of confidence and not on the observed value. Only percentiles,
        mean and ratio have such an interval, and an interval can neither be a single value nor show that a share is
        100 % or 0 %. Such conditions are refused beside `confidence`: they could never pass, or would be judged
        without it.""",
    codes.DRIFT: """
        `drift` says how far the values of this run are from those of a baseline or a golden file, and has to say how
        that is measured: "ks <= 0.1", "psi <= 0.2" or "shift <= 0.1" for numbers, "tv <= 0.1" or "chi2 >= 0.01" for
        categories. Distances are small without drift and so have an upper limit; chi2 is how likely the difference is
        without drift, and so has a lower one.""",
    codes.UNKNOWN_RULE: """
        `pass_rate` and `burn_rate` look at what another rule of the same flow came to, in this run and in earlier ones.
        There is no rule of that name, or it is itself one that looks at other rules.""",
    codes.OVER_RUNS: """
        A rule over several runs looks at what became of whole runs, and these have no requests that `where` could
        choose or `per` could group. Put them on the rule that it looks at.""",
    codes.SELECTOR: """
        The selector is not TraceQL, compares what cannot be compared, or uses a part of TraceQL that is not evaluated
        here. A selector that cannot be read is never taken to select everything, or nothing.""",
    codes.FIELD: """
        A field names an attribute with its scope, such as span.order.id or resource.service.name, or an intrinsic
        such as span:name. Without a scope it would not be clear where to look.""",
    codes.SELECTOR_MAPPING: """
        The short form of a selector is a mapping such as {service: scorer, name: predict, kind: server}. This one has
        a key or a value that it does not know. A TraceQL selector has to be put in quotes.""",
    codes.SPAN_NOTATION: """
        In a rule test, each line of `spans` is a span: its service, its name, a kind if it has one, start..end, then
        attributes as key=value. Lines further in are its children, and a line that begins with * is an event. This
        line is none of that. A text that holds spaces stands in double quotes.""",
    codes.SPAN_LINK: """
        `link=` names one span that stands above: by its service, its name, or the label that it carries. No span or
        several are called so. A label is written behind the times of a span, as in @first, and linked to as
        link=@first.""",
    codes.TEST_TRACES: """
        A rule test judges either files of traces or spans that it writes down. There are none of either, or both, or
        a file that is not there or is not OTLP. Paths are relative to the file of the test.""",
    codes.TEST_RULE: """
        The test expects something of a rule that its flow does not have, so it would expect it for ever without
        anybody looking. The rule may have been renamed.""",
    codes.TEST_GROUP: """
        Only a rule with `per` has groups, and rule[group] expects something of one of them. What is expected of the
        rule as a whole, that is of the worst of its groups, is written without brackets.""",
    codes.TEST_VALUE: """
        Beside its outcome, a test may expect values of the statistics that the rule's own `expect` asks for, and
        `samples`. Quantifiers (every, any, none) have no value. The rule asks for nothing of that name, or the value
        is of another kind.""",
    codes.TEST_EMPTY: """
        A test has to expect something: an outcome of a rule, of the others, or of the flow as a whole. One that
        expects nothing could never fail.""",
    codes.GOLDEN_FILE: """
        The golden file of a rule is not there, cannot be read, holds nothing, or is not in the folder of the rule file
        or below it. Without it nothing can be compared, and a comparison with nothing would always pass. The command
        `spanverdict golden record` writes the file from a run.""",
    codes.GOLDEN_LINE: """
        A golden file has one JSON object a line: {"key": "…", "value": …}, or {"key": "…", "values": {…}} for rules
        that compare several values by name. NaN and infinite numbers are not JSON, and nothing could be equal to them.
        One line that cannot be used refuses the whole file, so that no run is held against half of what was meant.""",
    codes.GOLDEN_KEY: """
        Two lines of a golden file are about the same request. It would not be clear which of them is right.""",
    codes.GOLDEN_USE: """
        A golden file says what each request should have answered. So it goes with the measure `output`, in a flow
        whose `request` has a `key` that names requests the same way in every run; trace ids are new in each. Tolerances
        by name go with an output whose values have names.""",
    codes.TOLERANCE: """
        A tolerance is how far a number may be from the golden one, 0.01, or a part of the golden number, 1%. How alike
        texts have to be is written as a condition: similarity: ">= 0.9".""",
    codes.INCLUDE: """
        `include` names a pack that comes with Spanverdict, or a file by its path from the file that includes it. This
        one is not there, holds no rules, or includes others itself, which is not followed.""",
    codes.INCLUDE_RULE: """
        `rules` lists the rules of a pack that are included, and `without` those that are not. One of them names a
        rule that the pack does not have, or nothing is left.""",
    codes.PARAMETER: """
        A rule file declares its parameters under `parameters`, each with a type and, if it has one, a default. Names
        are made of a-z, 0-9 and _.""",
    codes.PARAMETER_VALUE: """
        The rules use a parameter, and its value is missing or not of the type that it was declared with. A parameter
        of type stage names a stage of the flow that includes the rules. The hint says where it was declared.""",
    codes.PARAMETER_USE: """
        `${name}` stands for the value of a parameter, and none of that name is declared in the file. A `${` that is
        meant as text is written `$${`.""",
}

EXPLANATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {code: " ".join(paragraph.split()) for code, paragraph in _PARAGRAPHS.items()}
)
"""Code → one paragraph."""


def explain(code: str) -> str | None:
    """Return the title, the explanation and an example of a code; None for an unknown one."""
    known = code.strip().upper()
    if known not in EXPLANATIONS:
        return None
    return f"{known}: {codes.CODES[known]}\n\n{EXPLANATIONS[known]}\n\n{EXAMPLES[known]}\n"
