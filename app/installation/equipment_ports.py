"""Which stored port each port of a request is, so that it keeps its uuid. Pure.

A port is the stored one whose uuid or text key the request names, else one of its direction with
its label. Rows of shows refer to ports by their uuid.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

Member = dict[str, Any]
"""A port or a card, by the names that answers have."""
Members = Sequence[Member]

DETAILS: Final = ("connector", "family", "link", "most", "direction", "loop")
"""What is kept of a port beside the older service's columns."""
_BLANK: Final = {"io_type": "", "label": None, "format": None}


def ports_after(
    stored: Members, inputs: Members | None, outputs: Members | None, pool: Members = ()
) -> list[Member]:
    """Return the ports of a device or a card as a request leaves them; None leaves a direction.

    ``pool`` are further ports that the request may name, as those of other cards.
    """
    lists = {"INPUT": inputs, "OUTPUT": outputs}
    requested = [
        {**port, "port_type": direction}
        for direction, ports in lists.items()
        for port in ports or ()
    ]
    twins = _Twins([*stored, *pool], stored)
    claimed = [twins.claim_key(port) for port in requested]
    after = [
        _merged(port, twin or twins.claim_label(port))
        for port, twin in zip(requested, claimed, strict=True)
    ]
    result: list[Member] = []
    for direction, ports in lists.items():
        before = [port for port in stored if port["port_type"] == direction]
        if ports is None:
            result += [port for port in before if port["id"] not in twins.claimed]
        else:
            result += _numbered([port for port in after if port["port_type"] == direction], before)
    return result


class _Twins:
    """The stored ports, of which each is the twin of one port of the request at most."""

    def __init__(self, pool: Members, stored: Members) -> None:
        self.claimed: set[str] = set()
        self._by_key = {port[key]: port for key in ("id", "uuid") for port in pool}
        self._stored = stored

    def claim_key(self, port: Member) -> Member | None:
        """Return the one that the port names."""
        names = ((port.get("uuid") or "").lower(), port.get("id"))
        return self._claim(self._by_key.get(name) for name in names if name)

    def claim_label(self, port: Member) -> Member | None:
        """Return the first that is left of the port's direction and label."""
        return self._claim(
            each
            for each in self._stored
            if (each["port_type"], each["label"]) == (port["port_type"], port.get("label"))
        )

    def _claim(self, twins: Iterator[Member | None]) -> Member | None:
        twin = next((each for each in twins if each and each["id"] not in self.claimed), None)
        if twin is not None:
            self.claimed.add(twin["id"])
        return twin


def _merged(port: Member, twin: Member | None) -> Member:
    """Return a port with the key of its twin, and as the twin is in what it does not say."""
    key, before = str(uuid4()), twin or {}
    details = {**_details(before), **_details(port)}
    return {
        "uuid": before.get("uuid", key), "id": before.get("id", key),
        "port_type": port["port_type"],
        **{name: port.get(name, before.get(name, blank)) for name, blank in _BLANK.items()},
        **{name: value for name, value in details.items() if value is not None},
    }  # fmt: skip


def _details(port: Mapping[str, Any]) -> Member:
    return {name: port[name] for name in DETAILS if name in port}


def _numbered(ports: Members, before: Members) -> list[Member]:
    """Return ports with their positions from 1; those of the older service keep their numbers."""
    if [port["id"] for port in ports] == [port["id"] for port in before]:
        indexes = [port["port_index"] for port in before]
    else:
        indexes = [*range(1, len(ports) + 1)]
    return [{**port, "port_index": index} for port, index in zip(ports, indexes, strict=True)]


def cards_after(stored: Members, cards: Members) -> list[Member]:
    """Return the cards of a device as a request leaves them; a card is the one in its slot."""
    by_slot = {card["slot_number"]: card for card in stored}
    pool = [port for card in stored for port in card["equipment_card_io"]]
    result = []
    for card in sorted(cards, key=lambda each: int(each["slot_number"])):
        slot = card["slot_number"]
        before = by_slot.get(slot, {"id": str(uuid4()), "equipment_card_io": []})
        own = [port for port in before["equipment_card_io"] if port in pool]
        ports = ports_after(own, card.get("inputs"), card.get("outputs"), pool)
        result.append({"id": before["id"], "slot_number": slot, "equipment_card_io": ports})
        ids = {port["id"] for port in ports}
        pool = [port for port in pool if port["id"] not in ids]
    return result


def port_rows(ports: Members, **owner: str) -> list[Member]:
    """Return ports as rows of their table; ``owner`` is the column that names what has them."""
    return [
        {name: value for name, value in port.items() if name not in DETAILS}
        | {**owner, "details": _details(port) or None}
        for port in ports
    ]
