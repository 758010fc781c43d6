"""The fraud model: a logistic regression whose coefficients are a checked-in file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MODELS = Path(__file__).parent / "models"
FRAUD_FROM = 0.5
"""A score from here on is called fraud."""


@dataclass(frozen=True, slots=True)
class Term:
    """One input of the model: standardised by `centre` and `spread`, then weighted."""

    feature: str
    centre: float
    spread: float
    weight: float


@dataclass(frozen=True, slots=True)
class Model:
    """One released version of the model."""

    name: str
    version: str
    intercept: float
    terms: tuple[Term, ...]
    full_scale: float
    """The score of a certain fraud: 1 for a probability."""

    def score(self, features: Mapping[str, float]) -> float:
        """Return how likely a payment with these features is fraud, on the model's scale."""
        log_odds = self.intercept + sum(
            term.weight * (features[term.feature] - term.centre) / term.spread for term in self.terms
        )
        return self.full_scale / (1 + math.exp(-log_odds))


def load(version: str) -> Model:
    """Return the model released as `version`."""
    released = json.loads((MODELS / f"card-fraud-{version}.json").read_text(encoding="utf-8"))
    terms = tuple(Term(**term) for term in released.pop("terms"))
    return Model(terms=terms, **released)


def label(score: float) -> str:
    """Return what a score is called.

    >>> label(0.97), label(0.02)
    ('fraud', 'legitimate')
    """
    return "fraud" if score >= FRAUD_FROM else "legitimate"
