"""The start refuses what is wrong with a list, shows no secret, and works on one machine without any configuration."""

from __future__ import annotations

import base64
import shutil
import stat
import threading
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.core.config import ATTEMPT_MAX_S, ConfigError, Settings, load_settings
from app.core.local_secrets import ensure_local_secrets, store_owner_password_hash
from app.publishing.push import SENT_WITHIN_S
from connectors.http import TOTAL_S

ROOT = Path(__file__).resolve().parents[3]
KEY = base64.b64encode(bytes(32)).decode()
OTHER_KEY = base64.b64encode(b"\1" * 32).decode()
SECRET = "a" * 48


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # so that a developer's own config.toml is not read


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


def load(
    folder: Path, text: str | None = None, environ: Mapping[str, str] | None = None, mode: int = 0o600
) -> Settings:
    config = None if text is None else written(folder, text, mode)
    return load_settings(config=config, data_dir=folder / "data", environ=environ or {})


def refusal(folder: Path, text: str | None = None, environ: Mapping[str, str] | None = None, mode: int = 0o600) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, environ, mode)
    return str(caught.value)


def test_one_machine_without_any_configuration_just_works_and_keeps_its_secrets(tmp_path: Path) -> None:
    first, second = load(tmp_path), load(tmp_path)
    assert first == second
    assert first.security.keys()[first.security.active_key] != bytes(32)
    assert stat.S_IMODE((tmp_path / "data" / "secrets.toml").stat().st_mode) == 0o600


