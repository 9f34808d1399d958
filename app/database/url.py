"""Reads DATABASE_URL in every form a hosting platform hands it out. Standard library only.

Everything in the URL is used as it stands, with three deliberate exceptions:

- `schema=` (Prisma) or `currentSchema=` (JDBC) other than `public` is rejected, because the
  migrations and the drift check look at `public`: give Signalbook its own database instead.
- several hosts are rejected: change numbers and LISTEN need the one primary.
- members that asyncpg has no use for (`channel_binding`, ...) are dropped, and named in `ignored`.

No message, `str()` or `repr()` made here ever contains the password.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote, unquote
from uuid import uuid4

from app.database.tls import BadDatabaseUrl, Tls, read_tls

__all__ = ["DEFAULT_TIMEOUT", "BadDatabaseUrl", "DatabaseUrl"]

DEFAULT_TIMEOUT: Final = 10.0  # seconds; asyncpg's own 60 outlasts a platform's health check

# In these, SQLAlchemy and browsers write a space as "+". Anywhere else a "+" is a "+".
_FREE_TEXT: Final = {"application_name", "fallback_application_name", "options"}
_IPV6: Final = r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]+(%[\w.-]+)?"
# What a platform should have replaced by a value: ${{A.B}}, ${A}, $A, %A%, {{A}}.
_REFERENCE: Final = r"\$?\{+[^{}]*\}+|\$[A-Za-z_]\w*|%[A-Za-z_]\w*%"
_BRACED: Final = r"\$\{\w+\}"
_DOUBLE: Final = re.compile(r"\$?\{\{[^{}]*\}\}")
_ENCODE_HINT: Final = "write a /, ?, # or @ inside the user or password as %2F, %3F, %23, %40"


@dataclass(frozen=True, kw_only=True, repr=False)
class DatabaseUrl:
    """Where the database is and how to sign in.

    `host` is a name, an address, or a Unix socket's folder; `timeout` is in seconds, None for ever
    (`connect_timeout=0`); `pgbouncer` means a pooler that cannot keep prepared statements.
    """

    host: str = "localhost"
    port: int = 5432
    user: str = "postgres"
    password: str | None = None
    database: str = "postgres"
    tls: Tls = field(default_factory=Tls)
    timeout: float | None = DEFAULT_TIMEOUT
    application_name: str = "signalbook"
    options: str = ""
    target_session_attrs: str = ""
    pgbouncer: bool = False
    ignored: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "DatabaseUrl":
        """Read a URL as pasted. Raises BadDatabaseUrl.

        Missing parts: host localhost, port 5432, user postgres, database named as the user. As in
        libpq, a query member (`?host=`, `?user=`, ...) wins over the part before the question mark.
        """
        authority, path, query = _split(text)
        login, _, server = authority.rpartition("@")
        name, _, secret = login.partition(":")
        member = _members(query)
        _raise_if_other_schema(member)
        user = member.pop("user", "") or _decoded(name, "user") or cls.user
        password = member.pop("password", "") or _decoded(secret, "password")
        database = member.pop("dbname", "") or member.pop("database", "") or path or user
        host, port = _server(server, member)
        return cls(host=host, port=port, user=user, password=password or None, database=database,
                   tls=read_tls(member), **_session(member),
                   ignored=tuple(sorted(member)))  # fmt: skip

    @classmethod
    def from_setting(cls, text: str, setting: str) -> "DatabaseUrl":
        """Read the URL of a setting, and the files that it names, without connecting.

        Raises BadDatabaseUrl, which then names that setting.
        """
        try:
            url = cls.parse(text)
            url.connect_args()
        except BadDatabaseUrl as bad:
            raise BadDatabaseUrl(bad.reason, setting) from None
        return url

    def connect_args(self, **settings: str) -> dict[str, Any]:
        """Return keyword arguments for `asyncpg.connect`, with these settings of the session."""
        names = ("host", "port", "user", "password", "database")
        args = {name: getattr(self, name) for name in names} | self._driver_args()
        args["server_settings"] |= settings
        return args

    def sqlalchemy_url(self) -> str:
        """Return the `postgresql+asyncpg://` form, WITH the password: never log it."""
        return self._rendered("postgresql+asyncpg", self.password)

    def sqlalchemy_connect_args(self) -> dict[str, Any]:
        """Return `create_async_engine(connect_args=)`: what `sqlalchemy_url()` cannot carry."""
        args = self._driver_args()
        if self.pgbouncer:
            # Unique names, or two clients of one pooled connection prepare the same one.
            args |= {"prepared_statement_cache_size": 0,
                     "prepared_statement_name_func": lambda: f"sb_{uuid4()}"}  # fmt: skip
        return args

    def with_database(self, name: str) -> "DatabaseUrl":
        """Return the same server and sign-in, another database. Raises BadDatabaseUrl."""
        if not name or "\0" in name:
            raise BadDatabaseUrl("needs a database name that is neither empty nor contains NUL")
        return replace(self, database=name)

    def redacted(self) -> str:
        """Return the URL for people and logs: *** in place of the password."""
        return self._rendered("postgresql", None if self.password is None else "***")

    __str__ = redacted

    def __repr__(self) -> str:
        return f"DatabaseUrl({self.redacted()!r})"

    def _rendered(self, scheme: str, password: str | None) -> str:
        secret = "" if password is None else ":" + quote(password, safe="*")
        login = f"{scheme}://{quote(self.user, safe='')}{secret}@"
        database = quote(self.database, safe="")
        if self.host.startswith("/"):
            return f"{login}/{database}?host={quote(self.host)}&port={self.port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{login}{host}:{self.port}/{database}"

    def _driver_args(self) -> dict[str, Any]:
        settings = {"timezone": "UTC", "application_name": self.application_name}
        if self.options:
            settings["options"] = self.options
        local = self.host.startswith("/")  # a socket carries no TLS, whatever the URL says
        ssl = "disable" if local else self.tls.argument()
        args = {"ssl": ssl, "timeout": self.timeout, "server_settings": settings}
        if self.tls.direct and not local:
            args["direct_tls"] = True
        if self.target_session_attrs:
            args["target_session_attrs"] = self.target_session_attrs
        if self.pgbouncer:
            args["statement_cache_size"] = 0
        return args


def _split(text: str) -> tuple[str, str, str]:
    """Return authority, decoded database and raw query of a pasted URL."""
    bare = text.strip(" \t\r\n\"'`")
    _raise_if_unresolved(bare)
    scheme, separator, rest = bare.partition("://")
    if not separator or not re.fullmatch(r"postgres(ql)?(\+\w+)?", scheme, re.IGNORECASE):
        problem = "must look like" if bare else "is empty: set it to"
        raise BadDatabaseUrl(f"{problem} postgresql://user:password@host:5432/database")
    if re.search(r"[\x00-\x1f\x7f]", rest):
        raise BadDatabaseUrl("contains a line break or another control character")
    location, _, query = rest.partition("?")
    authority, _, path = location.partition("/")
    if "@" in path + query:  # the password was cut in two; half of it would be taken for the host
        raise BadDatabaseUrl(f"has an @ after the host: {_ENCODE_HINT}")
    return authority, _decoded(path.rstrip("/"), "database"), query


def _raise_if_unresolved(bare: str) -> None:
    """Raise BadDatabaseUrl if the hosting platform has not replaced a reference to a variable."""
    whole = re.fullmatch(rf"{_REFERENCE}|<[^<>]*>|[{{}}]+", bare)
    authority = re.sub(r"[/?].*", "", bare.partition("://")[2])
    login, _, server = authority.rpartition("@")
    user, _, password = login.partition(":")
    inside = _DOUBLE.search(bare) or re.fullmatch(_BRACED, password)  # "$word" may be a password
    parts = (user, *server.rsplit(":", 1))
    if whole or inside or any(re.fullmatch(_REFERENCE, part) for part in parts):
        raise BadDatabaseUrl(
            "holds a reference to another variable that nobody has resolved, such as "
            "${{Postgres.DATABASE_URL}}: check the name of the service and of the variable it "
            "refers to, or set the address itself"
        )
    if re.fullmatch(r":@:?", authority):
        raise BadDatabaseUrl(
            "has neither user, password nor host: what it was put together from is empty"
        )


def _decoded(text: str, part: str) -> str:
    # No try/except: the UnicodeDecodeError would carry the password along as __context__.
    plain = unquote(text, errors="surrogateescape")
    if re.search(r"[\x00\ud800-\udfff]", plain):
        raise BadDatabaseUrl(f"has a {part} that is not UTF-8 text or contains NUL")
    return plain


def _members(query: str) -> dict[str, str]:
    """Return the query's members by lower-case name; of a repeated one the last counts."""
    members: dict[str, str] = {}
    for member in filter(None, query.split("&")):
        name, _, value = member.partition("=")
        if not re.fullmatch(r"[\w.-]+", name):
            raise BadDatabaseUrl(f"has an unreadable part after its question mark: {_ENCODE_HINT}")
        name = name.lower()
        members[name] = _decoded(value.replace("+", " ") if name in _FREE_TEXT else value, name)
    return members


