"""Every code a diagnostic may carry, each with its short title. `explanations` says more about each.

A code keeps its meaning for ever; one that is no longer used is not given away again.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

FILE_UNREADABLE: Final = "SV001"
NOT_UTF8: Final = "SV002"
FORBIDDEN_CHARACTER: Final = "SV003"
FILE_TOO_LARGE: Final = "SV004"
FILE_EMPTY: Final = "SV005"
NO_FILES: Final = "SV006"

YAML_SYNTAX: Final = "SV010"
TAB_INDENT: Final = "SV011"
DUPLICATE_KEY: Final = "SV012"
TAG: Final = "SV013"
MERGE_KEY: Final = "SV014"
ALIAS: Final = "SV015"
TOO_COMPLEX: Final = "SV016"
SEVERAL_DOCUMENTS: Final = "SV017"
KEY_NOT_TEXT: Final = "SV018"
DIRECTIVE: Final = "SV019"

WRONG_TYPE: Final = "SV020"
UNKNOWN_KEY: Final = "SV021"
MISSING_KEY: Final = "SV022"
NOT_A_CHOICE: Final = "SV023"
BAD_DURATION: Final = "SV024"
EMPTY: Final = "SV025"
OUT_OF_RANGE: Final = "SV026"
CONFLICTING_KEYS: Final = "SV027"

VERSION: Final = "SV030"
BAD_NAME: Final = "SV031"
NAME_TAKEN: Final = "SV032"
UNKNOWN_STAGE: Final = "SV033"
STAGE_ORDER: Final = "SV034"
STAGE_COUNT: Final = "SV035"
WAITING_TIMES: Final = "SV036"

MEASURE: Final = "SV040"
UNKNOWN_STATISTIC: Final = "SV041"
PERCENTILE_SCALE: Final = "SV042"
STATISTIC_MISMATCH: Final = "SV043"
CONDITION_SYNTAX: Final = "SV044"
UNIT_NEEDED: Final = "SV045"
SHARE_RANGE: Final = "SV046"
NOT_INTEGER: Final = "SV047"
BAD_REGEX: Final = "SV048"
RELATIVE_CONDITION: Final = "SV049"
CONDITION_MISMATCH: Final = "SV050"
CONTRADICTION: Final = "SV051"
ALWAYS_HOLDS: Final = "SV052"
ONLY_SAMPLES: Final = "SV053"
CONFIDENCE: Final = "SV054"
DRIFT: Final = "SV055"
UNKNOWN_RULE: Final = "SV056"
OVER_RUNS: Final = "SV057"

SELECTOR: Final = "SV060"
FIELD: Final = "SV061"
SELECTOR_MAPPING: Final = "SV062"

SPAN_NOTATION: Final = "SV080"
SPAN_LINK: Final = "SV081"
TEST_TRACES: Final = "SV082"
TEST_RULE: Final = "SV083"
TEST_GROUP: Final = "SV084"
TEST_VALUE: Final = "SV085"
TEST_EMPTY: Final = "SV086"

GOLDEN_FILE: Final = "SV090"
GOLDEN_LINE: Final = "SV091"
GOLDEN_KEY: Final = "SV092"
GOLDEN_USE: Final = "SV093"
TOLERANCE: Final = "SV094"

INCLUDE: Final = "SV100"
INCLUDE_RULE: Final = "SV101"
PARAMETER: Final = "SV102"
PARAMETER_VALUE: Final = "SV103"
PARAMETER_USE: Final = "SV104"

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        FILE_UNREADABLE: "file cannot be read",
        NOT_UTF8: "file is not UTF-8",
        FORBIDDEN_CHARACTER: "character that YAML does not allow",
        FILE_TOO_LARGE: "file is too large",
        FILE_EMPTY: "file holds nothing",
        NO_FILES: "no rule file found",
        YAML_SYNTAX: "not valid YAML",
        TAB_INDENT: "tab used for indentation",
        DUPLICATE_KEY: "key written twice",
        TAG: "tag that is not allowed",
        MERGE_KEY: "merge key",
        ALIAS: "alias that cannot be followed",
        TOO_COMPLEX: "too deep or too large when expanded",
        SEVERAL_DOCUMENTS: "several documents in one file",
        KEY_NOT_TEXT: "key is not plain text",
        DIRECTIVE: "YAML directive that is not allowed",
        WRONG_TYPE: "value of the wrong type",
        UNKNOWN_KEY: "unknown key",
        MISSING_KEY: "missing key",
        NOT_A_CHOICE: "not one of the possible values",
        BAD_DURATION: "not a duration",
        EMPTY: "empty where something is needed",
        OUT_OF_RANGE: "number out of range",
        CONFLICTING_KEYS: "keys that exclude each other",
        VERSION: "unknown version of the rule language",
        BAD_NAME: "name that cannot be used",
        NAME_TAKEN: "name used twice",
        UNKNOWN_STAGE: "unknown stage",
        STAGE_ORDER: "stages in the wrong order",
        STAGE_COUNT: "stage count that cannot be used",
        WAITING_TIMES: "waiting times that contradict each other",
        MEASURE: "not exactly one measure",
        UNKNOWN_STATISTIC: "unknown statistic",
        PERCENTILE_SCALE: "percentile on the wrong scale",
        STATISTIC_MISMATCH: "statistic that the measure does not have",
        CONDITION_SYNTAX: "condition that cannot be read",
        UNIT_NEEDED: "duration without a unit",
        SHARE_RANGE: "share outside 0 % to 100 %",
        NOT_INTEGER: "whole number needed",
        BAD_REGEX: "regular expression that cannot be used",
        RELATIVE_CONDITION: "condition relative to a baseline",
        CONDITION_MISMATCH: "condition that does not fit the measure",
        CONTRADICTION: "conditions that can never hold together",
        ALWAYS_HOLDS: "condition that always holds",
        ONLY_SAMPLES: "rule that only counts samples",
        CONFIDENCE: "confidence where it cannot be judged",
        DRIFT: "drift that cannot be measured so",
        UNKNOWN_RULE: "rule that is not in the flow",
        OVER_RUNS: "rule over runs that asks for requests",
        SELECTOR: "selector that cannot be read",
        FIELD: "field that cannot be read",
        SELECTOR_MAPPING: "selector mapping that cannot be read",
        SPAN_NOTATION: "span line that cannot be read",
        SPAN_LINK: "link to a span that is not there, or to several",
        TEST_TRACES: "traces of a test that cannot be used",
        TEST_RULE: "test of a rule that is not there",
        TEST_GROUP: "test of a group that a rule cannot have",
        TEST_VALUE: "value that a rule does not give",
        TEST_EMPTY: "test that expects nothing",
        GOLDEN_FILE: "golden file that cannot be used",
        GOLDEN_LINE: "line of a golden file that cannot be used",
        GOLDEN_KEY: "request that stands twice in a golden file",
        GOLDEN_USE: "golden file where it cannot be compared",
        TOLERANCE: "tolerance that cannot be read",
        INCLUDE: "file that cannot be included",
        INCLUDE_RULE: "rule that cannot be included",
        PARAMETER: "parameter that cannot be declared",
        PARAMETER_VALUE: "parameter without a value that fits",
        PARAMETER_USE: "parameter that is not declared",
    }
)
"""Code → title, in order of the codes."""
