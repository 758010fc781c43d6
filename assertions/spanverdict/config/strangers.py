"""Variables of the environment that are named as ours are and set nothing: mostly mistyped ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from spanverdict.config.settings import Settings
from spanverdict.config.sources import IN_FILES, PREFIX, variable_of, variables

_OTHERS: Final = frozenset(
    PREFIX + name
    for name in (
        *("CONFIG", "READY_FILE", "API_TOKEN", "CLIENT_CERTIFICATE"),
        *("RUN_ID", "ENDPOINT_GRPC", "ENDPOINT_HTTP"),  # `run` tells them to its command, which may be `serve`
    )
)
"""What commands read besides settings."""
_OF_KUBERNETES: Final = re.compile(
    rf"{PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=|"
    rf"{PREFIX}(\w+_)?PORT=(tcp|udp|sctp)://",
    re.ASCII,
)
"""What a cluster tells every container of a service whose name begins with ours."""


def strangers(environ: Mapping[str, str], named: Collection[str | None] = ()) -> Iterator[str]:
    """Yield a line for each variable that begins as ours do and is none, with what it may have been meant to be.

    `named` are those that settings name, as those of secrets.

    >>> list(strangers({"SPANVERDICT_RETENTION_AEG": "7d", "SPANVERDICT_HTTP": ":1", "HOME": "/"}))
    ['SPANVERDICT_RETENTION_AEG sets nothing; did you mean SPANVERDICT_RETENTION_AGE?']
    """
    known = {*variables().values(), *_OTHERS, *named}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known and not _OF_KUBERNETES.match(f"{name}={environ[name]}"):
            yield f"{name} sets nothing{_meant(name)}"


def _meant(name: str) -> str:
    if name in {variable_of(setting) for setting in IN_FILES}:
        return ": it needs a file (--config)"
    from difflib import get_close_matches  # noqa: PLC0415 - seldom needed

    known = sorted(one.removeprefix(PREFIX) for one in {*variables().values(), *_OTHERS})
    close = get_close_matches(name.removeprefix(PREFIX), known, 1)
    return f"; did you mean {PREFIX}{close[0]}?" if close else ""


def named_by(settings: Settings) -> frozenset[str | None]:
    """Return the variables that settings name: where secrets and keys are."""
    return frozenset({settings.masking.hash_key_env, *(hook.secret_env for hook in settings.webhooks)})
