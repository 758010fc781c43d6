"""Settings: a flag beats the environment, which beats the file, which beats the default."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.app.runcommand import environment
from spanverdict.config.fitting import Unfit, fitting
from spanverdict.config.masking import masking_of
from spanverdict.config.settings import ConfigError, Settings, WebhookSettings
from spanverdict.config.sources import read_settings, variables
from spanverdict.config.validation import Places, validated
from spanverdict.config.webhooks import read_webhooks
from spanverdict.receiver.addresses import Address
from spanverdict.receiver.listen import Endpoints

SECRET = "whsec_" + "QUJD" * 11


def written(folder: Path, text: str, name: str = "serve.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path | None, environ: dict[str, str] | None = None, flags: dict[str, object] | None = None) -> str:
    with pytest.raises(ConfigError) as error:
        read_settings(path, environ or {}, flags or {})
    return str(error.value)


def test_without_anything_the_defaults_hold_and_are_loopback() -> None:
    settings = read_settings(None, {}, {})
    assert settings == Settings()
    assert (settings.otlp_grpc, settings.otlp_http, settings.http) == (
        "127.0.0.1:4317",
        "127.0.0.1:4318",
        "127.0.0.1:8080",
    )
    assert not settings.allow_public


sources = st.fixed_dictionaries({}, optional={"file": st.just("1"), "environment": st.just("2"), "flag": st.just("3")})


@given(st.dictionaries(st.sampled_from(["http", "otlp_grpc", "store", "external_url"]), sources))
def test_the_nearest_word_counts(tmp_path_factory: pytest.TempPathFactory, said: dict[str, dict[str, str]]) -> None:
    folder = tmp_path_factory.mktemp("settings")
    lines = [f"{name}: 'from-{where['file']}'" for name, where in said.items() if "file" in where]
    path = written(folder, "\n".join(lines) or "{}")
    environ = {
        f"SPANVERDICT_{name.upper()}": f"from-{where['environment']}"
        for name, where in said.items()
        if "environment" in where
    }
    flags: dict[str, object] = dict.fromkeys(("http", "otlp_http"))
    flags |= {name: f"from-{where['flag']}" for name, where in said.items() if "flag" in where}
    settings = read_settings(path, environ, flags)
    for name, where in said.items():
        expected = f"from-{max(where.values())}" if where else getattr(Settings(), name)
        assert str(getattr(settings, name)) == str(expected)


def test_a_file_says_everything(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
otlp_grpc: null
http: 127.0.0.1:9090
rules: [rules/, more.yaml]
allow_public: true
store: /data/spans.sqlite
webhooks:
  - {name: ops, url: "https://x.example/hook", secret_env: SECRET, group_by: [alertname], send_resolved: false}
""",
    )
    settings = read_settings(path, {}, {})
    assert settings.otlp_grpc is None
    assert settings.rules == ("rules/", "more.yaml")
    assert settings.store == Path("/data/spans.sqlite")
    (hook,) = settings.webhooks
    assert (hook.name, hook.group_by, hook.send_resolved, hook.allow_private) == ("ops", ("alertname",), False, False)


def test_toml_is_read_where_projects_keep_their_settings(tmp_path: Path) -> None:
    path = written(tmp_path, '[tool.spanverdict]\nhttp = "127.0.0.1:9090"\n[tool.other]\nx = 1\n', "pyproject.toml")
    assert read_settings(path, {}, {}).http == "127.0.0.1:9090"


def test_the_environment_gives_lists_and_turns_listeners_off() -> None:
    rules = os.pathsep.join(["a.yaml", "", "my rules/"])
    settings = read_settings(None, {"SPANVERDICT_RULES": rules, "SPANVERDICT_OTLP_GRPC": ""}, {})
    assert (settings.rules, settings.otlp_grpc) == (("a.yaml", "my rules/"), None)
    settings = read_settings(None, {"SPANVERDICT_WEBHOOK_HOSTS": "a.example  *.b.example"}, {})
    assert settings.webhook_hosts == ("a.example", "*.b.example")
    assert read_settings(None, {"SPANVERDICT_WEBHOOK_HOSTS": ""}, {}).webhook_hosts == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("retention: {age: 5m}", "it has to be 10m at least"),
        ("retention: {age: soon}", "retention.age"),
        ("retention: {bytes: 10GB}", "'10GB' is no number of bytes; write one like 512MiB or 10GiB"),
        ("retention: {bytes: 1MiB}", "it has to be 16MiB at least"),
        ("retention: {bites: 1GiB}", "there is no setting retention.bites; did you mean `bytes`?"),
        ("client_rate_limit: 0B", "it has to be more than nothing"),
        ("client_rate_limit: fast", "'fast' is no number of bytes"),
        ("log_format: xml", "log_format"),
    ],
)
def test_limits_that_make_no_sense_are_refused_where_they_stand(tmp_path: Path, text: str, words: str) -> None:
    said = refused(written(tmp_path, text))
    assert "serve.yaml:1:" in said
    assert words in said


