"""A variable that looks like ours and sets nothing is told; no other is."""

from __future__ import annotations

import pytest

from spanverdict.config.settings import MaskingSettings, Settings, WebhookSettings
from spanverdict.config.sources import variables
from spanverdict.config.strangers import named_by, strangers


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SPANVERDICT_RETENTION_AEG", "; did you mean SPANVERDICT_RETENTION_AGE?"),
        ("SPANVERDICT_OTLP_GPRC", "; did you mean SPANVERDICT_OTLP_GRPC?"),
        ("SPANVERDICT_API_TOKENS", "; did you mean SPANVERDICT_API_TOKEN?"),
        ("SPANVERDICT_RULE", "; did you mean SPANVERDICT_RULES?"),
        ("SPANVERDICT_COLOUR", ""),
        ("SPANVERDICT_WEBHOOKS", ": it needs a file (--config)"),
        ("SPANVERDICT_MASKING_PATTERNS", ": it needs a file (--config)"),
        ("SPANVERDICT_HTTP_PORT", "; did you mean SPANVERDICT_HTTP?"),
    ],
)
def test_what_sets_nothing_is_told_with_what_it_may_have_been(name: str, said: str) -> None:
    assert list(strangers({name: "8080", "HOME": "/"})) == [f"{name} sets nothing{said}"]


def test_what_sets_something_is_no_stranger() -> None:
    ours = [*variables().values(), "SPANVERDICT_CONFIG", "SPANVERDICT_READY_FILE", "SPANVERDICT_API_TOKEN"]
    told_by_run = ["SPANVERDICT_RUN_ID", "SPANVERDICT_ENDPOINT_GRPC", "SPANVERDICT_ENDPOINT_HTTP"]
    assert not list(strangers(dict.fromkeys([*ours, *told_by_run, "PATH", "spanverdict_http"], "x")))


def test_what_a_cluster_tells_of_a_service_is_no_stranger() -> None:
    told = {
        "SPANVERDICT_SERVICE_HOST": "10.0.0.1",
        "SPANVERDICT_SERVICE_PORT": "4317",
        "SPANVERDICT_SERVICE_PORT_OTLP_GRPC": "4317",
        "SPANVERDICT_PORT": "tcp://10.0.0.1:4317",
        "SPANVERDICT_PORT_4317_TCP": "tcp://10.0.0.1:4317",
        "SPANVERDICT_PORT_4317_TCP_ADDR": "10.0.0.1",
        "SPANVERDICT_TEAM_A_PORT": "udp://10.0.0.1:53",
    }
    assert not list(strangers(told))


def test_variables_that_settings_name_are_no_strangers() -> None:
    settings = Settings(
        masking=MaskingSettings(hash_key_env="SPANVERDICT_KEY"),
        webhooks=(WebhookSettings(name="a", url="https://a.example", secret_env="SPANVERDICT_SECRET"),),
    )
    environ = {"SPANVERDICT_KEY": "k", "SPANVERDICT_SECRET": "s", "SPANVERDICT_KEYS": "k"}
    assert list(strangers(environ, named_by(settings))) == ["SPANVERDICT_KEYS sets nothing"]
