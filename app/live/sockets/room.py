"""The sockets of one process that watch one production: each is told each entry once, in order.

A socket that takes what it is sent gets entries as they are read for all. One that asks for earlier
ones, or reads slowly, is behind: it is read to from the log, at its own pace, until it has got
where the room is. So what waits for it stays small however much was written. One that takes nothing
for long is dropped.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_json

from app.entities import root
from app.errors import LogTrimmed, Unavailable
from app.live.feed.entries import FeedEntry, Page
from app.live.feed.hub import Hub
from app.live.feed.subscriber import Subscriber
from app.live.sockets.limits import SocketLimits
from app.live.sockets.member import Member
from app.live.sockets.messages import of_room
from app.live.sockets.requests import error_ack
from app.live.sockets.send_queue import SendQueue, event
from app.model.schemas import known_uuid

# Of one entry more are not sent to all at once: a production's label stands in every row.
_MANY: Final = 100


def plain(key: str) -> str:
    """Give a key in the one spelling in which it is compared: a uuid has several."""
    uuid = known_uuid(key)
    return str(uuid) if uuid else key


class Room:
    """A production that is watched here. ``outbox`` gives a socket's queue while it is there."""

    def __init__(
        self,
        uuid: UUID,
        label: str,
        hub: Hub,
        outbox: Callable[[str], SendQueue | None],
        limits: SocketLimits,
    ) -> None:
        self.uuid, self.label = uuid, label
        self.seq = 0
        """The number of the last entry that was told to all."""
        self.keys: set[str] = set()
        """What clients have called it, of what it is called now."""
        self._gone = False
        self.members: dict[str, Member] = {}
        self._hub, self._outbox, self._limits = hub, outbox, limits
        self._watch: Subscriber | None = None

    async def open(self, seq: int) -> None:
        """Begin to watch after the number at which it was called so. Raises Unavailable, NotFound
        and what the database does."""
        try:
            watch = await self._hub.subscribe(self.uuid, self._hear, seq, on_trimmed=self._trimmed)
        except LogTrimmed:
            raise Unavailable("The log was trimmed just now: try again in a moment.") from None
        self._watch, self.seq = watch, watch.seq

    def found(self, label: str, seq: int) -> None:
        """Note what it was called, and that it was not deleted, at a number of its log."""
        if seq >= self.seq:
            self.label, self._gone = label, False

    def called(self, key: str) -> None:
        """Note what a client calls it, if that is still right: it is found by that without a look
        into the database."""
        if not self._gone and (key == self.label or known_uuid(key) == self.uuid):
            self.keys.add(plain(key))

    async def close(self) -> None:
        """Watch no more."""
        if self._watch is not None:
            await self._watch.close()

    def enter(self, socket: str) -> None:
        """Tell a socket what is written from now on, unless it is told already."""
        if socket not in self.members:
            self.members[socket] = Member(self.seq)

    def enter_after(self, socket: str, since: int) -> None:
        """Tell a socket what was written after a number, whatever it was told before."""
        self.leave(socket)
        member = self.members[socket] = Member(since)
        self._fall_behind(socket, member)

    def leave(self, socket: str) -> None:
        """Tell a socket nothing more."""
        if member := self.members.pop(socket, None):
            member.rest()

    def say(self, name: str, payload: str, *, but: str = "") -> None:
        """Send all sockets but one an event that is no entry's."""
        packet = event(name, payload)
        for socket in tuple(self.members):
            if socket != but and (outbox := self._outbox(socket)):
                outbox.put_nowait(packet)

    def described(self) -> dict[str, Any]:
        """Give what an acknowledgement says of the room."""
        return {"productionId": self.label, "productionUuid": str(self.uuid), "seq": self.seq}

    # Entries

    async def _hear(self, entries: Sequence[FeedEntry]) -> None:
        for entry in entries:
            self._tell(entry)
            self.seq = entry.seq
            if entry.collection == root().collection:
                self._renamed(entry)
            await asyncio.sleep(0)  # so that what was put is taken before the next

    def _tell(self, entry: FeedEntry) -> None:
        packets = [event(*message) for message in of_room(entry)]
        for socket, member in tuple(self.members.items()):
            outbox = self._outbox(socket) if member.live and entry.seq > member.after else None
            if outbox is None:
                continue
            if len(packets) > _MANY or self._is_full(outbox):
                self._fall_behind(socket, member)
                continue
            for packet in packets:
                outbox.put_nowait(packet)
            member.after = entry.seq

    def _is_full(self, outbox: SendQueue) -> bool:
        return outbox.qsize() > self._limits.packets // 8 or outbox.size > self._limits.waiting // 8

    def _renamed(self, entry: FeedEntry) -> None:
        """Forget what it was called: that may name another by now, or nothing."""
        self.label = str((entry.body or {}).get("id") or self.label)
        self._gone = entry.operation == "DELETE"
        self.keys.clear()

    async def _trimmed(self, lost: LogTrimmed) -> None:
        self.seq = lost.members["latest"]
        self.keys.clear()  # a new name may have been lost
        for member in self.members.values():
            member.begin_after(self.seq)  # lower than before, where the database is from a backup
        self.say("resync", self._lost(lost))

    def _lost(self, lost: LogTrimmed) -> str:
        return to_json({**self.described(), **error_ack(lost)}).decode()

    # Those who are behind

    def _fall_behind(self, socket: str, member: Member) -> None:
        member.live = False
        member.task = asyncio.create_task(self._catch_up(socket, member))

    async def _catch_up(self, socket: str, member: Member) -> None:
        while outbox := self._outbox(socket):
            told = self.seq
            page = await self._hub.read(self.uuid, member.after)
            try:
                await self._read_page(outbox, member, page)
            except TimeoutError:
                outbox.overflow()
                return
            nothing = not page.entries and page.lost is None
            # What all were told while it was read may have followed what was read.
            if member.after >= self.seq or (nothing and self.seq == told):
                member.live, member.task = True, None
                return

    async def _read_page(self, outbox: SendQueue, member: Member, page: Page) -> None:
        if page.lost is not None:
            member.after = page.latest
            outbox.put_nowait(event("resync", self._lost(page.lost)))
        for entry in page.entries:
            await self._read_to(outbox, entry)
            member.after = entry.seq

    async def _read_to(self, outbox: SendQueue, entry: FeedEntry) -> None:
        for message in of_room(entry):
            outbox.put_nowait(event(*message))
            if self._is_full(outbox):
                async with asyncio.timeout(self._limits.patience):
                    await outbox.sent()