def test_what_run_tells_its_command_is_no_setting_of_a_server_that_this_starts() -> None:
    endpoints = Endpoints(Address("127.0.0.1", 1), Address("127.0.0.1", 2))
    assert read_settings(None, environment({}, endpoints, "r"), {}) == Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("htpp: x\n", ":1:1: there is no setting htpp; did you mean"),
        ("http: x\nstore: [a]\n", ":2:1: store: input is not a valid path"),
        ("allow_public: maybe\n", ":1:1: allow_public: "),
        ("rules: one.yaml\n", ":1:1: rules: "),
        ("rules: [1]\n", ": rules.0: "),
        ("- a\n", ":1:1: a configuration has to be a mapping"),
        ("http: x\nhttp: y\n", ":2:1"),
        ("a: [\n", ":1:"),
        ("webhooks:\n  - {name: a}\n", ":2:5: webhooks.0: give it `url` or `url_file`, one of them"),
        ("webhooks:\n  - {name: a, url: x, url_file: y}\n", "one of them"),
        ("webhooks:\n  - {name: a, url: x, secret_env: y, secret_file: z}\n", "not both"),
        ("webhooks:\n  - {name: a, url: x, secret: whsec_oops}\n", "there is no setting webhooks.0.secret"),
        ("webhooks:\n  - {url: x}\n", "webhooks.0.name: field required"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    message = refused(path)
    assert str(path) in message
    assert said in message
    assert "whsec_oops" not in message


def test_a_mistake_in_the_environment_or_a_flag_is_told_by_its_name(tmp_path: Path) -> None:
    path = written(tmp_path, "allow_public: true\n")
    assert refused(path, {"SPANVERDICT_ALLOW_PUBLIC": "maybe"}).startswith("SPANVERDICT_ALLOW_PUBLIC: ")
    assert refused(path, {}, {"allow_public": "maybe"}).startswith("--allow-public: ")


def test_several_mistakes_are_told_together(tmp_path: Path) -> None:
    assert len(refused(written(tmp_path, "a: 1\nb: 2\nrules: 3\n")).splitlines()) == 3


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "it is not UTF-8"),
    ],
    ids=["missing", "directory", "not text"],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, make: Any, why: str) -> None:
    path = tmp_path / "serve.yaml"
    make(path)
    assert refused(path) == f"cannot read the configuration {path}: {why}"


@pytest.mark.parametrize("text", ["x = \n", "tool = 5\n", "[tool]\nspanverdict = 5\n"])
def test_broken_toml_is_one_line(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text, "serve.toml")
    message = refused(path)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


def test_an_empty_file_is_told_and_an_empty_mapping_says_nothing(tmp_path: Path) -> None:
    assert "the file holds nothing" in refused(written(tmp_path, "# nothing yet\n"))
    assert read_settings(written(tmp_path, "{}\n"), {}, {}) == Settings()


