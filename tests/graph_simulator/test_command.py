"""The command `simulate`."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import requests
from click.testing import CliRunner
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from graph_simulator import APP_ID, FAULT_TYPES
from messenger_pipeline.commands.group import cli
from tests.graph_simulator.webhook_sink import Sink, free_port, wait_until


def test_list_faults_prints_parameters_and_descriptions() -> None:
    result = CliRunner().invoke(cli, ["simulate", "--list-faults"])
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert [line.split(",")[0] for line in lines[::2]] == sorted(FAULT_TYPES)
    assert "messenger_limit,seconds=2.0,hint=retry_after" in lines
    assert "    500 with code 2, service temporarily unavailable. (once)" in lines


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("code_3", ["Unknown fault 'code_3'", "code_2"]),
        ("code_2,tims=3", ["tims", "page, edge, after, times"]),
        ("code_2,times", ["times"]),
    ],
)
def test_an_invalid_fault_is_wrong_usage_and_its_error_names_it(
    fault: str, words: list[str]
) -> None:
    result = CliRunner().invoke(cli, ["simulate", "--port", str(free_port()), "--fault", fault])
    assert result.exit_code == 2
    for word in ["--fault", *words]:
        assert word in result.output


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (["--live", "20"], "--live needs --webhook-url"),
        (["--webhook-url", "http://127.0.0.1:1/"], "--webhook-url needs --app-secret"),
        (["--webhook-url", "there", "--app-secret", "s"], "not an http or https address"),
        (["--webhook-url", "http://127.0.0.1:1/", "--app-secret", "s", "--live", "inf"], "finite"),
    ],
)
def test_undeliverable_webhooks_are_wrong_usage_with_a_remedy(
    options: list[str], remedy: str
) -> None:
    result = CliRunner().invoke(cli, ["simulate", "--port", str(free_port()), *options])
    assert result.exit_code == 2
    assert remedy in " ".join(result.output.split())


def test_live_traffic_is_delivered_from_the_start(
    receive: Callable[..., Sink],
) -> None:
    sink = receive()
    options = ["--pages", "1", "--conversations", "12", "--app-secret", "s", "--live", "100"]
    command = [sys.executable, "-m", "messenger_pipeline.cli", "simulate"]
    command += ["--port", str(free_port()), "--webhook-url", sink.url, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: len(sink.delivered) > 20)
            assert process.stdout is not None
            printed = [process.stdout.readline() for _ in range(6)]
            assert f"  export MESSENGER_APP_ID={APP_ID} " in "".join(printed), "for the receiver"
            assert "  export MESSENGER_VERIFY_TOKEN=" in "".join(printed)
        finally:
            process.terminate()


def test_faults_apply_from_the_first_call() -> None:
    port = free_port()
    options = ["--pages", "1", "--conversations", "12", "--cursors", "offset"]
    faults = ["--fault", "code_2,times=2,edge=conversations", "--fault", "cursor_depth,depth=4"]
    command = [sys.executable, "-m", "messenger_pipeline.cli", "simulate", "--port", str(port)]
    with subprocess.Popen([*command, *options, *faults], stdout=subprocess.DEVNULL) as process:
        try:
            with requests.Session() as session:
                session.mount("http://", HTTPAdapter(max_retries=Retry(30, backoff_factor=0.1)))
                root = f"http://127.0.0.1:{port}"
                [page] = session.get(f"{root}/_simulator/pages", timeout=30).json()
                address = f"{root}/v26.0/{page['id']}/conversations"
                parameters = {"access_token": page["token"], "limit": "5"}
                responses = [session.get(address, params=parameters, timeout=30) for _ in range(3)]
                assert [response.status_code for response in responses] == [500, 500, 200]
                parameters["after"] = responses[2].json()["paging"]["cursors"]["after"]
                assert "max limit" in session.get(address, params=parameters, timeout=30).text
        finally:
            process.terminate()
