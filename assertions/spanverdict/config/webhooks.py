"""From webhook settings to receivers of alerts, their secrets read from where they are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spanverdict.alerting.config import (
    DEFAULT_GROUP_BY,
    AlertingConfigError,
    ReceiverSettings,
    receivers,
    secrets_from_environment,
    secrets_from_file,
    text_from_file,
)
from spanverdict.config.settings import ConfigError, WebhookSettings


def read_webhooks(
    settings: Sequence[WebhookSettings], environ: Mapping[str, str], hosts: Sequence[str] = ()
) -> tuple[ReceiverSettings, ...]:
    """Return the receivers that settings describe, and may send only to `hosts` unless that is empty.

    Raises:
        ConfigError: an address or a secret is missing or malformed; it names the receiver, never the secret.
    """
    try:
        return receivers([_receiver(one, environ, tuple(hosts)) for one in settings])
    except AlertingConfigError as error:
        raise ConfigError(str(error)) from None


def _receiver(settings: WebhookSettings, environ: Mapping[str, str], hosts: tuple[str, ...]) -> ReceiverSettings:
    url = settings.url if settings.url_file is None else text_from_file(settings.url_file)
    if settings.secret_env is not None:
        secrets = secrets_from_environment(settings.secret_env, environ)
    else:
        secrets = secrets_from_file(settings.secret_file) if settings.secret_file is not None else ()
    return ReceiverSettings(
        name=settings.name,
        url=url or "",
        secrets=secrets,
        allow_private=settings.allow_private,
        hosts=hosts,
        group_by=settings.group_by if settings.group_by is not None else DEFAULT_GROUP_BY,
        send_resolved=settings.send_resolved,
    )
