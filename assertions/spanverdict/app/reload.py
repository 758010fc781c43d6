"""SIGHUP: what the configuration says now takes the place of what it said, all of it or nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from spanverdict.app.apidoors import ApiDoors, api_tls
from spanverdict.app.baselinechoice import BaselineChoice, parse_choice
from spanverdict.app.errors import CommandError
from spanverdict.app.keeping import keeping_of
from spanverdict.app.service import Changes, Service
from spanverdict.config.masking import read_masking
from spanverdict.config.settings import ConfigError, Settings
from spanverdict.config.tokens import read_tokens
from spanverdict.config.webhooks import read_webhooks
from spanverdict.diagnostics.render import render_all
from spanverdict.receiver.errors import BadConfiguration
from spanverdict.receiver.tls import TlsFiles, TlsIdentity
from spanverdict.rulefiles.beside import read_beside
from spanverdict.rulefiles.loader import load_files
from spanverdict.rulefiles.models import Flow

FIXED: Final = (
    "otlp_grpc",
    "otlp_http",
    "http",
    "store",
    "allow_public",
    "log_format",
    "max_message",
    "in_flight",
    "window",
    "max_attributes",
    "max_attribute_value",
)
"""Settings that only a restart changes."""
SWITCHES: Final = ("token_file", "api_token_file", "tls_certificate", "tls_client_ca", "api_client_ca")
"""Settings whose files are read anew, but which only a restart turns on or off."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _News:
    """Everything of a configuration that a running service can take over, read and found right."""

    changes: Changes
    api_tokens: tuple[str, ...]
    identity: TlsIdentity | None
    api_identity: TlsIdentity | None


class Reloader:
    """Takes over the configuration of a service anew. Use it from one thread."""

    def __init__(
        self,
        service: Service,
        doors: ApiDoors,
        settings: Settings,
        read: Callable[[], Settings],
        environ: Mapping[str, str],
    ) -> None:
        self._service = service
        self._doors = doors
        self._settings = settings
        self._read = read
        self._environ = environ

    def reload(self) -> bool:
        """Read all files again and take over what they say; where anything is wrong, say it and leave all as it is."""
        try:
            settings = self._read()
            for name in _needs_restart(self._settings, settings):
                _log.warning("%s has changed; that takes a restart", name)
            news = self._news(_as_far_as_possible(self._settings, settings))
        except (CommandError, ConfigError, BadConfiguration) as error:
            for line in filter(str.strip, str(error).splitlines()):
                _log.error("the configuration stays as it was: %s", line)
            self._service.reloads.failed()
            return False
        self._take_over(news)
        self._service.reloads.succeeded(time.time())
        _log.warning("the configuration was read again and is followed from now on")
        return True

    def _news(self, settings: Settings) -> _News:
        receiver_files = _tls_of(settings)
        api_files = api_tls(settings)
        changes = Changes(
            flows=read_flows(settings.rules),
            baseline=_baseline(settings),
            webhooks=read_webhooks(settings.webhooks, self._environ, settings.webhook_hosts),
            external_url=settings.external_url.rstrip("/"),
            masking=read_masking(settings.masking, self._environ),
            keeping=keeping_of(settings.retention),
            tokens=read_tokens(settings.token_file),
            client_bytes_per_s=settings.client_bytes_per_s,
        )
        return _News(
            changes,
            read_tokens(settings.api_token_file),
            TlsIdentity.load(receiver_files) if receiver_files is not None else None,
            TlsIdentity.load(api_files) if api_files is not None else None,
        )

    def _take_over(self, news: _News) -> None:
        self._service.take_over(news.changes)
        if news.identity is not None:
            self._service.receiver.show(news.identity)
        self._doors.tokens.replace(news.api_tokens)
        if self._doors.identity is not None and news.api_identity is not None:
            self._doors.identity.adopt(news.api_identity)


def read_flows(paths: Sequence[str]) -> tuple[Flow, ...]:
    """Read rule files; raises `CommandError` with every mistake in them."""
    if not paths:
        return ()
    flows, problems = load_files(paths, read_beside)
    if problems.fatal:
        raise CommandError(render_all(problems.sorted()))
    if not flows:
        raise CommandError("no rule file was found")
    return flows


def _baseline(settings: Settings) -> BaselineChoice | None:
    return parse_choice(settings.baseline) if settings.baseline is not None else None


def _tls_of(settings: Settings) -> TlsFiles | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)


def _needs_restart(old: Settings, new: Settings) -> Iterator[str]:
    """Name what differs and cannot be taken over."""
    yield from (name for name in FIXED if getattr(old, name) != getattr(new, name))
    yield from (name for name in SWITCHES if _is_switched(old, new, name))


def _as_far_as_possible(old: Settings, new: Settings) -> Settings:
    """Return the new settings, but with the old ones where only a restart changes them."""
    kept = [*FIXED, *(name for name in SWITCHES if _is_switched(old, new, name))]
    if "tls_certificate" in kept:
        kept += ["tls_key", "tls_client_ca", "api_client_ca"]
    return replace(new, **{name: getattr(old, name) for name in kept})


def _is_switched(old: Settings, new: Settings, name: str) -> bool:
    return (getattr(old, name) is None) != (getattr(new, name) is None)
