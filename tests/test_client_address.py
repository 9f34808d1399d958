"""The client's address: behind the proxies that are set, and never one that the client chose."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.access.client_address import ProxyMiddleware, address_of, network_of
from app.settings import BadSettings, Settings, load_settings
from tests.support.service import service

OURS = "10.0.0.0/8"


def found(
    peer: str, proxies: tuple[str, ...], *lines: str, header: str = "x-forwarded-for",
    proto: str | None = None, kind: str = "http",
) -> tuple[str, str]:  # fmt: skip
    """Return the address and the scheme of a request from a peer with these lines of a header."""
    headers = [(header.encode(), line.encode()) for line in lines]
    headers += [(b"x-forwarded-proto", proto.encode())] if proto else []
    scope = {"type": kind, "client": (peer, 5), "headers": headers,
             "scheme": "ws" if kind == "websocket" else "http"}  # fmt: skip
    handed: dict[str, Any] = {}

    async def note(scope: Any, *_: object) -> None:
        handed.update(scope)

    async def ask() -> None:
        await ProxyMiddleware(note, proxies, header)(scope, None, None)

    asyncio.run(ask())
    return address_of(handed), handed["scheme"]


@pytest.mark.parametrize(
    ("peer", "proxies", "lines", "address"),
    [
        ("10.0.0.1", (OURS,), ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", (OURS,), ["1.1.1.1, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", (OURS,), ["1.1.1.1", "203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", (OURS,), ["1.1.1.1,203.0.113.7 , 10.1.1.1,10.2.2.2"], "203.0.113.7"),
        ("10.0.0.1", (OURS,), ["10.3.3.3, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", (OURS,), ["10.3.3.3"], "10.3.3.3"),
        ("10.0.0.1", (OURS,), [], "10.0.0.1"),
        ("10.0.0.1", (OURS,), [""], "10.0.0.1"),
        ("10.0.0.1", (OURS,), ["203.0.113.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", (OURS,), ["203.0.113.7, \nfake"], "10.0.0.1"),
        ("10.0.0.1", (OURS,), ["203.0.113.7:4711"], "203.0.113.7"),
        ("10.0.0.1", (OURS,), ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("10.0.0.1", (OURS,), ["2001:DB8:0::7%eth0"], "2001:db8::7"),
        ("::ffff:10.0.0.1", (OURS,), ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("fd12::1", ("fd12::/16",), ["203.0.113.7"], "203.0.113.7"),
        ("192.0.2.1", (OURS,), ["203.0.113.7"], "192.0.2.1"),
        ("192.0.2.1", (), ["203.0.113.7"], "203.0.113.7"),
        ("192.0.2.1", ("1",), ["1.1.1.1, 203.0.113.7"], "203.0.113.7"),
        ("192.0.2.1", ("2",), ["1.1.1.1, 203.0.113.7, 198.51.100.1"], "203.0.113.7"),
        ("192.0.2.1", ("2",), ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", (OURS, "1"), ["203.0.113.7, 10.0.0.2"], "10.0.0.2"),
        ("192.0.2.1", (OURS, "1"), ["203.0.113.7"], "192.0.2.1"),
    ],
)  # fmt: skip
def test_the_first_from_the_right_that_is_no_proxy(
    peer: str, proxies: tuple[str, ...], lines: list[str], address: str
) -> None:
    assert found(peer, proxies, *lines)[0] == address
    assert found(peer, proxies, *lines, kind="websocket")[0] == address


@pytest.mark.parametrize(
    ("line", "address", "scheme"),
    [
        ("for=203.0.113.7;proto=https", "203.0.113.7", "https"),
        ('for=1.1.1.1, For="[2001:db8::7]:47";by=10.0.0.1;PROTO="https"', "2001:db8::7", "https"),
        ('for="1.1.1.1;proto=https, for=203.0.113.7;proto=http', "203.0.113.7", "http"),
        ("for=203.0.113.7, for=_hidden", "10.0.0.1", "http"),
        ("proto=https", "10.0.0.1", "https"),
    ],
)
def test_the_standard_header_too(line: str, address: str, scheme: str) -> None:
    assert found("10.0.0.1", (OURS,), line, header="forwarded") == (address, scheme)


def test_the_scheme_is_what_the_nearest_trusted_proxy_says() -> None:
    def scheme(peer: str, proto: str, kind: str = "http") -> str:
        return found(peer, (OURS,), "203.0.113.7", proto=proto, kind=kind)[1]

    assert scheme("10.0.0.1", "https") == "https"
    assert scheme("10.0.0.1", "https", "websocket") == "wss"
    assert scheme("10.0.0.1", "https, http") == "http"
    assert scheme("192.0.2.1", "https") == "http"


def test_addresses_of_one_customer_count_together() -> None:
    assert network_of("2001:db8:1:2:3::7") == network_of("2001:db8:1:2::1") == "2001:db8:1:2::/64"
    assert network_of("2001:db8:1:3::7") != network_of("2001:db8:1:2::7")
    assert network_of("203.0.113.7") == "203.0.113.7"
    assert network_of("unknown") == address_of({"client": None}) == "unknown"


@pytest.mark.parametrize("header", ["x-forwarded-for", "x-real-ip"])
def test_the_log_names_it(shared_database: str, header: str) -> None:
    said = {
        "x-forwarded-for": "203.0.113.7",
        "forwarded": "for=1.1.1.1",
        "x-real-ip": "203.0.113.8",
    }
    others = {"trusted_proxies": ("127.0.0.1",), "proxy_header": header}
    with service(shared_database, **others) as client, capture_logs() as lines:
        client.get("/livez", headers=said)
        client.get("/socket.io/?j=1", headers=said)
    logged = [line["address"] for line in lines if line["event"] in {"request", "socket refused"}]
    assert logged == [said[header]] * 2


def test_nobody_is_believed_unless_it_is_set(shared_database: str) -> None:
    said = {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https"}
    with service(shared_database) as client, capture_logs() as lines:
        client.get("/livez", headers=said)
    assert [line["address"] for line in lines if line["event"] == "request"] == ["127.0.0.1"]


@pytest.mark.parametrize("value", ["10.0.0.0/8, 2", "1", "::1,fd00::/8", ""])
def test_proxies_are_addresses_networks_and_a_number(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", value)
    parts = tuple(part.strip() for part in value.split(",") if part)
    assert load_settings().trusted_proxies == parts
    assert Settings.model_fields["trusted_proxies"].default == ()


@pytest.mark.parametrize("value", ["10.0.0.1/8", "proxy.local", "0", "1,2", "-1", "10.0.0.0/33"])
def test_anything_else_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", value)
    with pytest.raises(BadSettings, match="TRUSTED_PROXIES must be addresses, networks"):
        load_settings()
