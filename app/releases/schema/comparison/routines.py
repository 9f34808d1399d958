"""Compares what acts by itself or is shared: enums, functions, sequences, triggers and views."""

from collections.abc import Iterator, Sequence
from typing import Final

from app.releases.schema import repair_sql
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.snapshot import Sequence as Numbering
from app.releases.schema.snapshot import Snapshot, Table, Trigger


def compare_enums(expected: Snapshot, live: Snapshot) -> Iterator[Finding]:
    """Compare the labels of our enums, and their order."""
    for name, labels in expected.enums.items():
        there = live.enums.get(name)
        if there is None:
            yield _enum(
                "enum_missing",
                name,
                name,
                (labels, ()),
                "is missing",
                (_create_enum(name, labels),),
            )
            continue
        for label in [label for label in labels if label not in there]:
            place = _place(label, labels, there)
            words = f"lacks the label '{label}': a row that should have it is refused"
            add = f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS {_quoted(label)}{place}"
            yield _enum("enum_label_missing", name, label, (labels, there), words, (add,))
        for label in [label for label in there if label not in labels]:
            words = f"has the label '{label}' that no revision built: the code cannot read it"
            remade = _remade(expected, name, f"No row may hold '{label}'.")
            yield _enum("enum_label_extra", name, label, (labels, there), words, remade)
        if _common(labels, there) != _common(there, labels):
            words = f"has its labels in the order {', '.join(there)}: sorting by it differs"
            remade = _remade(expected, name, "The order of an enum is fixed when it is made.")
            yield _enum("enum_order", name, name, (labels, there), words, remade)


def _enum(
    kind: str,
    name: str,
    what: str,
    sides: tuple[Sequence[str], Sequence[str]],
    words: str,
    statements: repair_sql.Mend,
) -> Finding:
    expected, there = (", ".join(side) for side in sides)
    label = what if what == name else f"{name}.{what}"
    return Finding(
        kind, None, label, expected, there or None, f"The enum {name} {words}.", statements
    )


def _place(label: str, labels: Sequence[str], there: Sequence[str]) -> str:
    """Return the clause that puts a label behind the one before it, else in front of all."""
    position = labels.index(label)
    if position:  # the one before stands by then: missing labels are added in order
        return f" AFTER {_quoted(labels[position - 1])}"
    return f" BEFORE {_quoted(there[0])}" if there else ""


def _create_enum(name: str, labels: Sequence[str]) -> str:
    return f"CREATE TYPE {name} AS ENUM ({', '.join(map(_quoted, labels))})"


def _remade(expected: Snapshot, name: str, reason: str) -> repair_sql.Mend:
    """Return the steps that make an enum anew, and carry every column of it over."""
    old = '"' + name.strip('"') + ' (old)"'
    steps = [f"ALTER TYPE {name} RENAME TO {old}", _create_enum(name, expected.enums[name])]
    for table, columns in expected.tables.items():
        for column, its in columns.columns.items():
            if its.type == name:
                place = f"ALTER COLUMN {column}"
                cast = f"{place} TYPE {name} USING {column}::text::{name}"
                changes = [f"{place} DROP DEFAULT", cast, f"{place} SET DEFAULT {its.default}"]
                steps.append(repair_sql.alter(table, *changes if its.default else [cast]))
    reason += (
        " It is made anew, which rewrites its tables under an exclusive lock: choose the hour."
    )
    return repair_sql.by_hand(reason, *steps, f"DROP TYPE {old}")


def _common(labels: Sequence[str], others: Sequence[str]) -> list[str]:
    return [label for label in labels if label in others]


def _quoted(label: str) -> str:
    return "'" + label.replace("'", "''") + "'"


def compare_functions(expected: Snapshot, live: Snapshot) -> Iterator[Finding]:
    """Compare our functions, body and all; others' are not looked at."""
    for name, definition in expected.functions.items():
        there = live.functions.get(name)
        if there != definition:
            kind, harm = "function_differs", "has another body"
            if there is None:
                kind, harm = "function_missing", "is missing: what calls it fails"
            words = f"The function {name} {harm}; the mend is what the revisions built."
            yield Finding(kind, None, name, definition, there, words, (definition.strip(),))


def compare_sequences(expected: Snapshot, live: Snapshot) -> Iterator[Finding]:
    """Compare the sequences that number our rows; an identity's goes and comes with it."""
    for name, sequence in expected.sequences.items():
        there, table = live.sequences.get(name), sequence.table
        if table not in live.tables:
            continue
        if there is None and (now := _numbering(live, sequence)):
            yield _sequence_renamed(name, now, table)
            continue
        if there is None and sequence.internal:
            continue
        if there is None:
            words = (
                f"The sequence {name} that numbers {table}.{sequence.column} is missing, or "
                "no longer tied to it: new rows get no number, or it goes when it should stay."
            )
            mend = repair_sql.create_sequence(name, sequence)
            yield Finding("sequence_missing", table, name, sequence.definition, None, words, mend)
        elif there.definition != sequence.definition:
            words = f"The sequence {name} of {table} counts otherwise: {there.definition}."
            mend = (f"ALTER SEQUENCE {name} {sequence.definition}",)
            should, is_ = sequence.definition, there.definition
            yield Finding("sequence_differs", table, name, should, is_, words, mend)
        if there and sequence.usable and not there.usable and not sequence.internal:
            words = (
                f"The app's role {live.role} may not use the sequence {name}: no row can be "
                f"added to {table}."
            )
            mend = (f"GRANT USAGE ON SEQUENCE {name} TO {live.role}",)
            yield Finding("grant_missing", table, live.role, "USAGE", None, words, mend)