def _raise_if_other_schema(member: dict[str, str]) -> None:
    for name in ("schema", "currentschema"):
        if member.pop(name, "public") not in {"", "public"}:
            raise BadDatabaseUrl(f"has a {name} other than public: use a database of its own")


def _server(server: str, member: dict[str, str]) -> tuple[str, int]:
    member_host, member_port = member.pop("host", ""), member.pop("port", "")
    # SQLAlchemy writes ?host=name:port
    if member_host.count(":") == 1 and not member_host.startswith("/"):
        server, member_host = member_host, ""
    host, port = _host_and_port(server)
    host = member_host or host or DatabaseUrl.host
    if "," in host + member_port:
        raise BadDatabaseUrl("names several hosts: name the primary only")
    if not re.fullmatch(rf"/.*|[\w.-]+|{_IPV6}", host):
        raise BadDatabaseUrl("has a host that is neither a name, an address nor a socket's folder")
    return host, _port(member_port or port)


def _host_and_port(server: str) -> tuple[str, str]:
    if "," in server:
        return server, ""
    bracketed = re.fullmatch(r"\[(.*)\](?::(.*))?", server)
    host, port = bracketed.groups("") if bracketed else server.partition(":")[::2]
    if ":" in port or (bracketed and not re.fullmatch(_IPV6, unquote(host))):
        raise BadDatabaseUrl("has a host with stray colons: an IPv6 address stands in [brackets]")
    return _decoded(host, "host"), port


def _port(text: str) -> int:
    if not text:
        return DatabaseUrl.port
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise BadDatabaseUrl(f"has a port that is not a number from 1 to 65535: {_ENCODE_HINT}")
    return int(text)


def _session(member: dict[str, str]) -> dict[str, Any]:
    fallback = member.pop("fallback_application_name", "") or DatabaseUrl.application_name
    return {
        "timeout": _timeout(member.pop("connect_timeout", "")),
        "application_name": member.pop("application_name", "") or fallback,
        "options": member.pop("options", ""),
        "target_session_attrs": member.pop("target_session_attrs", ""),
        "pgbouncer": member.pop("pgbouncer", "").lower() in {"true", "1"},
    }


def _timeout(text: str) -> float | None:
    if not text:
        return DEFAULT_TIMEOUT
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise BadDatabaseUrl("has a connect_timeout that is not a whole number of seconds")
    return float(text) if int(text) > 0 else None
