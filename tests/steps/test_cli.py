"""The command line as a person uses it, each command a process of its own on one embedded database."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.accounts.merchants import list_merchants
from app.cli import build_parser
from app.core.config import load_settings
from app.core.embedded import Embedded
from app.listings.channels import NewChannel, create_channel
from app.wiring import build
from tests.shell import ROOT, app

CSV = b"sku,name,location,on_hand,unit_cost\nmug,A mug,Main,5,2.50\ncup,A cup,Main,3,1\n"
OTHER_KEY = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="perpetual-cli-", ignore_cleanup_errors=True) as folder:
        path = Path(folder)
        path.chmod(0o755)
        assert app(path, "migrate").returncode == 0
        assert app(path, "merchant", "create", "shop", "--currency", "EUR").returncode == 0
        assert app(path, "location", "create", "Main").returncode == 0
        Embedded(path).ensure()
        yield path
        Embedded(path).stop()


def test_items_come_in_from_a_csv_once_and_are_explained_and_verified(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_bytes(CSV)
    assert "nothing was written" in app(data, "items", "import", str(file), "--preview").stdout
    assert "2 new items" in app(data, "items", "import", str(file)).stdout
    assert "0 new items" in app(data, "items", "import", str(file)).stdout
    assert app(data, "verify").stdout == "shop: ok\n"
    assert json.loads(app(data, "why", "mug", "--json").stdout)["sku"] == "mug"
    assert "mug" in app(data, "why", "mug").stdout


def test_what_a_kit_is_made_of_is_brought_by_a_csv_and_changed_by_a_command(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "kits.csv"
    file.write_bytes(b"sku,name,kind,components\npot,A pot,,\nlid,A lid,,\nstew,A stew pot,kit,pot; lid x2\n")
    assert "3 new items" in app(data, "items", "import", str(file)).stdout
    assert app(data, "items", "kit", "stew", "pot", "lid=1").stdout == "stew is made of pot x1, lid x1.\n"
    assert "unknown_sku" in app(data, "items", "kit", "stew", "gone=1").stderr
    assert "not_a_kit" in app(data, "items", "kit", "pot", "lid=1").stderr


def test_which_location_serves_first_and_is_in_use_is_changed_by_a_command(data: Path) -> None:
    assert app(data, "location", "create", "Annex", "--priority", "5").returncode == 0
    assert app(data, "location", "set", "Annex", "--priority", "200", "--active", "no").stdout == (
        "Annex\tpriority 200\tnot in use\n"
    )
    assert app(data, "location", "list").stdout == "Main\tpriority 100\tin use\nAnnex\tpriority 200\tnot in use\n"
    assert "unknown_location" in app(data, "location", "set", "Moon", "--active", "yes").stderr
    refused = app(data, "location", "set", "Main", "--active", "no")
    assert (refused.returncode, "location_n" in refused.stderr) == (2, True)


def test_a_faulty_csv_exits_1_with_every_place(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(b"sku,name,location,on_hand,unit_cost\npan,A pan,Main,1e3,2\n,B,Main,1,x\n")
    result = app(data, "items", "import", str(file))
    assert result.returncode == 1
    assert "line 2" in result.stdout
    assert "line 3" in result.stdout


def test_a_merchant_of_a_taken_name_or_an_unknown_currency_is_refused_by_field(data: Path) -> None:
    assert "name_taken" in app(data, "merchant", "create", "shop").stderr
    for currency in ("euro", "ZZZ"):
        assert "bad_currency" in app(data, "merchant", "create", "other", "--currency", currency).stderr
    assert app(data, "merchant", "list").stdout == "shop\tEUR\tfifo\tUTC\n"


def test_an_unknown_sku_or_merchant_exits_2_with_its_reason(data: Path) -> None:
    result = app(data, "why", "nothing-like-it")
    assert (result.returncode, "unknown_sku" in result.stderr) == (2, True)
    result = app(data, "verify", "--merchant", "nobody")
    assert (result.returncode, "unknown_merchant" in result.stderr) == (2, True)


def test_a_backup_is_restored_into_an_empty_place(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "all.backup"
    assert app(data, "backup", str(copy)).returncode == 0
    refused = app(data, "restore", str(copy))
    assert (refused.returncode, "database_not_empty" in refused.stderr) == (2, True)
    with tempfile.TemporaryDirectory(prefix="perpetual-cli-", ignore_cleanup_errors=True) as folder:
        other = Path(folder)
        other.chmod(0o755)
        assert app(other, "restore", str(copy)).returncode == 0
        Embedded(other).stop()


def test_the_owners_password_is_stored_as_a_hash_only(data: Path) -> None:
    assert app(data, "owner", "set-password", stdin="a long enough password\n").returncode == 0
    assert app(data, "owner", "set-password", stdin="short\n").returncode == 2
    stored = (data / "owner.toml").read_text()
    assert "$argon2id$" in stored
    assert "long enough" not in stored


def test_a_faulty_configuration_stops_the_start_with_path_and_key(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[server]\nprot = 1\n")
    result = app(data, "config", "check", "--config", str(file))
    assert result.returncode == 2
    assert "server.prot" in result.stderr
    assert str(file) in result.stderr
    assert app(data, "config", "check").returncode == 0


CHILD = """
import os, sys
from app.cli import main
from app.core.config import load_settings
code = main(["config", "check", *sys.argv[1:]])
child = load_settings(config=None, data_dir=None, environ=os.environ)  # as app.wsgi and a command without options do
print(code, child.server.port, child.data.dir)
"""


def child_of(cwd: Path, *options: str) -> str:
    """How a process that a command with these options starts would read the settings: port and data folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PERPETUAL_")}
    return subprocess.run(
        [sys.executable, "-c", CHILD, *options], cwd=cwd, env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=100, check=True,
    ).stdout.splitlines()[-1]  # fmt: skip