def _numbering(live: Snapshot, sequence: Numbering) -> str | None:
    """Return the sequence that numbers the same column under another name."""
    place = (sequence.table, sequence.column, sequence.internal)
    each = (n for n, s in live.sequences.items() if (s.table, s.column, s.internal) == place)
    return next(each, None)


def _sequence_renamed(name: str, now: str, table: str) -> Finding:
    words = (
        f"The sequence {name} of {table} is named {now}: later revisions go by its name and "
        "would not find it."
    )
    mend = repair_sql.brief(f"ALTER SEQUENCE {now} RENAME TO {name}")
    return Finding("sequence_renamed", table, name, name, now, words, mend)


def compare_triggers(table: str, expected: Table, live: Table) -> Iterator[Finding]:
    """Compare a table's triggers, in both directions, and whether they fire."""
    for name, trigger in expected.triggers.items():
        there = live.triggers.get(name)
        put = repair_sql.put_trigger(table, name, trigger)
        if there is None:
            harm = "what it keeps in step comes apart with every write"
            words = f"{table} lacks its trigger {name}: {harm}."
            yield _trigger("trigger_missing", table, name, (trigger, None), words, put)
        elif there.definition != trigger.definition:
            words = f"The trigger {name} of {table} should be {trigger.definition} and is "
            words += f"{there.definition}."
            yield _trigger("trigger_differs", table, name, (trigger, there), words, put)
        elif there.firing != trigger.firing:
            yield _firing(table, name, trigger, there)
    for name in sorted(live.triggers.keys() - expected.triggers.keys()):
        there = live.triggers[name]
        words = f"{table} has a trigger {name} that no revision built: it may change or refuse "
        words += f"what the code writes: {there.definition}."
        statements = repair_sql.brief(f"DROP TRIGGER {name} ON {table}")
        yield _trigger("trigger_extra", table, name, (None, there), words, statements)


def _firing(table: str, name: str, trigger: Trigger, there: Trigger) -> Finding:
    words = (
        f"The trigger {name} of {table} should be {trigger.firing} and is {there.firing}: "
        "rows written meanwhile are not in step, and stay so until they are written again."
    )
    mend = repair_sql.brief(repair_sql.fire(table, name, trigger))
    kind = "trigger_disabled" if there.firing == "disabled" else "trigger_firing"
    return Finding(kind, table, name, trigger.firing, there.firing, words, mend)


def _trigger(
    kind: str,
    table: str,
    name: str,
    sides: tuple[Trigger | None, Trigger | None],
    words: str,
    statements: repair_sql.Mend,
) -> Finding:
    expected, there = (side.definition if side else None for side in sides)
    return Finding(kind, table, name, expected, there, words, statements)


_RULE: Final = "statements on the table do something else than they say"


def compare_rules(table: str, expected: Table, live: Table) -> Iterator[Finding]:
    """Compare the rules that rewrite statements on a table, in both directions."""
    for name in sorted(expected.rules.keys() | live.rules.keys()):
        should, there = expected.rules.get(name), live.rules.get(name)
        if should != there:
            kind = "extra" if should is None else "missing" if there is None else "differs"
            drop = f"DROP RULE {name} ON {table}"
            put = (should or "").rstrip(";").replace("CREATE RULE", "CREATE OR REPLACE RULE", 1)
            words = (
                f"The rule {name} of {table} should be {should or 'none'} and is "
                f"{there or 'none'}: {_RULE}."
            )
            mend = repair_sql.brief(drop if should is None else put)
            yield Finding(f"rule_{kind}", table, name, should, there, words, mend)


def compare_views(expected: Snapshot, live: Snapshot) -> Iterator[Finding]:
    """Compare which views read our tables: a column that a view reads cannot be changed."""
    materialized = live.traits.get("materialized", {})
    for name in sorted(live.views.keys() - expected.views.keys()):
        tables = ", ".join(live.views[name])
        reason = "Keep its definition (pg_get_viewdef) and make it again after the release."
        words = (
            f"The view {name} reads {tables} and was not built by any revision: a release "
            "that changes a column it reads will be refused."
        )
        mend = repair_sql.by_hand(
            reason,
            f"DROP {'MATERIALIZED ' * (name in materialized)}VIEW {name}",
        )
        yield Finding("view_extra", live.views[name][0], name, None, tables, words, mend)
    for name in sorted(expected.views.keys() - live.views.keys()):
        words = f"The view {name} is missing: what reads it fails."
        mend = repair_sql.by_hand("Its definition stands in the revision that made it: run that.")
        read = expected.views[name]
        yield Finding("view_missing", read[0], name, ", ".join(read), None, words, mend)
