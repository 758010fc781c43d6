"""`explain SV060`: what a diagnostic means."""

from __future__ import annotations

from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.printing import print_text
from spanverdict.diagnostics.codes import CODES
from spanverdict.diagnostics.explanations import explain


def explain_code(code: str) -> ExitCode:
    """Print what a diagnostic code means.

    Raises:
        CommandError: there is no such code.
    """
    text = explain(code)
    if text is None:
        known = f"the codes go from {min(CODES)} to {max(CODES)}"
        raise CommandError(f"{code} is not the code of a diagnostic ({known}); for a rule give --rules PATH")
    print_text(text)
    return ExitCode.PASSED