def test_two_first_starts_at_once_agree_on_the_secrets(tmp_path: Path) -> None:
    barrier, found = threading.Barrier(8), []

    def start() -> None:
        barrier.wait()
        found.append(ensure_local_secrets(tmp_path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [found[0]] * 8
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.toml"]


def test_the_example_holds_every_setting_with_its_default() -> None:
    lines = (ROOT / "config.example.toml").read_text("utf-8").splitlines()
    optional = ("# url = ", "# owner_url = ", "# owner_password_hash = ", "# client_secret", "# former_client_secret")
    example = tomllib.loads("\n".join(line.removeprefix("# ") if line.startswith(optional) else line for line in lines))
    secrets = {"secret_key", "url", "owner_url", "encryption_keys", "active_key", "owner_password_hash"}
    secrets |= {"client_secret", "former_client_secret"}
    model = {name: section.model_dump(mode="json") for name, section in Settings()}
    assert {name: list(keys) for name, keys in sorted_keys(example).items()} == sorted_keys(model)
    for name, section in model.items():
        for key, default in section.items():
            assert key in secrets or example[name][key] == default, f"{name}.{key}"


def sorted_keys(sections: Mapping[str, Mapping[str, object]]) -> dict[str, list[str]]:
    return {name: sorted(section) for name, section in sections.items()}


def test_the_example_refuses_to_start_with_its_example_secrets_60(tmp_path: Path) -> None:
    shutil.copy(ROOT / "config.example.toml", tmp_path / "settings.toml")
    said = refusal(tmp_path, (tmp_path / "settings.toml").read_text("utf-8"))
    assert said.count("this is the example's secret") == 2
    assert "settings.toml: server.secret_key" in said
    assert "settings.toml: security.encryption_keys.k1" in said


def test_an_app_without_its_secret_is_refused_and_the_secret_is_never_shown(tmp_path: Path) -> None:
    assert "client_id and client_secret go together" in refusal(tmp_path, "[shopify]\nclient_id = 'abc'\n")
    said = refusal(tmp_path, "[shopify]\nclient_id = 'abc'\nclient_secret = 'canary'\n")
    assert "use at least 32 characters" in said
    assert "canary" not in said


def test_both_secrets_of_an_app_are_known_newest_first(tmp_path: Path) -> None:
    told = f"[shopify]\nclient_id = 'abc'\nclient_secret = '{'n' * 32}'\nformer_client_secret = '{'f' * 32}'\n"
    assert load(tmp_path, told).shopify.secrets() == ("n" * 32, "f" * 32)


def test_the_example_with_own_secrets_starts(tmp_path: Path) -> None:
    text = (ROOT / "config.example.toml").read_text("utf-8")
    text = text.replace("REPLACE-ME with a long random text", SECRET)
    text = text.replace("REPLACE-ME with base64 of 32 random bytes", KEY)
    assert load(tmp_path, text).security.keys() == {"k1": bytes(32)}


def test_every_fault_is_listed_with_its_file_and_key_60(tmp_path: Path) -> None:
    text = "[server]\nport = 'high'\ncolour = 1\n[sync]\npoll_interval_s = 1.5\n[paint]\na = 1\n"
    said = refusal(tmp_path, text, {"PERPETUAL_LOG__LEVEL": "LOUD", "PERPETUAL_TYPO": "1"})
    path = tmp_path / "settings.toml"
    for place in (
        f"{path}: server.port",
        f"{path}: server.colour",
        f"{path}: sync.poll_interval_s",
        f"{path}: paint",
        "environment PERPETUAL_LOG__LEVEL: log.level",
        "environment PERPETUAL_TYPO",
    ):
        assert place in said
    assert len(said.splitlines()) == 6


def test_a_number_in_quotes_is_a_wrong_type_60(tmp_path: Path) -> None:
    assert "server.port: Input should be a valid integer" in refusal(tmp_path, "[server]\nport = '8000'\n")


@pytest.mark.parametrize("value", ["server = 3", "[server]\nport = 0", "[server]\nport = true", "server = []"])
def test_values_of_a_wrong_shape_are_refused_60(tmp_path: Path, value: str) -> None:
    assert "server" in refusal(tmp_path, value, {"PORT": ""})


def test_a_section_that_is_no_table_is_refused_even_when_the_environment_sets_its_key(tmp_path: Path) -> None:
    assert "server" in refusal(tmp_path, "server = 3", {"PORT": "9000"})


def test_a_missing_config_file_is_refused_by_its_path_60(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: No such file"):
        load_settings(config=tmp_path / "nowhere.toml", data_dir=None, environ={})
    assert not (tmp_path / "var").exists()


def test_a_missing_file_named_by_the_environment_is_refused_too_60(tmp_path: Path) -> None:
    assert "nowhere.toml" in refusal(tmp_path, None, {"PERPETUAL_CONFIG": str(tmp_path / "nowhere.toml")})


def test_a_world_readable_file_with_secrets_is_refused_and_one_without_is_not_60(tmp_path: Path) -> None:
    said = refusal(tmp_path, f"[server]\nsecret_key = '{SECRET}'\n", mode=0o644)
    assert "chmod 600" in said
    assert load(tmp_path, "[server]\nport = 9000\n", mode=0o644).server.port == 9000


def test_world_readable_local_secrets_are_refused_60(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / "data" / "secrets.toml").chmod(0o644)
    assert "secrets.toml" in refusal(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "[server]\nsecret_key = 'hunter2'\n",
        "[security]\nactive_key = 'a'\n[security.encryption_keys]\na = 'hunter2'\n",
        "[security]\nowner_password_hash = 'hunter2'\n",
        "[database]\nurl = 'mysql://u:hunter2@h/d'\n",
        "[server]\nsecret_key = hunter2\n",
        "[server]\nsecret_key = ['hunter2']\n",
    ],
)
def test_a_refusal_never_prints_a_secret_60(tmp_path: Path, text: str) -> None:
    assert "hunter2" not in refusal(tmp_path, text)


def test_settings_never_print_a_secret(tmp_path: Path) -> None:
    text = f"[server]\nsecret_key = '{SECRET}'\n[database]\nurl = 'postgres://u:hunter2@h/d'\n"
    text += f"[security]\nactive_key = 'a'\n[security.encryption_keys]\na = '{KEY}'\n"
    shown = repr(load(tmp_path, text))
    assert not any(secret in shown for secret in (SECRET, "hunter2", KEY))


def test_broken_toml_is_refused_by_its_place_60(tmp_path: Path) -> None:
    assert "at line 2" in refusal(tmp_path, "[server]\nport = = 1\n")


def test_the_environment_wins_over_the_file_and_its_own_names_over_the_platforms(tmp_path: Path) -> None:
    environ = {"PORT": "9001", "PERPETUAL_SYNC__PUSH_BATCH_MAX": "25", "PERPETUAL_SERVER__HOST": "0.0.0.0"}
    settings = load(tmp_path, "[server]\nport = 9000\n[sync]\npush_batch_max = 10\n", environ)
    assert (settings.server.port, settings.sync.push_batch_max, settings.server.host) == (9001, 25, "0.0.0.0")
    assert load(tmp_path, None, {**environ, "PERPETUAL_SERVER__PORT": "9002"}).server.port == 9002


def test_the_data_folder_of_the_command_line_wins_over_all(tmp_path: Path) -> None:
    settings = load(tmp_path, "[data]\ndir = 'file'\n", {"PERPETUAL_DATA__DIR": "environment"})
    assert settings.data.dir == tmp_path / "data"


def test_a_database_address_is_read_as_platforms_write_it(tmp_path: Path) -> None:
    secrets = {"PERPETUAL_SERVER__SECRET_KEY": SECRET, "PERPETUAL_SECURITY__ACTIVE_KEY": "a"}
    environ = {
        **secrets,
        "DATABASE_URL": "postgres://u:p@h/d",
        "PERPETUAL_SECURITY__ENCRYPTION_KEYS": f'{{"a":"{KEY}"}}',
    }
    url = load(tmp_path, None, environ).database.url
    assert url is not None
    assert url.get_secret_value() == "postgresql://u:p@h/d"
    assert not (tmp_path / "data").exists()


def test_machines_that_share_a_database_never_make_up_their_own_secrets(tmp_path: Path) -> None:
    said = refusal(tmp_path, None, {"DATABASE_URL": "postgresql://h/d"})
    assert "server.secret_key" in said
    assert not (tmp_path / "data").exists()


def test_machines_that_share_a_database_may_share_the_first_ones_secrets_file(tmp_path: Path) -> None:
    alone = load(tmp_path)
    assert load(tmp_path, None, {"DATABASE_URL": "postgresql://h/d"}).security == alone.security


def test_keys_of_the_file_are_never_mixed_with_the_machines_own(tmp_path: Path) -> None:
    load(tmp_path)
    text = f"[security]\nactive_key = 'new'\n[security.encryption_keys]\nold = '{KEY}'\nnew = '{OTHER_KEY}'\n"
    settings = load(tmp_path, text)
    assert set(settings.security.keys()) == {"old", "new"}
    assert settings.server.secret_key is not None


@pytest.mark.parametrize("active", ["", "active_key = 'b'\n"])
def test_the_active_key_must_be_one_of_the_keys_61(tmp_path: Path, active: str) -> None:
    text = f"[security]\n{active}[security.encryption_keys]\na = '{KEY}'\n"
    assert "security.active_key" in refusal(tmp_path, text)


def test_a_key_of_the_wrong_size_is_refused_with_its_size_61(tmp_path: Path) -> None:
    short = base64.b64encode(bytes(16)).decode()
    text = f"[security]\nactive_key = 'a'\n[security.encryption_keys]\na = '{short}'\n"
    assert "security.encryption_keys.a: this is 16 bytes and must be 32" in refusal(tmp_path, text)


def test_the_owners_password_hash_is_kept_beside_the_machines_secrets(tmp_path: Path) -> None:
    before = load(tmp_path)
    store_owner_password_hash(tmp_path / "data", "$argon2id$one")
    store_owner_password_hash(tmp_path / "data", "$argon2id$two")
    after = load(tmp_path)
    assert after.security.owner_password_hash is not None
    assert after.security.owner_password_hash.get_secret_value() == "$argon2id$two"
    assert after.security.keys() == before.security.keys()


def test_the_owners_password_hash_holds_also_where_the_keys_come_from_the_file(tmp_path: Path) -> None:
    store_owner_password_hash(tmp_path / "data", "$argon2id$one")
    text = f"[server]\nsecret_key = '{SECRET}'\n[security]\nactive_key = 'a'\n[security.encryption_keys]\na = '{KEY}'\n"
    assert load(tmp_path, text).security.owner_password_hash is not None


def test_a_data_folder_that_is_a_file_is_refused_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert str(tmp_path / "data") in refusal(tmp_path)


def test_broken_local_secrets_are_never_replaced_by_new_ones(tmp_path: Path) -> None:
    load(tmp_path)
    path = tmp_path / "data" / "secrets.toml"
    path.write_text("half a fi", "utf-8")
    assert "secrets.toml" in refusal(tmp_path)
    assert path.read_text("utf-8") == "half a fi"


def test_an_unfinished_write_outlives_the_call_that_it_stands_for(tmp_path: Path) -> None:
    assert "sync.attempt_deadline_s" in refusal(tmp_path, f"[sync]\nattempt_deadline_s = {ATTEMPT_MAX_S}\n")
    assert ATTEMPT_MAX_S == SENT_WITHIN_S + TOTAL_S


def test_a_public_address_must_be_one_that_shops_can_reach(tmp_path: Path) -> None:
    assert "server.public_url" in refusal(tmp_path, "[server]\npublic_url = 'stock.example.com'\n")
    assert load(tmp_path, "[server]\npublic_url = 'https://a.example/'\n").server.public_url == "https://a.example"