def test_secrets_are_read_from_where_they_are_kept(tmp_path: Path) -> None:
    secret, address = tmp_path / "secret", tmp_path / "url"
    secret.write_text(f"{SECRET}\n{SECRET}\n", encoding="utf-8")
    address.write_text("https://x.example/token\n", encoding="utf-8")
    hooks = [
        WebhookSettings(name="a", url="https://x.example", secret_env="HOOK"),
        WebhookSettings(name="b", url_file=address, secret_file=secret),
        WebhookSettings(name="c", url="https://x.example"),
    ]
    found = read_webhooks(hooks, {"HOOK": SECRET})
    assert [len(one.secrets) for one in found] == [1, 2, 0]
    assert found[1].url == "https://x.example/token"
    assert "QUJD" not in repr(found)
    assert "token" not in repr(found)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "a", "url": "https://x", "secret_env": "NONE"}, "NONE is not set or empty"),
        ({"name": "a", "url": "https://x", "secret_env": "BAD"}, "the environment variable BAD: "),
        ({"name": "a", "url": "https://x", "secret_file": Path("/nowhere")}, "cannot read the secret file /nowhere"),
        ({"name": "a", "url_file": Path("/nowhere")}, "cannot read the secret file /nowhere"),
        ({"name": "a", "url": "x"}, "'a': its URL must begin with https:// or http://"),
        ({"name": "a", "url": "https://user:canary@x"}, "'a': its URL must not hold a user name or password"),
        ({"name": "", "url": "https://x"}, "needs a name"),
    ],
)
def test_a_receiver_that_cannot_work_is_one_line_without_its_secret(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_webhooks([WebhookSettings(**settings)], {"BAD": "whsec_canary!"})
    assert words in str(error.value)
    assert "canary" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_webhook_to_a_host_that_is_not_on_the_list_is_refused_at_the_start(tmp_path: Path) -> None:
    address = tmp_path / "url"
    address.write_text("https://chat.example/canary\n", encoding="utf-8")
    hooks = [WebhookSettings(name="a", url_file=address)]
    assert read_webhooks(hooks, {}, ["chat.example"])[0].hosts == ("chat.example",)
    with pytest.raises(ConfigError, match=r"'a': chat\.example is not among the hosts that webhooks may go to$"):
        read_webhooks(hooks, {}, ["*.chat.example"])


def test_two_receivers_of_one_name_are_refused() -> None:
    hooks = [WebhookSettings(name="a", url="https://x"), WebhookSettings(name="a", url="https://y")]
    with pytest.raises(ConfigError, match="two webhook receivers are named 'a'"):
        read_webhooks(hooks, {})


words = st.sampled_from(["", "a", "true", "False", "yes", "7d", "5m", "1GiB", "0B", "text", "json", "~/x"])
scalars = st.one_of(words, st.none(), st.booleans(), st.integers(0, 2), st.just(1.5), st.builds(Path, words))
texts = st.lists(st.one_of(words, words, words, scalars), max_size=2)
hooks = st.fixed_dictionaries(
    {"name": words}, optional={"url": words, "url_file": words, "group_by": texts, "allow_private": scalars, "x": words}
)
parts = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("http", "otlp_grpc", "store", "token_file", "allow_public", "log_format", "window"), scalars),
        "client_rate_limit": scalars,
        "rules": st.one_of(texts, texts.map(tuple), scalars),
        "webhooks": st.one_of(st.lists(hooks, max_size=2), scalars),
        "masking": st.one_of(
            scalars,
            st.fixed_dictionaries(
                {},
                optional={
                    "secrets": scalars,
                    "keep": st.one_of(texts, scalars),
                    "patterns": st.dictionaries(words, scalars, max_size=2),
                    "hash_key_env": scalars,
                    "hash_key_file": scalars,
                },
            ),
        ),
        "retention": st.one_of(scalars, st.dictionaries(st.sampled_from(["age", "bytes", "__doc__"]), scalars)),
        "__pydantic_config__": words,
    },
)


@given(parts)
def test_what_is_taken_as_it_is_means_the_same_to_the_validating_library(values: dict[str, Any]) -> None:
    try:
        found = fitting(Settings, values)
    except Unfit:
        return
    assert found == validated(values, Places({}, "file", None))


def test_settings_that_are_right_are_read_without_the_validating_library(tmp_path: Path) -> None:
    path = written(tmp_path, "http: 127.0.0.1:1\nretention: {age: 7d}\nmasking: {values: [email], secrets: true}\n")
    program = (
        "import sys; from pathlib import Path; from spanverdict.config.sources import read_settings;"
        "read_settings(Path(sys.argv[1]), {'SPANVERDICT_ALLOW_PUBLIC': 'true', 'SPANVERDICT_RULES': 'a:b'}, {});"
        "print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_masking_and_retention_can_be_said_by_the_environment_beside_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "masking: {values: [email], drop: [a]}\nretention: {age: 7d}\n")
    environ = {
        "SPANVERDICT_MASKING_SECRETS": "false",
        "SPANVERDICT_MASKING_DROP": "session.*  user.id",
        "SPANVERDICT_RETENTION_BYTES": "10GiB",
    }
    settings = read_settings(path, environ, {})
    assert (settings.masking.secrets, settings.masking.values) == (False, ("email",))
    assert settings.masking.drop == ("session.*", "user.id")
    assert (settings.retention.age, settings.retention.bytes) == ("7d", "10GiB")
    assert read_settings(path, {"SPANVERDICT_RETENTION_AGE": ""}, {}).retention.age is None
    assert masking_of(None, environ).secrets is False


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SPANVERDICT_RETENTION_AGE", "5m", "it has to be 10m at least"),
        ("SPANVERDICT_RETENTION_BYTES", "much", "'much' is no number of bytes"),
        ("SPANVERDICT_MASKING_SECRETS", "perhaps", "input should be a valid boolean"),
    ],
)
def test_a_mistake_in_a_part_of_the_settings_is_told_by_its_variable(variable: str, value: str, said: str) -> None:
    assert refused(None, {variable: value}).startswith(f"{variable}: {said}")


def test_every_setting_has_a_variable_but_those_that_are_no_text() -> None:
    names = set(variables().values())
    assert len(names) == len(variables())
    assert {"SPANVERDICT_RULES", "SPANVERDICT_MASKING_HASH_KEY_FILE", "SPANVERDICT_RETENTION_AGE"} <= names
    assert not {"SPANVERDICT_WEBHOOKS", "SPANVERDICT_MASKING_PATTERNS", "SPANVERDICT_MASKING"} & names
