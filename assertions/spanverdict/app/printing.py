"""Writing a result to standard output, whatever is there to read it."""

from __future__ import annotations

import os
import sys

from spanverdict.reporting.escaping import fit_encoding


def print_text(text: str) -> None:
    """Write text as it is, in characters that the stream can take; nobody needs to read it to the end."""
    try:
        sys.stdout.write(fit_encoding(text, sys.stdout.encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
