"""The secrets that one machine keeps for itself, in two files that only their owner may read.

`<data>/secrets.toml` is made once, on the first start, so that a single machine works without any configuration; only
another encryption key is ever added to it. Losing it loses the channels' tokens, so a backup of the data folder holds
it. `<data>/owner.toml` is the owner's password hash.
"""

from __future__ import annotations

import base64
import fcntl
import os
import stat
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from app.core.errors import ConfigError, Fault

SECRETS_FILE = "secrets.toml"
OWNER_FILE = "owner.toml"
FIRST_KEY_ID = "k1"
_HEADER = "# Made by Perpetual on this machine. Keep it: without these keys the channels' tokens can't be opened.\n"

RandomBytes = Callable[[int], bytes]


def ensure_local_secrets(data_dir: Path, random_bytes: RandomBytes = os.urandom) -> dict[str, Any]:
    """The machine's secrets as sections of the settings; made on the first call. Two first calls at once agree."""
    if not (data_dir / SECRETS_FILE).exists():
        text = _HEADER + _render(
            {
                "server": {"secret_key": _base64(random_bytes(48))},
                "security": {"active_key": FIRST_KEY_ID},
                "security.encryption_keys": {FIRST_KEY_ID: _base64(random_bytes(32))},
            }
        )
        _write(data_dir, SECRETS_FILE, text, replace=False)
    return read_local_secrets(data_dir)


def read_local_secrets(data_dir: Path) -> dict[str, Any]:
    """The machine's secrets as sections of the settings, `{}` when it has none. `ConfigError` when a file is open to
    others or broken."""
    found = _read(data_dir / SECRETS_FILE)
    owner = _read(data_dir / OWNER_FILE)
    if owner:
        found["security"] = {**found.get("security", {}), **owner.get("security", {})}
    return found


def store_owner_password_hash(data_dir: Path, password_hash: str) -> None:
    """Keep the owner's password hash (`passwords.hash_password`) on this machine; replaces the former."""
    _write(data_dir, OWNER_FILE, _render({"security": {"owner_password_hash": password_hash}}), replace=True)


def add_local_key(data_dir: Path, random_bytes: RandomBytes = os.urandom) -> str:
    """Add an encryption key to this machine's secrets and make it the active one; its id. The others still open what
    they sealed. Raises ConfigError where the keys are not kept here."""
    with _alone(data_dir):
        found = _read(data_dir / SECRETS_FILE)
        keys = found.get("security", {}).get("encryption_keys", {})
        if not keys:
            detail = (
                "the keys are in your configuration: add one to security.encryption_keys there and make it active_key"
            )
            raise ConfigError([Fault("keys_elsewhere", detail, "security.encryption_keys")])
        key_id = next(name for name in (f"k{n}" for n in count(2)) if name not in keys)
        sections = {
            "server": found.get("server", {}),
            "security": {"active_key": key_id},
            "security.encryption_keys": {**keys, key_id: _base64(random_bytes(32))},
        }
        _write(data_dir, SECRETS_FILE, _HEADER + _render(sections), replace=True)
    return key_id


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Two that change the file would each lose the other's key."""
    try:
        descriptor = os.open(data_dir, os.O_RDONLY)
    except OSError as error:
        raise ConfigError([Fault("data_dir_unreadable", error.strerror or "can't be read", str(data_dir))]) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_open_to_others(path: Path) -> bool:
    """Whether users who are neither its owner nor of its group may read the file."""
    return bool(path.stat().st_mode & stat.S_IROTH)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        detail = "can't be read: let this user read it, or put the copy from a backup in its place"
        raise ConfigError([Fault("local_secrets_broken", detail, str(path))]) from None
    if is_open_to_others(path):
        raise ConfigError([Fault("config_world_readable", f"any user can read it: chmod 600 {path}", str(path))])
    return data


def _write(data_dir: Path, name: str, text: str, *, replace: bool) -> None:
    """Whole or not at all; without `replace` the first of several writers wins."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=data_dir)  # readable by its owner only
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            _publish(Path(temporary), data_dir / name, replace=replace)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        detail = error.strerror or "can't be written"
        raise ConfigError([Fault("data_dir_unwritable", detail, str(data_dir))]) from None


def _publish(temporary: Path, target: Path, *, replace: bool) -> None:
    if replace:
        temporary.replace(target)
        return
    with suppress(FileExistsError):  # another process was first: its secrets hold
        os.link(temporary, target)


def _render(sections: Mapping[str, Mapping[str, str]]) -> str:
    # Values are base64, argon2 hashes and key ids: nothing that TOML would want escaped.
    return "\n".join(
        f"[{name}]\n" + "".join(f'{key} = "{value}"\n' for key, value in values.items())
        for name, values in sections.items()
    )


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
