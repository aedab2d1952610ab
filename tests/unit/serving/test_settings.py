import socket
from pathlib import Path

import pytest

from assistant.limits import Limits
from serving.errors import UserError
from serving.home import home
from serving.server import PortInUseError, claim_port
from serving.settings import checked, read_settings


def test_flags_win_over_variables_and_those_over_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROWN_PORT", "8123")
    monkeypatch.setenv("HOMEGROWN_HOST", "")
    assert read_settings().port == 8123
    assert read_settings(port=8200).port == 8200
    assert read_settings(port=None).host == "127.0.0.1"


def test_pictures_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().images
    monkeypatch.setenv("HOMEGROWN_IMAGES", "0")
    assert not read_settings().images
    assert read_settings(images=True).images


def test_home_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOMEGROWN_HOME", "here")
    assert home() == tmp_path / "here"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "many"),
        ("PORT", "70000"),
        ("API_KEY", "short"),
        ("DTYPE", "int3"),
        ("IMAGE_QUEUE", "0"),
        ("ALLOWED_HOSTS", "[chat.example.org"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"HOMEGROWN_{name}", value)
    with pytest.raises(UserError, match=f"HOMEGROWN_{name}"):
        read_settings()


def test_the_way_out_names_a_flag_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"\(--port or HOMEGROWN_PORT\)"):
        read_settings(port=0)
    monkeypatch.setenv("HOMEGROWN_API_KEY", "short")
    with pytest.raises(UserError, match=r"\(HOMEGROWN_API_KEY\) cannot be used: it needs 16 characters or more"):
        read_settings(port=8000)


@pytest.mark.parametrize("names", ["chat.example.org, llm.example", '["chat.example.org", "llm.example"]'])
def test_names_of_the_server_are_a_list_or_have_commas_between_them(monkeypatch, names: str) -> None:
    monkeypatch.setenv("HOMEGROWN_ALLOWED_HOSTS", names)
    assert read_settings().allowed_hosts == ["chat.example.org", "llm.example"]


def test_limits_of_the_assistant_are_named_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROWN_AGENT_SECONDS", "abc")
    with pytest.raises(UserError, match="HOMEGROWN_AGENT_SECONDS"):
        checked(Limits)


def test_a_port_in_use_is_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortInUseError, match=rf"127\.0\.0\.1:{port} .*in use.*--port"):
            claim_port(read_settings(port=port))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_the_network_is_not_let_in_without_a_key(host: str) -> None:
    with pytest.raises(UserError, match="HOMEGROWN_API_KEY"):
        claim_port(read_settings(host=host))
