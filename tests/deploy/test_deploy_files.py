"""The image, the composition and the Collector's configuration fit together, as far as reading them can tell."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo_runs import DEMO, ROOT
from spanverdict.cli.program import COMMANDS

DEPLOY = ROOT / "deploy"
YAML_FILES = sorted(DEPLOY.rglob("*.yaml"))


def loaded(name: str) -> dict[str, Any]:
    document = yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


@dataclass
class Stage:
    """One FROM … of a Dockerfile with its instructions, continuation lines joined."""

    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        return [rest for instruction, rest in self.instructions if instruction == word]


def instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word, rest.strip()


def stages() -> dict[str, Stage]:
    found: dict[str, Stage] = {}
    for word, rest in instructions((DEPLOY / "Dockerfile").read_text(encoding="utf-8")):
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = Stage(name, base)
        else:
            list(found.values())[-1].instructions.append((word, rest))
    return found


RUNTIME = ("spanverdict", "demo")


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_yaml_file_parses(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


class TestDockerfile:
    def test_instructions_are_ones_that_docker_knows(self) -> None:
        known = {"ENV", "WORKDIR", "RUN", "COPY", "LABEL", "USER", "ENTRYPOINT", "ARG", "VOLUME", "EXPOSE", "HEALTHCHECK", "CMD"}  # fmt: skip
        assert {word for stage in stages().values() for word, _ in stage.instructions} <= known

    def test_every_stage_stands_on_a_pinned_image_or_an_earlier_stage(self) -> None:
        earlier: set[str] = set()
        for stage in stages().values():
            assert stage.base in earlier or re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*", stage.base)
            earlier.add(stage.name)

    def test_spanverdict_is_what_a_plain_build_makes(self) -> None:
        assert list(stages())[-1] == "spanverdict"

    @pytest.mark.parametrize("name", RUNTIME)
    def test_what_runs_is_not_root_and_says_what_it_is(self, name: str) -> None:
        stage = stages()[name]
        assert stage.all("USER") == ["65532:65532"]
        assert "org.opencontainers.image.licenses" in " ".join(stage.all("LABEL"))

    @pytest.mark.parametrize("name", RUNTIME)
    def test_what_runs_gets_a_finished_environment_and_builds_nothing(self, name: str) -> None:
        stage = stages()[name]
        assert any(copy.startswith("--from=") and copy.endswith("/venv /venv") for copy in stage.all("COPY"))
        assert not [command for command in stage.all("RUN") if "pip" in command]

    def test_everything_copied_exists(self) -> None:
        for stage in stages().values():
            for copy in stage.all("COPY"):
                first, *rest = shlex.split(copy)
                if first.startswith("--from="):
                    assert first.removeprefix("--from=") in stages()
                    continue
                for source in [first, *rest][:-1]:
                    assert (ROOT / source).exists(), source
                    assert sent_to_the_builder(source), f"{source} is ignored by Dockerfile.dockerignore"

    def test_the_build_gets_every_folder_that_the_package_is_made_of(self) -> None:
        copied = {part.strip("/") for copy in stages()["build"].all("COPY") for part in copy.split()[:-1]}
        assert {"pyproject.toml", "README.md", "LICENSE", "collector", "assertions", "rules"} <= copied

    @pytest.mark.parametrize(("extras", "compiles"), [("fast", False), ("fast,compiled", True), ("compiled", True)])
    def test_machine_code_is_made_by_the_build_where_it_is_asked_for(
        self, extras: str, compiles: bool, tmp_path: Path
    ) -> None:
        said, python = tmp_path / "said", tmp_path / "python"
        python.write_text(f'#!/bin/sh\necho "$@" >> {said}\n', encoding="utf-8")
        python.chmod(0o755)
        stage = stages()["build"]
        assert stage.all("ARG") == ["EXTRAS=fast"], "what most need"
        install, compile_ = (run for run in stage.all("RUN") if "EXTRAS" in run)
        assert install == 'pip install --no-cache-dir ".[${EXTRAS}]"'
        subprocess.run(["/bin/sh", "-ec", compile_], env={"PATH": str(tmp_path), "EXTRAS": extras}, check=True)
        assert said.exists() == compiles
        assert not compiles or said.read_text(encoding="utf-8") == "-m spanverdict.app.compiling\n"
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert set(extras.split(",")) <= set(project["optional-dependencies"])

    def test_what_is_made_anew_is_kept_in_the_volume(self) -> None:
        stage = stages()["spanverdict"]
        assert f"XDG_CACHE_HOME={stage.all('VOLUME')[0]}/cache" in stage.all("ENV")

    def test_ports_volume_and_health_check_are_those_of_the_command(self) -> None:
        stage = stages()["spanverdict"]
        command = json.loads(stage.all("CMD")[0])
        ports = {word.rpartition(":")[2] for word in command if word.startswith("0.0.0.0:")}
        assert set(" ".join(stage.all("EXPOSE")).split()) == ports == {"4317", "4318", "8080"}
        assert json.loads(stage.all("ENTRYPOINT")[0]) == ["spanverdict"]
        assert command[:2] == ["serve", "--allow-public"]
        (volume,) = stage.all("VOLUME")
        assert command[-1].startswith(f"{volume}/")
        assert any(f"-o 65532 -g 65532 {volume}" in run for run in stage.all("RUN")), "the volume is its user's"
        (health,) = stage.all("HEALTHCHECK")
        name, command = json.loads(health.partition("CMD ")[2])
        assert (name, command) == ("spanverdict", "healthcheck")
        assert command in COMMANDS
        assert f"SPANVERDICT_READY_FILE={volume}/listening" in stage.all("ENV"), "both know where the server listens"


def sent_to_the_builder(source: str) -> bool:
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").split("\n")
    kept = [line.removeprefix("!") for line in lines if line.startswith("!")]
    return any(fnmatch(source.strip("/"), pattern) for pattern in kept)


class TestCompose:
    def test_what_is_built_names_a_stage(self) -> None:
        for service in loaded("compose.yaml")["services"].values():
            if build := service.get("build"):
                assert build["target"] in stages()
                assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"

    def test_every_image_is_built_here_or_pinned(self) -> None:
        services = loaded("compose.yaml")["services"]
        built = {service["image"] for service in services.values() if "build" in service}
        for service in services.values():
            assert service["image"] in built or re.search(r":\d+\.\d+\.\d+$", service["image"])

    def test_everything_mounted_exists_and_every_volume_is_declared(self) -> None:
        composition = loaded("compose.yaml")
        for service in composition["services"].values():
            for mount in service.get("volumes", []):
                source, target = mount.split(":")[:2]
                assert target.startswith("/")
                assert source in composition["volumes"] or (DEPLOY / source).is_file(), source

    def test_every_rule_file_that_is_named_is_mounted(self) -> None:
        for service in loaded("compose.yaml")["services"].values():
            targets = {mount.split(":")[1] for mount in service.get("volumes", [])}
            for word in service.get("command", []):
                if word.endswith(".yaml"):
                    assert word.rpartition("=")[2] in targets

    def test_services_wait_for_services_that_can_say_what_is_waited_for(self) -> None:
        services = loaded("compose.yaml")["services"]
        for service in services.values():
            for other, wait in service.get("depends_on", {}).items():
                assert other in services
                if wait["condition"] == "service_healthy":
                    assert stages()[services[other]["build"]["target"]].all("HEALTHCHECK")
                if wait["condition"] == "service_completed_successfully":
                    assert "restart" not in services[other]

    def test_every_address_is_a_service_with_that_port_open(self) -> None:
        services = loaded("compose.yaml")["services"]
        listening = {
            "spanverdict": {word.rpartition(":")[2] for word in services["spanverdict"]["command"] if "0.0.0.0:" in word},
            "otel-collector": {
                protocol["endpoint"].rpartition(":")[2]
                for protocol in loaded("otel-collector.yaml")["receivers"]["otlp"]["protocols"].values()
            },
        }  # fmt: skip
        text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
        addresses = re.findall(r"http://([a-z-]+):(\d+)", text)
        assert addresses
        for host, port in addresses:
            assert port in listening[host], f"{host}:{port}"

    def test_only_loopback_of_the_host_is_opened(self) -> None:
        for service in loaded("compose.yaml")["services"].values():
            assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))

    def test_our_own_containers_hold_no_rights_that_they_do_not_need(self) -> None:
        for name in ("spanverdict", "demo", "verdict"):
            service = loaded("compose.yaml")["services"][name]
            assert service["read_only"] is True
            assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])

    def test_the_run_that_is_made_is_the_run_that_is_asked_for(self) -> None:
        services = loaded("compose.yaml")["services"]
        run_id = "${RUN_ID:-compose-1}"
        assert f"test.suite.run.id={run_id}," in services["demo"]["environment"]["OTEL_RESOURCE_ATTRIBUTES"]
        assert f"--run={run_id}" in services["verdict"]["command"]


class TestCollector:
    KINDS = ("receivers", "processors", "exporters")

    @pytest.mark.parametrize("kind", KINDS)
    def test_what_is_defined_is_what_is_used(self, kind: str) -> None:
        config = loaded("otel-collector.yaml")
        used = {name for pipeline in config["service"]["pipelines"].values() for name in pipeline[kind]}
        assert used == set(config[kind])

    def test_spanverdict_gets_everything_unsampled(self) -> None:
        """Its pipeline begins at the receiver and holds nothing that drops or splits traces."""
        pipelines = loaded("otel-collector.yaml")["service"]["pipelines"]
        (ours,) = [pipeline for pipeline in pipelines.values() if "otlp_grpc/spanverdict" in pipeline["exporters"]]
        assert ours == {
            "receivers": ["otlp"],
            "processors": ["memory_limiter", "batch/test"],
            "exporters": ["otlp_grpc/spanverdict"],
        }

    def test_processors_stand_in_the_recommended_order(self) -> None:
        for pipeline in loaded("otel-collector.yaml")["service"]["pipelines"].values():
            assert pipeline["processors"][0] == "memory_limiter"
            assert pipeline["processors"][-1].startswith("batch")

    def test_exporters_have_the_names_of_current_collectors(self) -> None:
        kinds = {name.partition("/")[0] for name in loaded("otel-collector.yaml")["exporters"]}
        assert kinds <= {"otlp_grpc", "otlp_http", "debug"}

    def test_it_exports_to_the_service_of_the_composition(self) -> None:
        endpoint = loaded("otel-collector.yaml")["exporters"]["otlp_grpc/spanverdict"]["endpoint"]
        assert endpoint.endswith(":-spanverdict:4317}")
        assert "spanverdict" in loaded("compose.yaml")["services"]


class TestServe:
    def test_no_secret_stands_in_the_file(self) -> None:
        for webhook in loaded("serve.yaml")["webhooks"]:
            assert {"url", "url_file"} & set(webhook)
            assert {"secret_file", "secret_env"} & set(webhook)
            assert "secret" not in webhook


class TestDemoRules:
    def test_the_readme_names_the_rules_that_exist_and_every_fault(self) -> None:
        rules = {rule["id"] for rule in loaded("demo/scoring.yaml")["rules"]}
        table = (
            (DEMO / "README.md").read_text(encoding="utf-8").partition("## The faults")[2].partition("## The files")[0]
        )
        rows = dict(re.findall(r"^\| `([a-z-]+)` \|[^|]*\|([^|]*)\|$", table, re.MULTILINE))
        assert list(rows) == ["none", "slow-scorer", "stale-features", "lost-messages", "wrong-output", "lost-spans"]
        named = {name for cell in rows.values() for name in re.findall(r"`([a-z-]+)`", cell)}
        stages_named = {"notify", "score"}
        assert named - stages_named <= rules

    def test_every_rule_says_what_to_do(self) -> None:
        for rule in loaded("demo/scoring.yaml")["rules"]:
            assert set(rule["annotations"]) == {"summary", "runbook_url"}
            assert rule["owner"]

    def test_links_lead_somewhere(self) -> None:
        for readme in (DEPLOY / "README.md", DEMO / "README.md"):
            for target in re.findall(r"\]\((?!http)([^)#]+)\)", readme.read_text(encoding="utf-8")):
                assert (readme.parent / target).exists(), target
