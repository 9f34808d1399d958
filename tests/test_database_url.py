"""DATABASE_URL in every form a platform hands out, judged by asyncpg and SQLAlchemy themselves."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import certifi
import pytest
from asyncpg import connect_utils
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from app.database.url import DEFAULT_TIMEOUT, BadDatabaseUrl, DatabaseUrl

SECRET = "zQ7xSecretWord"
PLAIN_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def asyncpg_understanding(url: DatabaseUrl) -> tuple[Any, Any]:
    """Return the addresses and parameters asyncpg makes of connect_args()."""
    given: dict[str, Any] = dict.fromkeys(
        (
            "dsn",
            "passfile",
            "service",
            "servicefile",
            "direct_tls",
            "target_session_attrs",
            "krbsrvname",
            "gsslib",
        )
    )
    given |= url.connect_args()
    given.pop("timeout"), given.pop("statement_cache_size", None)
    # Private, and absent from the stubs: what it makes of our arguments is what will be connected.
    addresses, parameters = vars(connect_utils)["_parse_connect_dsn_and_args"](**given)
    return addresses, parameters


def sqlalchemy_understanding(url: DatabaseUrl) -> dict[str, Any]:
    """Return the keyword arguments SQLAlchemy hands to asyncpg for sqlalchemy_url()."""
    parsed = make_url(url.sqlalchemy_url())
    return dict(parsed.get_dialect()().create_connect_args(parsed)[1])


@pytest.mark.parametrize(
    "scheme",
    [
        "postgres",
        "postgresql",
        "POSTGRES",
        "PostgreSQL",
        "postgresql+asyncpg",
        "postgres+asyncpg",
        "postgresql+psycopg",
        "postgresql+psycopg2",
    ],
)
def test_every_scheme_is_the_same_database(scheme: str) -> None:
    url = DatabaseUrl.parse(f"{scheme}://ann:pw@db.example:6543/show")
    assert url == DatabaseUrl(
        host="db.example", port=6543, user="ann", password="pw", database="show"
    )
    assert make_url(url.sqlalchemy_url()).drivername == "postgresql+asyncpg"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://", ("localhost", 5432, "postgres", None, "postgres")),
        ("postgresql:///show", ("localhost", 5432, "postgres", None, "show")),
        ("postgresql://h", ("h", 5432, "postgres", None, "postgres")),
        ("postgresql://ann@h", ("h", 5432, "ann", None, "ann")),
        ("postgresql://ann:@h/", ("h", 5432, "ann", None, "ann")),
        ("postgresql://:pw@h:1/d", ("h", 1, "postgres", "pw", "d")),
        ("postgresql://ann:p%40%2F%25%3A%3F@h/d%2Fe", ("h", 5432, "ann", "p@/%:?", "d/e")),
        ("postgresql://ann%40tenant:pw@h/d", ("h", 5432, "ann@tenant", "pw", "d")),
        ("postgresql://ann:a@b@h/d", ("h", 5432, "ann", "a@b", "d")),
        ("postgresql://ann:a+b#c@h/d", ("h", 5432, "ann", "a+b#c", "d")),
        ("postgresql://ann:100%@h/d", ("h", 5432, "ann", "100%", "d")),
        ("postgresql://%C3%A4nn:%E2%82%AC@h/b%C3%BChne", ("h", 5432, "änn", "€", "bühne")),
        ("postgresql://änn:€@h/bühne", ("h", 5432, "änn", "€", "bühne")),
        ("postgresql://ann@[2001:db8::7]:6543/d", ("2001:db8::7", 6543, "ann", None, "d")),
        ("postgresql://ann@[::1]/d", ("::1", 5432, "ann", None, "d")),
        ("postgresql://ann@[fe80::1%25eth0]/d", ("fe80::1%eth0", 5432, "ann", None, "d")),
        ("postgresql://ann@/d?host=/run/pg", ("/run/pg", 5432, "ann", None, "d")),
        (
            "postgresql://ann:pw@localhost/d?host=/cloudsql/p:r:i",
            ("/cloudsql/p:r:i", 5432, "ann", "pw", "d"),
        ),
        ("postgresql://ann@%2Frun%2Fpg:6543/d", ("/run/pg", 6543, "ann", None, "d")),
        (
            "postgresql:///?host=h&port=7&user=a&password=p%26w+x&dbname=d",
            ("h", 7, "a", "p&w+x", "d"),
        ),
        ("postgresql://ann@/d?host=h:6543", ("h", 6543, "ann", None, "d")),
        ("postgresql://ann@/d?host=::1", ("::1", 5432, "ann", None, "d")),
    ],
)
def test_parts(text: str, expected: tuple[object, ...]) -> None:
    url = DatabaseUrl.parse(text)
    assert (url.host, url.port, url.user, url.password, url.database) == expected


@pytest.mark.parametrize("dress", ["{}", "  {}\n", '"{}"', "'{}'", ' "{}" \r\n', "`{}`"])
def test_whitespace_and_quotes_pasted_with_the_url(dress: str) -> None:
    assert DatabaseUrl.parse(
        dress.format("postgres://a:b@h/d?sslmode=require")
    ) == DatabaseUrl.parse("postgres://a:b@h/d?sslmode=require")


@given(user=PLAIN_TEXT, password=PLAIN_TEXT, database=PLAIN_TEXT)
def test_any_text_reaches_both_drivers_unchanged(user: str, password: str, database: str) -> None:
    parts = [quote(part, safe="") for part in (user, password, database)]
    url = DatabaseUrl.parse("postgres://{}:{}@h/{}".format(*parts))
    _, asyncpg = asyncpg_understanding(url)
    assert (asyncpg.user, asyncpg.password, asyncpg.database) == (user, password, database)
    assert sqlalchemy_understanding(url) == {
        "host": "h",
        "port": 5432,
        "user": user,
        "password": password,
        "database": database,
    }


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ("@db.example:6543/d", ("db.example", 6543)),
        ("@[::1]/d", ("::1", 5432)),
        ("@[fe80::1%25eth0]/d", ("fe80::1%eth0", 5432)),
        ("@/d?host=/run/a b&port=7", "/run/a b/.s.PGSQL.7"),
        ("@/d?host=/cloudsql/p:r:i", "/cloudsql/p:r:i/.s.PGSQL.5432"),
    ],
)
def test_both_drivers_go_to_the_same_address(place: str, address: object) -> None:
    url = DatabaseUrl.parse(f"postgres://ann{place}")
    assert asyncpg_understanding(url)[0] == [address]
    arguments = sqlalchemy_understanding(url)
    host, port = arguments["host"], arguments["port"]
    assert (f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)) == address


@pytest.mark.parametrize(
    ("query", "argument"),
    [
        ("", "prefer"),
        ("?sslmode=disable", "disable"),
        ("?sslmode=allow", "allow"),
        ("?sslmode=prefer", "prefer"),
        ("?sslmode=require", "require"),
        ("?ssl=true", "require"),
        ("?ssl=require", "require"),
        ("?SSLMODE=Require", "require"),
        ("?ssl=false", "disable"),
        ("?sslmode=no-verify", "require"),
        ("?sslmode=prefer&sslrootcert=/none.pem", "prefer"),
    ],
)
def test_modes_that_asyncpg_does_itself(query: str, argument: str) -> None:
    assert DatabaseUrl.parse(f"postgres://h/d{query}").connect_args()["ssl"] == argument


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide this machine's ~/.postgresql and PGSSL... from asyncpg."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGSSLCRL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_home")
@pytest.mark.parametrize(
    ("query", "verified", "name_checked"),
    [
        ("sslmode=require", ssl.CERT_NONE, False),
        ("sslmode=require&sslrootcert={}", ssl.CERT_REQUIRED, False),
        ("sslmode=verify-ca", ssl.CERT_REQUIRED, False),
        ("sslmode=verify_ca&sslrootcert={}", ssl.CERT_REQUIRED, False),
        ("sslmode=verify-full", ssl.CERT_REQUIRED, True),
        ("sslmode=verify-full&sslrootcert={}", ssl.CERT_REQUIRED, True),
        ("sslrootcert=system", ssl.CERT_REQUIRED, True),
    ],
)
def test_what_is_verified(query: str, verified: object, name_checked: object) -> None:
    url = DatabaseUrl.parse("postgres://h/d?" + query.format(certifi.where()))
    _, parameters = asyncpg_understanding(url)
    assert parameters.sslmode >= parameters.sslmode.require  # no fall-back to plain text
    assert (parameters.ssl.verify_mode, parameters.ssl.check_hostname) == (verified, name_checked)


def test_the_root_certificate_replaces_the_trust_store() -> None:
    url = DatabaseUrl.parse(f"postgres://h/d?sslmode=verify-full&sslrootcert={certifi.where()}")
    alone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    alone.load_verify_locations(certifi.where())
    assert url.connect_args()["ssl"].get_ca_certs() == alone.get_ca_certs()


@pytest.mark.parametrize(
    "query",
    [
        "sslmode=verify-full&sslrootcert=/none.pem",
        "sslmode=require&sslcert=/none.pem",
        "sslmode=verify-ca&sslcrl=/none.pem",
        "sslmode=require&sslcert={}",
    ],
)
def test_an_unusable_certificate_file_is_named(query: str) -> None:
    url = DatabaseUrl.parse(f"postgres://a:{SECRET}@h/d?{query.format(certifi.where())}")
    with pytest.raises(BadDatabaseUrl, match=r"TLS certificate.*\.pem") as refused:
        url.connect_args()
    assert SECRET not in str(refused.value)


def test_a_socket_carries_no_tls() -> None:
    url = DatabaseUrl.parse("postgres:///d?host=/run/pg&sslmode=verify-full&sslrootcert=/none.pem")
    assert url.connect_args()["ssl"] == "disable"


def test_direct_tls() -> None:
    url = DatabaseUrl.parse("postgres://h/d?sslmode=require&sslnegotiation=direct")
    assert url.connect_args()["direct_tls"] is True
    assert asyncpg_understanding(url)[1].ssl_negotiation.value == "direct"


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        ("", "timeout", DEFAULT_TIMEOUT),
        ("connect_timeout=3", "timeout", 3.0),
        ("connect_timeout=0", "timeout", None),
        ("", "server_settings", {"timezone": "UTC", "application_name": "signalbook"}),
        (
            "application_name=Show+Truck%202",
            "server_settings",
            {"timezone": "UTC", "application_name": "Show Truck 2"},
        ),
        (
            "fallback_application_name=x",
            "server_settings",
            {"timezone": "UTC", "application_name": "x"},
        ),
        (
            "options=-c%20lock_timeout%3D5s+-c+geqo=off",
            "server_settings",
            {
                "timezone": "UTC",
                "application_name": "signalbook",
                "options": "-c lock_timeout=5s -c geqo=off",
            },
        ),
        (
            "application_name=50%2525",
            "server_settings",
            {"timezone": "UTC", "application_name": "50%25"},
        ),
        ("target_session_attrs=read-write", "target_session_attrs", "read-write"),
        ("pgbouncer=true", "statement_cache_size", 0),
    ],
)
def test_members_that_are_honoured(query: str, name: str, value: object) -> None:
    url = DatabaseUrl.parse(f"postgres://h/d?{query}")
    assert url.connect_args()[name] == url.sqlalchemy_connect_args()[name] == value


def test_members_nobody_can_use_are_dropped_and_named() -> None:
    url = DatabaseUrl.parse(
        "postgres://h/d?channel_binding=require&schema=public&pool_timeout=9"
        "&connection_limit=5&pgbouncer=false&gssencmode=disable&flag&x="
    )
    assert url.ignored == (
        "channel_binding",
        "connection_limit",
        "flag",
        "gssencmode",
        "pool_timeout",
        "x",
    )
    assert set(url.connect_args()) == {
        "host",
        "port",
        "user",
        "password",
        "database",
        "ssl",
        "timeout",
        "server_settings",
    }
    assert "channel_binding" not in url.sqlalchemy_url()


def test_a_pooler_gets_no_two_statements_of_one_name() -> None:
    url = DatabaseUrl.parse("postgres://h/d?pgbouncer=true")
    arguments = url.sqlalchemy_connect_args()
    assert arguments["prepared_statement_cache_size"] == 0
    name: Callable[[], str] = arguments["prepared_statement_name_func"]
    assert name() != name()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (' "" ', "is empty"),
        ("${{Postgres.DATABASE_URL}}", "nobody has resolved"),
        (f"mysql://a:{SECRET}@h/d", "must look like"),
        (f"a:{SECRET}@h/d", "must look like"),
        (f"postgres:/a:{SECRET}@h/d", "must look like"),
        (f"postgres://a:x/{SECRET}@h/d", "%2F"),
        (f"postgres://a:x?{SECRET}@h/d", "%3F"),
        (f"postgres://a:{SECRET}/@h/d", "%2F"),
        (f"postgres://a:1?{SECRET}@h/d", "%3F"),
        (f"postgres://a:1?{SECRET}=@h/d", "%3F"),
        (f"postgres://a:{SECRET}", "port"),
        (f"postgres://a:{SECRET}@h:0/d", "port"),
        (f"postgres://a:{SECRET}@h:65536/d", "port"),
        (f"postgres://a:{SECRET}@h:²/d", "port"),
        (f"postgres://a:{SECRET}%00@h/d", "NUL"),
        (f"postgres://a:{SECRET}%FF@h/d", "UTF-8"),
        (f"postgres://a:{SECRET}\n@h/d", "line break"),
        (f"postgres://a:{SECRET}@::1/d", "brackets"),
        (f"postgres://a:{SECRET}@[h]/d", "brackets"),
        (f"postgres://a:{SECRET}@[::1]x/d", "brackets"),
        (f"postgres://a:{SECRET}@h i/d", "host"),
        (f"postgres://a:{SECRET}@h1:1,h2:2/d", "several hosts"),
        (f"postgres://a:{SECRET}@/d?host=h1,h2", "several hosts"),
        (f"postgres://a:{SECRET}@h/d?sslmode=on", "verify-full"),
        (f"postgres://a:{SECRET}@h/d?sslnegotiation=direct", "sslmode=require"),
        (f"postgres://a:{SECRET}@h/d?connect_timeout=soon", "whole number"),
        (f"postgres://a:{SECRET}@h/d?schema=shows", "chema other than public"),
        (f"postgres://a:{SECRET}@h/d?currentSchema=shows", "chema other than public"),
    ],
)
def test_refusals_say_why_and_keep_the_password(text: str, words: str) -> None:
    with pytest.raises(BadDatabaseUrl, match=words) as refused:
        DatabaseUrl.parse(text)
    assert str(refused.value).startswith("DATABASE_URL ")
    assert SECRET not in str(refused.value)
    assert refused.value.__context__ is None  # a chained ValueError would quote the text


@given(before=st.text(":/@?#[]%&=,1a", max_size=4), after=st.text(":/@?#[]%&=,1a", max_size=4))
def test_no_refusal_ever_contains_the_password(before: str, after: str) -> None:
    refusal, password = "", SECRET
    try:
        password = DatabaseUrl.parse(f"postgres://ann:{before}{SECRET}{after}@h:1/d").password or ""
    except BadDatabaseUrl as refused:
        refusal = str(refused)
    assert SECRET not in refusal
    assert SECRET in password


@pytest.mark.parametrize("show", [str, repr, DatabaseUrl.redacted, "{}".format])
def test_no_display_contains_the_password(show: Callable[[DatabaseUrl], str]) -> None:
    url = DatabaseUrl.parse(f"postgres://ann:{SECRET}@h:1/d?sslmode=require&sslpassword={SECRET}")
    assert SECRET not in show(url)
    assert SECRET not in repr(url.tls)
    assert "postgresql://ann:***@h:1/d" in show(url)


def test_another_database_on_the_same_server() -> None:
    url = DatabaseUrl.parse("postgres://ann:pw@h:1/d?sslmode=require")
    other = url.with_database("a/b")
    assert (other.database, other.user, other.tls) == ("a/b", "ann", url.tls)
    assert make_url(other.sqlalchemy_url()).database == "a/b"
    with pytest.raises(BadDatabaseUrl):
        url.with_database("")
