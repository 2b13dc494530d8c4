"""Settings: one frozen value, read once at start from a TOML file and the environment.

Later wins: the data folder's own secrets (only for what nobody sets), the file, `DATABASE_URL` and `PORT` as platforms
set them, `PERPETUAL_SECTION__KEY` from the environment, `--data`. Whatever is wrong is listed with its place in one
`ConfigError`; a secret's value is never shown. config.example.toml describes every key.
"""

from __future__ import annotations

import base64
import binascii
import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from app.core.errors import ConfigError, Fault
from app.core.local_secrets import SECRETS_FILE, ensure_local_secrets, is_open_to_others, read_local_secrets
from app.core.secrets import KEY_BYTES, KEY_ID_MAX

PREFIX = "PERPETUAL_"
NOT_SETTINGS = frozenset({"PERPETUAL_CONFIG", "PERPETUAL_CI"})  # beside PERPETUAL_TEST_…: read by the tests
EXAMPLE_MARK = "REPLACE-ME"  # every secret of config.example.toml holds it
SECRET_KEY_LENGTH_MIN = 32
ATTEMPT_MAX_S = 70  # of app/publishing/push.py: an attempt must outlive the call that it stands for

DEFAULT_SCOPES = (
    "read_products,read_inventory,write_inventory,read_locations,read_orders,read_fulfillments,"
    "read_merchant_managed_fulfillment_orders,read_third_party_fulfillment_orders,read_returns"
)

Raw = dict[str, Any]


def _not_example(secret: SecretStr) -> SecretStr:
    if EXAMPLE_MARK in secret.get_secret_value():
        raise ValueError("this is the example's secret: put your own here, or remove the line to have one made")
    return secret


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < SECRET_KEY_LENGTH_MIN:
        raise ValueError(f"use at least {SECRET_KEY_LENGTH_MIN} characters")
    return secret


def _is_key(secret: SecretStr) -> SecretStr:
    try:
        size = len(base64.b64decode(secret.get_secret_value(), validate=True))
    except (binascii.Error, ValueError):
        raise ValueError("this is not base64") from None
    if size != KEY_BYTES:
        raise ValueError(f"this is {size} bytes and must be {KEY_BYTES}")
    return secret


def _is_postgres(secret: SecretStr) -> SecretStr:
    """Any spelling that platforms use, as `postgresql://`."""
    scheme, _, rest = secret.get_secret_value().partition("://")
    if scheme not in ("postgres", "postgresql", "postgresql+psycopg") or not rest:
        raise ValueError("this is not a postgresql:// address")
    return SecretStr(f"postgresql://{rest}")


def _is_argon2(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().startswith("$argon2id$"):
        raise ValueError("this is not an argon2id hash; make one with `python -m app owner set-password`")
    return secret


def _is_public(url: str) -> str:
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username):
        raise ValueError("use an address like https://stock.example.com")
    return url.rstrip("/")