def test_a_configuration_file_counts_for_the_processes_that_a_command_starts_too(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('[server]\nport = 8123\n[data]\ndir = "named"\n')
    assert child_of(tmp_path, "--config", "settings.toml") == "0 8123 named"
    assert (tmp_path / "named" / "secrets.toml").exists()
    assert not (tmp_path / "var").exists()


def test_without_a_file_or_an_option_everything_lives_in_var_data(tmp_path: Path) -> None:
    assert child_of(tmp_path) == "0 8000 var/data"
    assert (tmp_path / "var" / "data" / "secrets.toml").exists()


def test_a_process_measures_shops_clocks_by_the_time_that_it_agreed_on_with_the_database(data: Path) -> None:
    runtime = build(load_settings(config=None, data_dir=data, environ={}))
    assert runtime.open_http().clock is runtime.clock
    runtime.database.close()


@pytest.mark.parametrize(("command", "keys"), [("serve", "another"), ("web", "missing"), ("worker", "another")])
def test_a_database_that_another_key_sealed_stops_the_start_with_exit_2_and_prints_no_key_and_no_token_61(
    data: Path, command: str, keys: str
) -> None:
    file = data / "secrets.toml"
    kept = file.read_text()
    runtime = build(load_settings(config=None, data_dir=data, environ={}))
    (merchant,) = list_merchants(runtime.database, runtime.clock())
    token, name = "shpat_0123456789abcdef0123", f"{keys}-{command}"
    new = NewChannel("shopify", name, f"{name}.myshopify.com", f"https://{name}.test", {"access_token": token}, {})
    with runtime.begin(merchant.merchant_id, runtime.clock()) as session:
        create_channel(runtime, session, new)
    runtime.database.close()
    file.unlink()
    if keys == "another":
        file.write_text(re.sub(r'(?m)^(k1 = ").*"$', rf'\g<1>{OTHER_KEY}"', kept))
        file.chmod(0o600)
    try:
        result = app(data, command)
        said = result.stdout + result.stderr
        assert result.returncode == 2
        assert "security.encryption_keys" in said
        secrets = [token, OTHER_KEY, *re.findall(r'"([^"]{20,})"', kept + file.read_text())]
        assert [secret for secret in secrets if secret in said] == []
    finally:
        file.write_text(kept)


def test_every_command_has_a_help_text() -> None:
    assert "serve" in build_parser().format_help()


def test_a_back_fill_is_asked_for_by_the_channel_s_name_and_a_real_day(data: Path) -> None:
    assert app(data, "reading", "status").stdout == "Nothing was imported apart from the polls.\n"
    unknown = app(data, "reading", "backfill", "nowhere", "--since", "2026-11-01")
    assert (unknown.returncode, "unknown_channel" in unknown.stderr) == (2, True)
    assert app(data, "reading", "backfill", "nowhere", "--since", "2026-02-30").returncode == 2


@pytest.mark.parametrize(
    "given",
    [
        ("simulate", "--events", "0"), ("simulate", "--events", "-1"), ("simulate", "--events", "1e6"),
        ("simulate", "--seed", "-1"),
        ("simulate", "--processes", "0"), ("simulate", "--processes", "-2"), ("simulate", "--processes", "999999"),
        ("bench", "import", "--variants", "0"), ("bench", "import", "--variants", "1000001"),
    ],
)  # fmt: skip
def test_a_count_of_nothing_or_of_too_much_is_refused_by_its_option_with_what_it_may_be(
    given: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(given)
    assert caught.value.code == 2
    assert f"argument {given[-2]}: a whole number from 1 to" in capsys.readouterr().err


def test_as_many_events_as_a_night_can_play_may_be_asked_for() -> None:
    asked = build_parser().parse_args(["simulate", "--events", "50000000", "--processes", "1"])
    assert (asked.events, asked.processes) == (50_000_000, 1)
