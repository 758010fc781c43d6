"""Where a server is, and what opens its API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from spanverdict.app.errors import CommandError
from spanverdict.config.tokens import read_tokens

if TYPE_CHECKING:
    import ssl

    import httpx

TOKEN: Final = "SPANVERDICT_API_TOKEN"  # noqa: S105 - the variable's name


@dataclass(frozen=True, slots=True)
class ServerAccess:
    """A server's address, and how its client shows who it is."""

    url: str
    token: str | None = field(default=None, repr=False)
    certificate: Path | None = None
    """A client certificate with its key, PEM."""

    @classmethod
    def told(
        cls, url: str, token_file: Path | None, certificate: Path | None, environ: Mapping[str, str]
    ) -> ServerAccess:
        """Put it together from options; the first token of a file counts, else that of the environment.

        Raises:
            CommandError: it is no address of a server.
            ConfigError: there is no token in the file.
        """
        check_address(url)
        token = read_tokens(token_file)[0] if token_file is not None else environ.get(TOKEN, "").strip()
        return cls(url.rstrip("/"), token or None, certificate)

    def client(self, timeout: httpx.Timeout | float) -> httpx.Client:
        """Return a client of this server's API; authorities other than the usual come from `SSL_CERT_FILE`."""
        import httpx  # noqa: PLC0415 - only where a server is asked

        headers = {"Authorization": f"Bearer {self.token}"} if self.token is not None else {}
        return httpx.Client(timeout=timeout, headers=headers, verify=self._verifying())

    def _verifying(self) -> ssl.SSLContext | bool:
        if self.certificate is None:
            return True
        import httpx  # noqa: PLC0415 - as above

        context = httpx.create_ssl_context()
        try:
            context.load_cert_chain(self.certificate)
        except (OSError, ValueError) as error:
            raise CommandError(f"cannot use the client certificate {self.certificate}: {error}") from None
        return context


def check_address(server: str) -> None:
    """Raise `CommandError` for what is no address of a server."""
    try:
        parts = urlsplit(server)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right:
        raise CommandError(f"{server!r} is no address of a server; write it like http://127.0.0.1:8080")