SecretKey = Annotated[SecretStr, AfterValidator(_not_example), AfterValidator(_long_enough)]
EncryptionKey = Annotated[SecretStr, AfterValidator(_not_example), AfterValidator(_is_key)]
KeyId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=KEY_ID_MAX)]
PostgresUrl = Annotated[SecretStr, AfterValidator(_not_example), AfterValidator(_is_postgres)]
PasswordHash = Annotated[SecretStr, AfterValidator(_not_example), AfterValidator(_is_argon2)]
PublicUrl = Annotated[str, AfterValidator(_is_public)]
ClientId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$", max_length=100)]
Scopes = Annotated[str, Field(pattern=r"^[a-z_]+(,[a-z_]+)*$", max_length=2_000)]
Seconds = Annotated[int, Field(ge=1, le=7 * 86_400)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Server(_Section):
    """The web process. `public_url` is where shops reach it; `proxy_hops` how many proxies stand before it."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65_535)
    web_workers: int = Field(2, ge=1, le=64)
    web_threads: int = Field(64, ge=1, le=512)
    public_url: PublicUrl = ""
    proxy_hops: int = Field(0, ge=0, le=5)
    body_max_bytes: int = Field(10_000_000, ge=100_000, le=50_000_000)
    secret_key: SecretKey | None = None


class Database(_Section):
    """No `url`: the embedded server. `owner_url` is the role that migrates; the application's owns nothing."""

    url: PostgresUrl | None = None
    owner_url: PostgresUrl | None = None
    pool_size: int = Field(10, ge=1, le=200)


class Data(_Section):
    """Where this machine keeps its files: the embedded server, the local secrets."""

    dir: Path = Field(Path("var/data"), strict=False)


class Security(_Section):
    """Key id → base64 of 32 bytes; `active_key` seals, all open. `allow_loopback`: addresses that a person gives may be
    this machine's own, which is for the demo and tests."""

    encryption_keys: Mapping[KeyId, EncryptionKey] = Field(default_factory=dict)
    active_key: str = ""
    owner_password_hash: PasswordHash | None = None
    allow_loopback: bool = False

    def keys(self) -> Mapping[str, bytes]:
        """The keys as bytes, for `Sealer(settings.security.keys(), settings.security.active_key)`."""
        decoded = {name: base64.b64decode(key.get_secret_value()) for name, key in self.encryption_keys.items()}
        return MappingProxyType(decoded)


class Sync(_Section):
    """The pace of polls, pushes and audits."""

    poll_interval_s: Seconds = 300
    poll_overlap_s: Seconds = 10
    sweep_interval_s: Seconds = 900
    sweep_overlap_s: Seconds = 900
    process_batch_max: int = Field(500, ge=1, le=5_000)
    push_batch_max: int = Field(50, ge=1, le=250)
    attempt_deadline_s: int = Field(180, gt=ATTEMPT_MAX_S, le=3_600)
    audit_interval_s: Seconds = 3_600
    known_interval_s: Seconds = 21_600
    webhook_interval_s: Seconds = 600
    catalogue_interval_s: Seconds = 86_400


class Inbox(_Section):
    """How long what channels told us is kept; what could not be read is kept encrypted, and shorter."""

    keep_days: int = Field(30, ge=1, le=365)
    unreadable_keep_days: int = Field(7, ge=1, le=7)


class Api(_Section):
    """What a merchant's programs may ask of us."""

    requests_per_minute: int = Field(600, ge=1, le=1_000_000)


class ShopifyApp(_Section):
    """The app as it is registered with Shopify; without a `client_id` shops are connected by their own keys alone.
    `former_client_secret`: as good as the new one while that is being changed. `point_of_sale` false: the profile for
    the App Store, which takes no app that connects another point of sale (rule 1.1.8). `pretend_shops`: origins by
    domain, for the demo and tests."""

    client_id: ClientId = ""
    client_secret: SecretKey | None = None
    former_client_secret: SecretKey | None = None
    scopes: Scopes = DEFAULT_SCOPES
    point_of_sale: bool = True
    pretend_shops: Mapping[str, PublicUrl] = Field(default_factory=dict)

    def secrets(self) -> tuple[str, ...]:
        """The app's secrets, newest first; none where there is no app."""
        told = (self.client_secret, self.former_client_secret)
        return tuple(secret.get_secret_value() for secret in told if secret is not None)


class Log(_Section):
    """How this process reports."""

    format: Literal["json", "console"] = "console"
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class Settings(_Section):
    """Everything a process is told from outside."""

    server: Server = Server()
    database: Database = Database()
    data: Data = Data()
    security: Security = Security()
    sync: Sync = Sync()
    inbox: Inbox = Inbox()
    api: Api = Api()
    shopify: ShopifyApp = ShopifyApp()
    log: Log = Log()


def load_settings(*, config: Path | None, data_dir: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read, merge and check everything; makes this machine's secrets on the first start without any.

    `config` is a file that must exist; None means `PERPETUAL_CONFIG`, else `config.toml` beside the process if there is
    one. Raises `ConfigError` with every fault, having written nothing.
    """
    faults: list[Fault] = []
    path = _config_path(config, environ)
    told = _read_file(path, faults) if path else {}
    places = {(section, key): str(path) for section, values in told.items() for key in _keys(values)}
    for (section, key), (name, value) in _read_environment(environ, faults).items():
        _put(told, section, key, value)
        places[section, key] = f"environment {name}"
    if data_dir is not None:
        _put(told, "data", "dir", str(data_dir))
        places["data", "dir"] = "--data"
    settings = _checked(told, lambda section, key: places.get((section, key), str(path or "settings")), faults)
    return _with_local_secrets(settings, told)


def _checked(told: Raw, place: Callable[[str, str], str], faults: list[Fault]) -> Settings:
    try:
        settings = Settings.model_validate(told)
    except ValidationError as error:
        raise ConfigError([*faults, *_faults_of(error, place)]) from None
    faults += _cross_faults(settings, place)
    if faults:
        raise ConfigError(faults)
    return settings


def _cross_faults(settings: Settings, place: Callable[[str, str], str]) -> list[Fault]:
    shopify = settings.shopify
    if bool(shopify.client_id) != (shopify.client_secret is not None):
        where = f"{place('shopify', 'client_secret')}: shopify.client_secret"
        return [Fault("half_an_app", "client_id and client_secret go together: give both, or neither", where)]
    names, active = settings.security.encryption_keys, settings.security.active_key
    if bool(names) == bool(active) and (not names or active in names):
        return []
    known = ", ".join(sorted(names)) or "none"
    where = f"{place('security', 'active_key')}: security.active_key"
    return [Fault("no_active_key", f"name one of security.encryption_keys (there are: {known})", where)]


def _with_local_secrets(settings: Settings, told: Raw) -> Settings:
    """Fill in what nobody set. Machines that share a database must share secrets, so there they are never made up."""
    folder = settings.data.dir
    local = read_local_secrets(folder)
    complete = settings.server.secret_key is not None and settings.security.encryption_keys
    if not complete and "server" not in local:
        if settings.database.url is not None:
            raise _secrets_missing(folder)
        local = ensure_local_secrets(folder)
    if not local:
        return settings
    theirs = {key: value for key, value in told.get("security", {}).items() if value}
    merged = {
        **told,
        "server": {**local.get("server", {}), **told.get("server", {})},
        "security": {**local.get("security", {}), **theirs},  # keys and active key are told together or not at all
    }
    return _checked(merged, lambda *_: str(folder), [])


def _secrets_missing(folder: Path) -> ConfigError:
    detail = (
        "several machines may share this database, so set server.secret_key, security.encryption_keys and "
        f"security.active_key the same on all of them (or copy the first machine's {folder / SECRETS_FILE})"
    )
    return ConfigError([Fault("secrets_missing", detail, "server.secret_key, security.encryption_keys")])


def _config_path(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    if config is not None:
        return config
    if named := environ.get("PERPETUAL_CONFIG"):
        return Path(named)
    return Path("config.toml") if Path("config.toml").exists() else None


def _read_file(path: Path, faults: list[Fault]) -> Raw:
    """The file's sections. What stops the reading raises; what can be listed beside other faults is added to them."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError([Fault("config_unreadable", error.strerror or "can't be read", str(path))]) from None
    except UnicodeDecodeError:
        raise ConfigError([Fault("config_not_utf8", "this file is not UTF-8 text", str(path))]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Fault("config_not_toml", f"not TOML: {_toml_place(error)}", str(path))]) from None
    if _holds_secret(data) and is_open_to_others(path):
        detail = f"this file holds secrets and any user of this machine can read it: chmod 600 {path}"
        faults.append(Fault("config_world_readable", detail, str(path)))
    return data


def _toml_place(error: tomllib.TOMLDecodeError) -> str:
    # The message may quote the line, which may be a secret; only the place is passed on.
    place = str(error).rpartition("(")[2].rstrip(")")
    return place if place.startswith("at ") else "the syntax is wrong"


def _holds_secret(data: Raw) -> bool:
    secret_keys = {("server", "secret_key"), ("database", "url"), ("database", "owner_url")}
    secret_keys |= {("security", "encryption_keys"), ("security", "owner_password_hash")}
    secret_keys |= {("shopify", "client_secret"), ("shopify", "former_client_secret")}
    return any(key in _keys(data.get(section)) for section, key in secret_keys)


def _put(told: Raw, section: str, key: str, value: Any) -> None:
    if isinstance(told.setdefault(section, {}), dict):  # a section that is no table is a fault of its own
        told[section][key] = value


def _keys(section: object) -> list[str]:
    return list(section) if isinstance(section, dict) else []


def _read_environment(environ: Mapping[str, str], faults: list[Fault]) -> dict[tuple[str, str], tuple[str, Any]]:
    """(section, key) → (variable, value as its setting's type)."""
    named = {("database", "url"): "DATABASE_URL", ("server", "port"): "PORT"}
    variables = {setting: name for setting, name in named.items() if environ.get(name)}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in NOT_SETTINGS and not name.startswith("PERPETUAL_TEST_"):
            section, _, key = name.removeprefix(PREFIX).lower().partition("__")
            variables[section, key] = name
    found = {}
    for (section, key), name in variables.items():
        field = _field(section, key)
        if field is None:
            faults.append(Fault("unknown_key", "there is no such setting", f"environment {name}"))
            continue
        try:
            found[section, key] = (name, _typed(field, environ[name]))
        except (ValidationError, json.JSONDecodeError):
            detail = "this does not read as the setting's type (mappings are JSON)"
            faults.append(Fault("wrong_type", detail, f"environment {name}: {section}.{key}"))
    return found


def _field(section: str, key: str) -> FieldInfo | None:
    of_section = Settings.model_fields.get(section)
    kind = of_section.annotation if of_section else None
    return kind.model_fields.get(key) if isinstance(kind, type) and issubclass(kind, _Section) else None


def _typed(field: FieldInfo, text: str) -> Any:
    """A number or a mapping out of a variable's text; all the rest is text, and checked with everything else."""
    if field.annotation in (int, bool):
        return TypeAdapter(field.annotation).validate_strings(text)
    return json.loads(text) if text.startswith("{") else text


def _faults_of(error: ValidationError, place: Callable[[str, str], str]) -> list[Fault]:
    faults = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        loc = [str(part) for part in item["loc"] if part != "[key]"]
        section, key = (*loc, "", "")[:2]
        reason = {"extra_forbidden": "unknown_key", "value_error": "not_allowed"}.get(item["type"], "wrong_value")
        detail = "there is no such setting" if reason == "unknown_key" else item["msg"].removeprefix("Value error, ")
        faults.append(Fault(reason, detail, f"{place(section, key)}: {'.'.join(loc)}"))
    return faults
