"""The sockets of one process that watch one production: each gets each entry once, in order.

A socket that takes what it is sent gets entries as they are read for all. One that asks for earlier
entries, or reads slowly, is behind: it has a subscription of its own, which reads the log at the
socket's pace until it is where the room is. So what waits for it stays small however much was
written. One that takes nothing for long is dropped.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_json

from app.entities import root
from app.errors import LogTrimmed
from app.live.feed.entries import FeedEntry
from app.live.feed.subscription import OnEntries, OnTrimmed, Subscription
from app.live.sockets.limits import SocketLimits
from app.live.sockets.messages import of_room
from app.live.sockets.send_queue import FindQueue, SendQueue, event
from app.model.schemas import known_uuid

Resume = Callable[[UUID, OnEntries, int, OnTrimmed], Subscription]
# An entry of more events is not sent to all at once: a production's label stands in every row.
_MOST_EVENTS: Final = 100


def canonical_key(key: str) -> str:
    """Return a key in the one spelling in which it is compared: a uuid has several."""
    uuid = known_uuid(key)
    return str(uuid) if uuid else key


@dataclass(slots=True)
class _Member:
    """A socket in the room: up to where it was sent entries, and its catch-up while behind."""

    after: int
    catch_up: Subscription | None = None

    def stop_catch_up(self) -> None:
        if self.catch_up is not None:
            self.catch_up.stop()
            self.catch_up = None


class Room:
    """A production that is watched here.

    ``resume`` subscribes to it once more, after a number.
    """

    def __init__(
        self, uuid: UUID, label: str, resume: Resume, send_queue: FindQueue, limits: SocketLimits
    ) -> None:
        self.uuid, self.label = uuid, label
        self.seq = 0
        """The number of the last entry that was sent to all."""
        self.keys: set[str] = set()
        """The keys by which clients have named it, and that still name it."""
        self.members: dict[str, _Member] = {}
        self._is_deleted = False
        self._resume, self._send_queue, self._limits = resume, send_queue, limits
        self._subscription: Subscription | None = None

    def open(self, subscription: Subscription) -> None:
        """Begin where a subscription begins that calls ``on_entries`` and ``on_trimmed``."""
        self._subscription, self.seq = subscription, subscription.seq

    def set_label(self, label: str, seq: int) -> None:
        """Take over the label that a live production had at this number of its log."""
        if seq >= self.seq:
            self.label, self._is_deleted = label, False

    def add_key(self, key: str) -> None:
        """Remember a key while it names the production: joins by it need no look-up."""
        if not self._is_deleted and (key == self.label or known_uuid(key) == self.uuid):
            self.keys.add(canonical_key(key))

    async def close(self) -> None:
        if self._subscription is not None:
            await self._subscription.close()

    def enter(self, socket: str) -> None:
        """Send a socket what is written from now on, unless it is in the room already."""
        if socket not in self.members:
            self.members[socket] = _Member(self.seq)

    def enter_after(self, socket: str, since: int) -> None:
        """Send a socket what was written after a number, whatever it was sent before."""
        self.leave(socket)
        member = self.members[socket] = _Member(since)
        if since < self.seq:
            self._fall_behind(socket, member)

    def leave(self, socket: str) -> None:
        if member := self.members.pop(socket, None):
            member.stop_catch_up()

    def send(self, name: str, payload: str, *, exclude: str = "") -> None:
        """Send all sockets but one an event that belongs to no entry."""
        packet = event(name, payload)
        for socket in tuple(self.members):
            if socket != exclude and (queue := self._send_queue(socket)):
                queue.put_nowait(packet)

    def described(self) -> dict[str, Any]:
        """Return what an acknowledgement says of the room."""
        return {"productionId": self.label, "productionUuid": str(self.uuid), "seq": self.seq}

    async def on_entries(self, entries: Sequence[FeedEntry]) -> None:
        """Send entries to all sockets that are not behind."""
        for entry in entries:
            self._fan_out(entry)
            self.seq = entry.seq
            if entry.collection == root().collection:
                self._read_label(entry)
            await asyncio.sleep(0)  # so that sockets can send before the next is queued

    def _fan_out(self, entry: FeedEntry) -> None:
        packets = [event(*message) for message in of_room(entry)]
        for socket, member in tuple(self.members.items()):
            if member.catch_up is not None or entry.seq <= member.after:
                continue
            queue = self._send_queue(socket)
            if queue is None:
                continue
            if len(packets) > _MOST_EVENTS or self._is_full(queue):
                self._fall_behind(socket, member)
                continue
            for packet in packets:
                queue.put_nowait(packet)
            member.after = entry.seq

    def _is_full(self, queue: SendQueue) -> bool:
        return queue.qsize() > self._limits.packets // 8 or queue.size > self._limits.waiting // 8

    def _read_label(self, entry: FeedEntry) -> None:
        """Forget the keys: by now they may name another production, or none."""
        self.label = str((entry.body or {}).get("id") or self.label)
        self._is_deleted = entry.operation == "DELETE"
        self.keys.clear()

    async def on_trimmed(self, gap: LogTrimmed) -> None:
        """Send all sockets ``resync``, and go on from the newest number."""
        self.seq = gap.members["latest"]
        self.keys.clear()  # the lost entries may have changed the label
        for member in self.members.values():
            member.stop_catch_up()
            member.after = self.seq  # lower than before if the database was restored from a backup
        self.send("resync", self._resync(gap))

    def _resync(self, gap: LogTrimmed) -> str:
        return to_json({**self.described(), **gap.acknowledgement()}).decode()

    def _fall_behind(self, socket: str, member: _Member) -> None:
        on_entries = partial(self._catch_up, socket, member)
        on_trimmed = partial(self._skip, socket, member)
        member.catch_up = self._resume(self.uuid, on_entries, member.after, on_trimmed)

    async def _catch_up(self, socket: str, member: _Member, entries: Sequence[FeedEntry]) -> None:
        queue, catch_up = self._send_queue(socket), member.catch_up
        assert catch_up is not None, "it delivers"
        if queue is None:
            catch_up.stop()
            return
        try:
            for entry in entries:
                await self._send_slowly(queue, entry)
                member.after = entry.seq
        except TimeoutError:
            queue.overflow()
            catch_up.stop()
        else:
            self._rejoin(member)

    async def _send_slowly(self, queue: SendQueue, entry: FeedEntry) -> None:
        """Queue an entry's events, as fast as the socket takes them. Raises TimeoutError."""
        for message in of_room(entry):
            queue.put_nowait(event(*message))
            if self._is_full(queue):
                async with asyncio.timeout(self._limits.patience):
                    await queue.wait_until_empty()

    async def _skip(self, socket: str, member: _Member, gap: LogTrimmed) -> None:
        if queue := self._send_queue(socket):
            queue.put_nowait(event("resync", self._resync(gap)))
        member.after = gap.members["latest"]
        self._rejoin(member)

    def _rejoin(self, member: _Member) -> None:
        """End the catch-up if the socket is where the room is."""
        if member.after >= self.seq:
            member.stop_catch_up()
