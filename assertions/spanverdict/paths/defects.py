"""Broken data, by name: what is wrong with the spans of a run and how often."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Defect:
    """One kind of broken data in the run, counted."""

    name: str
    """`missing_parent`, `conflicting_span`, `parent_cycle`, `unfinished_span` …"""
    count: int
    detail: str
    """One example for people, the same whatever order the spans came in."""
