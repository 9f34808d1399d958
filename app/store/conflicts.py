"""What others have changed since a client looked, and the refusal that lets people settle it."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from app.changelog import former_secrets, log
from app.database.database import DatabaseConnection
from app.entities import device_types, discovered
from app.errors import VersionConflict
from app.model.entity import Row, label_field
from app.model.schemas import known_uuid
from app.model.secret_fields import public, secret_members
from app.rules.merge import Base, Start
from app.rules.wording import member_words, moment_words, sentence, value_words
from app.sql.reads import statements
from app.store.references import device_type

Values = Mapping[str, Any]


@dataclass(frozen=True)
class ClientView:
    """A stored row beside what a client started from; ``uuids``: its production's and its own."""

    entity: type[Row]
    start: Start
    row: Values
    uuids: tuple[UUID, UUID]

    async def bases(self, connection: DatabaseConnection, submitted: Values) -> dict[str, Base]:
        """Return the fields that others changed since the client looked, with what it saw.

        All fields count, not only the submitted ones: a label may stand for a uuid.
        """
        entity, version = self.entity, self.row["version"]
        versions = self._outdated()
        if not versions:
            return {}
        behind = {entity.wire(name): at for name, at in versions.items() if at <= version}
        logged = await log.bases(connection, *self.uuids, version, behind) if behind else {}
        wires = {name: entity.wire(name) for name in versions}
        bases = {name: logged[wire] for name, wire in wires.items() if wire in logged}
        ahead = [name for name, at in versions.items() if at > version]
        bases |= {name: Base(is_known=False, changed=True) for name in ahead}
        if secrets := self._changed_secrets(versions, bases):
            row = self.uuids[1]
            bases |= await former_secrets.bases(connection, row, secrets, submitted)
        for label, name, kinds in self._labels(bases):
            if name in bases and label in submitted:
                bases[label] = await self._label_base(
                    connection, kinds, bases[name], submitted[label]
                )
        return bases

    def _outdated(self) -> dict[str, int]:
        """Return the version that the client saw of each field that may have changed since."""
        start, version = self.start, self.row["version"]
        if start == Start() or (start.version == version and not start.own):
            return {}
        fields = self.fields
        versions = {name: at for name in fields if (at := start.of(name)) is not None}
        if start.version is not None:
            return {name: at for name, at in versions.items() if at != version}
        stored = self._versions(fields)
        return {n: at for n, at in versions.items() if not stored.get(n, 1) <= at <= version}

    def _changed_secrets(
        self, versions: Mapping[str, int], bases: Collection[str]
    ) -> dict[str, int]:
        """Return the secrets that may have changed since these versions, as the row itself says."""
        last = self._versions(self.entity.secrets)
        secrets = {n: versions[n] for n in self.entity.secrets if n in versions}
        return {n: at for n, at in secrets.items() if n in bases or last.get(n, 1) > at}

    async def old_bases(
        self, connection: DatabaseConnection, versions: Mapping[str, int], submitted: Values
    ) -> dict[str, Base]:
        """Return what these fields were at versions before the one that the client names."""
        version: int = self.row["version"]
        start = Start(field_versions=dict.fromkeys(self.fields, version) | {**versions})
        bases = await self.starting(start).bases(connection, submitted)
        return {name: base for name, base in bases.items() if base.is_known}

    def starting(self, start: Start) -> "ClientView":
        """Return the same row beside another start."""
        return replace(self, start=start)

    @property
    def fields(self) -> list[str]:
        """What a client may write, lists included."""
        return [*self.entity.editable(), *self.entity.parts]

    def _labels(self, bases: Mapping[str, Base]) -> Iterator[tuple[str, str, list[type[Row]]]]:
        """Return the fields that hold a label, each with its uuid's field and possible types."""
        for name, reference in self.entity.references().items():
            yield label_field(name), name, [discovered()[reference.collection]]
        for device in self.entity.device_references:
            if device.uuid:
                base = bases.get(device.kind)
                stored = self.row.get(self.entity.wire(device.kind))
                kind = device_type((base.value if base and base.is_known else stored) or "")
                yield device.label, device.uuid, [kind] if kind else device_types()

    async def _label_base(
        self, connection: DatabaseConnection, kinds: Iterable[type[Row]], base: Base, submitted: Any
    ) -> Base:
        """Return the label that the client saw beside a uuid: one that the row has had."""
        if not base.is_known or base.value is None:
            return base
        uuid = UUID(base.value)
        former = log.FORMER_LABEL, self.uuids[0], uuid, submitted
        if submitted and await connection.fetchval(*former):
            return Base(submitted, changed=True)
        for kind in kinds:
            if label := await connection.fetchval(statements(kind).label, uuid):
                return Base(label, changed=True)
        return Base(is_known=False, changed=True)

    async def refuse_conflicts(
        self, connection: DatabaseConnection, values: Values, conflicts: Iterable[str],
        bases: Mapping[str, Base],
    ) -> None:  # fmt: skip
        """Raise VersionConflict if there are conflicts, or if the client is ahead of the row."""
        conflicts = list(conflicts)
        version, noun = self.row["version"], self.entity.noun
        if not conflicts and not self.start.is_ahead_of(version):
            return
        details = self._details({name: values[name] for name in conflicts}, bases)
        again = f"load this {noun} again (it is at version {version}), enter yours and save"
        if self.start.is_ahead_of(version):
            message = (
                f"Nothing was saved: your edit started from version {self.start.version}, which "
                f"this {noun} does not have. To go on, {again}."
            )
        else:
            changed = await self._in_words(connection, details, bases)
            theirs = "" if _has_lists(details) else " To keep theirs, enter it here and save again."
            message = f"Nothing was saved: {changed}.{theirs} To put yours in its place, {again}."
        raise self._conflict(message, details)

    async def delete_conflict(
        self, connection: DatabaseConnection, bases: Mapping[str, Base]
    ) -> VersionConflict:
        """Return the error for deleting a row that others have changed since the client looked."""
        changed = dict.fromkeys(name for name, base in bases.items() if base.changed)
        details = self._details(changed, bases)
        words = await self._in_words(connection, details, bases, entered=False)
        noun, version = self.entity.noun, self.row["version"]
        return self._conflict(
            f"This {noun} was not deleted: {words or 'it was changed meanwhile'}. If it is to be "
            f"deleted all the same, load it again (it is at version {version}) and delete it.",
            details, reason="changed",
        )  # fmt: skip

    async def _in_words(
        self, connection: DatabaseConnection, details: Sequence[Values],
        bases: Mapping[str, Base], *, entered: bool = True,
    ) -> str:  # fmt: skip
        """Return who changed each field from what to what and when, and what was entered here."""
        names = [detail["fieldName"] for detail in details]
        rows = await connection.fetch(log.LAST_CHANGES, *self.uuids, names)
        last = {row["name"]: row for row in rows}
        with_base = {self.entity.wire(name) for name, base in bases.items() if base.is_known}
        parts = []
        for detail in details:
            name, row = detail["fieldName"], last.get(detail["fieldName"])
            if name in secret_members(self.entity):
                parts.append(_secret_words(name, row, entered=entered))
                continue
            base, theirs, mine = [
                await self._value_words(connection, name, detail[member])
                for member in ("baseValue", "serverValue", "clientValue")
            ]
            before = f" from {base}" if name in with_base else ""
            moment = f" on {moment_words(row['at'])}" if row else ""
            own = f", and you entered {mine}" if entered else ""
            words = f"{_person(row)} changed {member_words(name)}{before} to {theirs}{moment}{own}"
            parts.append(words)
        return sentence(parts)

    async def _value_words(self, connection: DatabaseConnection, wire: str, value: Any) -> str:
        """Return a value in words; that of a uuid is the label of what it points at."""
        if wire.endswith("Uuid") and isinstance(value, str) and (uuid := known_uuid(value)):
            for kind in device_types():
                if label := await connection.fetchval(statements(kind).label, uuid):
                    return value_words(label)
        return value_words(value)

    def _conflict(
        self, message: str, details: list[dict[str, Any]], **reason: str
    ) -> VersionConflict:
        return VersionConflict(
            message, error=self.entity.conflict_error, **reason, currentVersion=self.row["version"],
            clientVersion=self._client_version(details), serverData=public(self.entity, self.row),
            conflicts=details,
        )  # fmt: skip

    def _client_version(self, details: Iterable[Mapping[str, Any]]) -> Any:
        if self.start.version is not None:
            return self.start.version
        return min((entry["clientVersion"] for entry in details), default=self.row["version"])

    def _details(self, values: Values, bases: Mapping[str, Base]) -> list[dict[str, Any]]:
        """Return base, mine and theirs of each field in conflict; of a secret none of them."""
        versions = self._versions(values)
        details = []
        for name, value in values.items():
            detail = {
                "fieldName": self.entity.wire(name),
                "clientVersion": self.start.of(name), "serverVersion": versions.get(name, 1),
            }  # fmt: skip
            if name not in self.entity.secrets:
                detail |= {
                    "baseValue": bases[name].value, "clientValue": value,
                    "serverValue": self.row.get(self.entity.wire(name)),
                }  # fmt: skip
            details.append(detail)
        return details

    def with_own(self, own: Collection[int], logged: Mapping[int, Collection[str]]) -> Start:
        """Return the start with what the client wrote itself counted as seen.

        ``own`` are versions of the row that it made. ``logged`` has the members that each write
        since ``start`` changed, and may be empty where others wrote nothing. A list that others had
        changed was merged, so the client has not seen what was written then: that one counts from
        its own last write before theirs.
        """
        start = self.start
        if start == Start() or start.is_ahead_of(self.row["version"]):
            return start
        last = dict.fromkeys(self.fields, 1) | self._versions(self.fields)
        versions = {name: at for name, at in last.items() if at in own}
        if self.has_moved(own):
            for name in self.fields:
                wire = self.entity.wire(name)
                if isinstance(self.row.get(wire), list):
                    versions[name] = _undisturbed(wire, start.of(name) or 0, own, logged)
                else:
                    ours = [at for at in own if wire in logged.get(at, ())]
                    versions[name] = max([*ours, versions.get(name, 0)])
        return replace(start, own={name: at for name, at in versions.items() if at})

    def has_moved(self, own: Collection[int]) -> bool:
        """Return whether others have changed the row since ``start``."""
        start, version = self.start, self.row["version"]
        if start.version is not None:
            mine = sum(start.version < at <= version for at in own)
            return bool(version - start.version > mine)
        return any(
            at not in own and (client := start.of(name)) is not None and at > client
            for name, at in self._versions(self.fields).items()
        )

    def _versions(self, names: Iterable[str]) -> dict[str, int]:
        """Return the version at which each field last changed, where the row has it."""
        stored = self.row["fieldVersions"]
        entries = {name: stored.get(self.entity.wire(name)) for name in names}
        versions = {n: e.get("version") if isinstance(e, dict) else e for n, e in entries.items()}
        return {name: at for name, at in versions.items() if isinstance(at, int)}


def _has_lists(details: Iterable[Values]) -> bool:
    return any(isinstance(value, list) for detail in details for value in detail.values())


def _person(row: Values | None) -> str:
    """Return who wrote an entry of the log, "somebody" where nobody said it."""
    if row is None or row["user_id"] == row["user_name"].lower() == "system":
        return "somebody"
    named = row["user_name"] != "System"
    return str(row["user_name"] if named else row["user_id"])


def _secret_words(member: str, row: Values | None, *, entered: bool) -> str:
    """Return who changed a secret and when, and no value."""
    moment = f" on {moment_words(row['at'])}" if row else ""
    own = ", and you entered another" if entered else ""
    return f"{_person(row)} changed the {member_words(member)}{moment}{own}"


def _undisturbed(
    wire: str, start: int, own: Collection[int], logged: Mapping[int, Collection[str]]
) -> int:
    """Return the client's last write of a field before anybody else's, 0 where there is none.

    A version that the log does not hold may be one of somebody else's.
    """
    last, at = 0, start + 1
    while at in logged and (at in own or wire not in logged[at]):
        last = at if wire in logged[at] else last
        at += 1
    return last
