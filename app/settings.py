"""Every setting, read once from the environment into one frozen object.

docs/operations.md documents each in a table; a test fails when the two differ.
"""

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PROJECT = Path(__file__).resolve().parents[1]
_HOST_NAME = re.compile(r"\*|(\*\.)?[\w-]+(\.[\w-]+)*|[\da-fA-F]*:[\da-fA-F:.]+", re.ASCII)
# No header can carry white space around a token: it was pasted along with it.
_Stripped = BeforeValidator(lambda value: value.strip() if isinstance(value, str) else value)
Token = Annotated[SecretStr, _Stripped, Field(min_length=16)]


Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
_PEPPER_NAME: Final = re.compile("[A-Za-z0-9-]{1,40}")


class BadSettings(Exception):
    """The service does not start with these settings; the message names them."""


def _comma_separated(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [part for part in map(str.strip, value.split(",")) if part]


def _proxies(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what is no address, network or number of proxies, and all but one number."""
    numbers = [part for part in parts if part.isdecimal()]
    try:
        for part in set(parts).difference(numbers):
            ip_network(part)
    except ValueError:
        numbers.append("0")
    if len(numbers) > 1 or any(int(number) < 1 for number in numbers):
        raise ValueError("must be addresses, networks (10.0.0.0/8), and at most one number from 1")
    return parts


def _host_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what no Host header can be compared with, such as an address with https:// before."""
    if not all(_HOST_NAME.fullmatch(name) for name in names):
        raise ValueError("must be names (show.example, *.show.example), addresses, or *; no ports")
    return names


def _peppers(setting: SecretStr | None) -> dict[str, bytes]:
    """Return the named peppers of ``name:secret,older:secret``, the newest first."""
    parts = setting.get_secret_value().split(",") if setting else []
    named = (part.strip().partition(":") for part in parts)
    return {name: secret.encode() for name, _, secret in named}


def _readable_peppers(setting: SecretStr | None) -> SecretStr | None:
    named = _peppers(setting)
    if setting and len(named) <= setting.get_secret_value().count(","):
        raise PydanticCustomError("peppers", "must not name two alike")
    if any(not _PEPPER_NAME.fullmatch(name) or len(named[name]) < 32 for name in named):
        raise PydanticCustomError(
            "peppers",
            "must be NAME:SECRET, or several with commas between: names of letters, digits and "
            "hyphens, secrets of at least 32 characters",
        )
    return setting


def _safe_address(address: str | None) -> str | None:
    """Refuse an issuer whose keys somebody on the way could replace."""
    if address is not None:
        parts = urlsplit(address)
        is_local = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"}
        if not parts.hostname or (parts.scheme != "https" and not is_local):
            raise PydanticCustomError("issuer", "must be an address with https")
    return address


class Settings(BaseSettings):
    """The settings. Times are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    environment: Literal["development", "test", "production"] = "development"
    host: str = "127.0.0.1"
    port: int = Field(default=3010, ge=0, le=65_535)
    database_url: SecretStr | None = None
    database_unpooled_url: SecretStr | None = None
    data_dir: Path = PROJECT / ".data"
    access_token: Token | None = None
    operator_token: Token | None = None
    token_peppers: Annotated[SecretStr | None, AfterValidator(_readable_peppers)] = None
    anonymous: Literal["none", "viewer", "editor"] = "none"
    oidc_issuer: Annotated[str | None, AfterValidator(_safe_address)] = None
    oidc_audience: str | None = None
    oidc_algorithms: Annotated[
        tuple[Algorithm, ...], NoDecode, BeforeValidator(_comma_separated)
    ] = ("RS256",)
    oidc_role_claim: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_scopes: str = "openid profile email"
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_separated)] = ()
    trusted_proxies: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_comma_separated), AfterValidator(_proxies)
    ] = ()
    proxy_header: Literal["x-forwarded-for", "forwarded", "x-real-ip"] = "x-forwarded-for"
    allowed_hosts: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_comma_separated), AfterValidator(_host_names)
    ] = ()
    frontend_dir: Path | None = None
    page_session_hours: float = Field(default=12.0, gt=0, le=8_760)
    page_session_slides: bool = True
    server_name: str = "Signalbook"
    api_pages: bool = True
    pool_size: int = Field(default=10, ge=1, le=200)
    pool_wait: float = Field(default=5.0, gt=0)
    statement_timeout: float = Field(default=15.0, gt=0)
    max_body_bytes: int = Field(default=5_000_000, ge=1_024)
    body_rate: float = Field(default=1_000.0, ge=0)
    body_grace: float = Field(default=10.0, gt=0)
    max_head_bytes: int = Field(default=32_768, ge=1_024)
    max_head_lines: int = Field(default=100, ge=10)
    head_timeout: float = Field(default=10.0, gt=0)
    first_request_timeout: float = Field(default=30.0, gt=0)
    keep_alive_timeout: float = Field(default=75.0, gt=0)
    max_connections: int = Field(default=0, ge=0)
    connections_per_address: int = Field(default=1_000, ge=0)
    handshakes_per_address: int = Field(default=100, ge=0)
    health_cache: float = Field(default=3.0, ge=0)
    health_timeout: float = Field(default=4.0, gt=0)
    drain: int = Field(default=20, ge=0)
    stall_budget: float = Field(default=0.5, gt=0)
    release_wall_clock: float = Field(default=3_600.0, gt=0)
    small_release_seconds: float = Field(default=60.0, ge=0)
    contract_quiet_minutes: float = Field(default=60.0, ge=0)
    harmless_sessions: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_separated)] = ()
    new_database: bool = False
    release_patience: float = Field(default=600.0, ge=0)
    connect_patience: float = Field(default=90.0, ge=0)
    soak_hours: float = Field(default=24.0, ge=0)
    soak_check: float = Field(default=300.0, gt=0)
    log_retention_days: int = Field(default=0, ge=0, le=36_500)
    audit_retention_days: int = Field(default=365, ge=0, le=36_500)
    refusals_per_minute: int = Field(default=60, ge=1, le=1_000_000)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] | None = None

    @property
    def beyond_loopback(self) -> bool:
        """Whether other machines can reach the service."""
        if self.host == "localhost":
            return False
        try:
            return not ip_address(self.host).is_loopback
        except ValueError:
            return True

    @property
    def trusts_local(self) -> bool:
        """Whether all that comes from this machine may do all: no token guards anything yet."""
        is_local = self.environment != "production" and not self.beyond_loopback
        return is_local and self.anonymous != "viewer" and not self.has_authentication

    @property
    def has_authentication(self) -> bool:
        """Whether a setting says who may come in."""
        ours = (self.access_token, self.operator_token, self.token_peppers)
        return any((*ours, self.oidc_issuer))

    @property
    def anonymous_role(self) -> str | None:
        """The role of who sends no credential, None for none at all."""
        if self.anonymous == "none":
            return "editor" if self.trusts_local else None
        return self.anonymous

    @property
    def peppers(self) -> dict[str, bytes]:
        """The keys that hash the secrets of tokens, by name, the newest first."""
        return _peppers(self.token_peppers)

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins that browsers may call from: outside production any, unless they are set."""
        return self.cors_origins or (() if self.environment == "production" else ("*",))

    @property
    def json_logs(self) -> bool:
        """Whether machines read the log: as LOG_FORMAT says, else in production."""
        if self.log_format is None:
            return self.environment == "production"
        return self.log_format == "json"

    @property
    def missing_names(self) -> str | None:
        """What production without ALLOWED_HOSTS leads to, None where that is set or not needed."""
        if self.environment != "production" or self.allowed_hosts:
            return None
        return (
            "ALLOWED_HOSTS is not set: whoever opens the service by a public name is answered 403, "
            "while /health is well. Set it to that name (show.example), or to *."
        )

    def refuse_without_database(self) -> None:
        """Raise BadSettings in production without a database: the embedded one is not for it."""
        if self.environment == "production" and self.database_url is None:
            raise BadSettings(
                "DATABASE_URL is not set: in production Signalbook needs a PostgreSQL of its own "
                "and never starts the embedded one."
            )

    def refuse_ungated(self) -> None:
        """Raise BadSettings in production, where only the release gate migrates."""
        if self.environment == "production":
            raise BadSettings(
                "In production the database is migrated by the release gate alone: run "
                "python -m app release before python -m app serve."
            )

    def refuse_exposed(self) -> None:
        """Raise BadSettings where others could edit or approve without a token of their own."""
        is_production = self.environment == "production"
        is_closed = self.has_authentication or self.anonymous != "none"
        if (self.beyond_loopback or is_production) and not is_closed:
            reason = "In production a proxy may let others in"
            if self.beyond_loopback:
                reason = f"HOST={self.host} can be reached from other machines"
            raise BadSettings(
                f"{reason}: set ACCESS_TOKEN (at least 16 characters), TOKEN_PEPPERS or "
                "OIDC_ISSUER, or say ANONYMOUS=viewer or ANONYMOUS=editor if everybody may read, "
                "or edit."
            )
        self._refuse_half_an_issuer(is_production=is_production)
        if self.operator_token is not None and self.operator_token == self.access_token:
            raise BadSettings(
                "OPERATOR_TOKEN is the same as ACCESS_TOKEN, so that everybody who may edit could "
                "approve a release: set another."
            )

    def _refuse_half_an_issuer(self, *, is_production: bool) -> None:
        if self.oidc_issuer and not (self.oidc_audience or self.oidc_client_id):
            raise BadSettings(
                "OIDC_AUDIENCE is not set: tokens that OIDC_ISSUER made for others would open this "
                "service too. Set it to the audience of this service, or OIDC_CLIENT_ID if only "
                "browsers are to sign in."
            )
        if self.oidc_client_id and not self.oidc_issuer:
            raise BadSettings(
                "OIDC_ISSUER is not set, and OIDC_CLIENT_ID is a client of it: set both or none."
            )
        keys = (self.token_peppers, self.access_token, self.operator_token)
        if self.oidc_client_id and is_production and not any(keys):
            raise BadSettings(
                "TOKEN_PEPPERS is not set: in production the sessions of browsers are signed with "
                "it. Set it to a name, a colon and a secret of at least 32 characters."
            )


def load_settings() -> Settings:
    """Read the environment. Raises BadSettings naming each setting that is wrong, not its value."""
    try:
        return Settings()
    except ValidationError as wrong:
        faults = [f"{str(e['loc'][0]).upper()} {_in_words(e)}" for e in wrong.errors()]
        raise BadSettings(
            f"{'; '.join(faults)}. docs/operations.md says what each may be."
        ) from None


def _in_words(error: ErrorDetails) -> str:
    """Return what a setting must be. Pydantic calls the characters of a secret items."""
    kind, context = error["type"], error.get("ctx", {})
    if kind.startswith("int"):
        return "must be a whole number"
    if kind.startswith("float"):
        return "must be a number"
    if kind.startswith("bool"):
        return "must be true or false"
    if kind == "literal_error":
        return f"must be {context['expected']}"
    words = error["msg"].partition(" after validation")[0].replace(" items", " characters")
    for theirs, ours in (
        ("Input should be ", "must be "),
        ("Value should have ", "must have "),
        ("Value error, ", ""),
    ):
        words = words.replace(theirs, ours)
    return words
