"""Who may use the API, and what its listener shows of itself."""

from __future__ import annotations

from dataclasses import dataclass

from spanverdict.app.errors import CommandError
from spanverdict.config.settings import Settings
from spanverdict.config.tokens import read_tokens
from spanverdict.receiver.auth import BearerTokens
from spanverdict.receiver.errors import BadConfiguration
from spanverdict.receiver.tls import TlsFiles, TlsIdentity


@dataclass(frozen=True, slots=True, eq=False)
class ApiDoors:
    """Who may use the API, and what it shows of itself."""

    tokens: BearerTokens
    identity: TlsIdentity | None


def api_doors(settings: Settings) -> ApiDoors:
    """Return the API's part of the settings; raises `ConfigError` or `CommandError` for files that cannot be used."""
    tokens = BearerTokens(read_tokens(settings.api_token_file))
    files = api_tls(settings)
    try:
        return ApiDoors(tokens, TlsIdentity.load(files) if files is not None else None)
    except BadConfiguration as error:
        raise CommandError(str(error)) from None


def api_tls(settings: Settings) -> TlsFiles | None:
    """Return the TLS files of the API; raises `CommandError` where one is missing."""
    if settings.tls_certificate is None or settings.tls_key is None:
        if settings.api_client_ca is not None:
            raise CommandError("api_client_ca needs TLS: set tls_certificate and tls_key")
        return None
    return TlsFiles(settings.tls_certificate, settings.tls_key, settings.api_client_ca)
