"""Compares what acts by itself or is shared: enums, functions, sequences, triggers and views."""

import re
from collections.abc import Iterator, Sequence

from app.releases.schema import repair_sql
from app.releases.schema.comparison.finding import Finding, renamed
from app.releases.schema.snapshot import Sequence as Numbering
from app.releases.schema.snapshot import Snapshot, Table


def compare_enums(expected: Snapshot, live: Snapshot) -> Iterator[Finding]:
    """Compare the labels of our enums, and their order."""
    for name, labels in expected.enums.items():
        there = live.enums.get(name)
        for kind, what, words, mend in _enum(expected, name, labels, there):
            sides = ", ".join(labels), ", ".join(there or ()) or None
            yield Finding(kind, None, what, *sides, f"The enum {name} {words}.", mend)


def _enum(
    expected: Snapshot, name: str, labels: Sequence[str], there: Sequence[str] | None
) -> Iterator[tuple[str, str, str, repair_sql.Mend]]:
    """Yield each difference: its kind, its object, its words and its mend."""
    if there is None:
        yield "enum_missing", name, "is missing", (_create_enum(name, labels),)
        return
    for label in labels:
        if label not in there:
            words = f"lacks the label '{label}': a row that should have it is refused"
            add = f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS {_quoted(label)}"
            place = _place(label, labels, there)
            yield "enum_label_missing", f"{name}.{label}", words, (f"{add}{place}",)
    for label in there:
        if label not in labels:
            words = f"has the label '{label}' that no revision built: the code cannot read it"
            remade = _remade(expected, name, f"No row may hold '{label}'.")
            yield "enum_label_extra", f"{name}.{label}", words, remade
    if [each for each in labels if each in there] != [each for each in there if each in labels]:
        words = f"has its labels in the order {', '.join(there)}: sorting by it differs"
        remade = _remade(expected, name, "The order of an enum is fixed when it is made.")
        yield "enum_order", name, words, remade


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
                bound = _bound_to(column, columns)
                steps += [f"DROP TRIGGER IF EXISTS {trigger} ON {table}" for trigger in bound]
                steps.append(repair_sql.alter(table, *changes if its.default else [cast]))
                steps += bound.values()
    reason += " It is made anew, which rewrites its tables under an exclusive lock: choose the "
    return repair_sql.by_hand(f"{reason}hour.", *steps, f"DROP TYPE {old}")


def _bound_to(column: str, table: Table) -> dict[str, str]:
    """Return the triggers that fire at updates of the column: PostgreSQL keeps its type for them.

    Each is the statement that creates it, by its name.
    """
    updates = re.compile(rf" UPDATE OF ([^ ]+, )*{re.escape(column)}[ ,]")
    triggers = table.triggers.items()
    return {name: t.definition for name, t in triggers if updates.search(t.definition)}


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
        if there:
            yield from _sequence_pair(name, sequence, there, live.role)
        elif now := _numbering(live, sequence):
            change = f"ALTER SEQUENCE {now} RENAME TO {name}"
            yield renamed("sequence_renamed", "The sequence", table, name, now, change)
        elif not sequence.internal:
            words = f"The sequence {name} that numbers {table}.{sequence.column} is missing, or no "
            words += "longer tied to it: new rows get no number, or it goes when it should stay."
            mend = repair_sql.create_sequence(name, sequence)
            yield Finding("sequence_missing", table, name, sequence.definition, None, words, mend)


def _numbering(live: Snapshot, sequence: Numbering) -> str | None:
    """Return the sequence that numbers the same column under another name."""
    place = (sequence.table, sequence.column, sequence.internal)
    each = (n for n, s in live.sequences.items() if (s.table, s.column, s.internal) == place)
    return next(each, None)


def _sequence_pair(name: str, expected: Numbering, live: Numbering, role: str) -> Iterator[Finding]:
    table, should, is_ = expected.table, expected.definition, live.definition
    if should != is_:
        words = f"The sequence {name} of {table} counts otherwise: {is_}."
        mend = (f"ALTER SEQUENCE {name} {should}",)
        yield Finding("sequence_differs", table, name, should, is_, words, mend)
    if expected.usable and not live.usable and not expected.internal:
        words = f"The app's role {role} may not use the sequence {name}: no row can be added to "
        words += f"{table}."
        mend = (f"GRANT USAGE ON SEQUENCE {name} TO {role}",)
        yield Finding("grant_missing", table, role, "USAGE", None, words, mend)


def compare_triggers(table: str, expected: Table, live: Table) -> Iterator[Finding]:
    """Compare a table's triggers, in both directions, and whether they fire."""
    for name, trigger in expected.triggers.items():
        there, should = live.triggers.get(name), trigger.definition
        put = repair_sql.put_trigger(table, name, trigger)
        if there is None:
            words = f"{table} lacks its trigger {name}: what it keeps in step comes apart with "
            words += "every write."
            yield Finding("trigger_missing", table, name, should, None, words, put)
        elif there.definition != should:
            words = f"The trigger {name} of {table} should be {should} and is {there.definition}."
            yield Finding("trigger_differs", table, name, should, there.definition, words, put)
        elif there.firing != trigger.firing:
            words = f"The trigger {name} of {table} should be {trigger.firing} and is "
            words += f"{there.firing}: rows written meanwhile are not in step, and stay so until "
            words += "they are written again."
            mend = repair_sql.brief(repair_sql.fire(table, name, trigger))
            kind = "trigger_disabled" if there.firing == "disabled" else "trigger_firing"
            yield Finding(kind, table, name, trigger.firing, there.firing, words, mend)
    for name in sorted(live.triggers.keys() - expected.triggers.keys()):
        definition = live.triggers[name].definition
        words = f"{table} has a trigger {name} that no revision built: it may change or refuse "
        words += f"what the code writes: {definition}."
        mend = repair_sql.brief(f"DROP TRIGGER {name} ON {table}")
        yield Finding("trigger_extra", table, name, None, definition, words, mend)


def compare_rules(table: str, expected: Table, live: Table) -> Iterator[Finding]:
    """Compare the rules that rewrite statements on a table, in both directions."""
    for name in sorted(expected.rules.keys() | live.rules.keys()):
        should, there = expected.rules.get(name), live.rules.get(name)
        if should != there:
            kind = "extra" if should is None else "missing" if there is None else "differs"
            drop = f"DROP RULE {name} ON {table}"
            put = (should or "").rstrip(";").replace("CREATE RULE", "CREATE OR REPLACE RULE", 1)
            words = f"The rule {name} of {table} should be {should or 'none'} and is "
            words += f"{there or 'none'}: statements on the table do something else than they say."
            mend = repair_sql.brief(drop if should is None else put)
            yield Finding(f"rule_{kind}", table, name, should, there, words, mend)


def compare_views(expected: Snapshot, live: Snapshot) -> Iterator[Finding]:
    """Compare which views read our tables: a column that a view reads cannot be changed."""
    materialized = live.traits.get("materialized", {})
    for name in sorted(live.views.keys() - expected.views.keys()):
        tables = ", ".join(live.views[name])
        words = f"The view {name} reads {tables} and was not built by any revision: a release that "
        words += "changes a column it reads will be refused."
        reason = "Keep its definition (pg_get_viewdef) and make it again after the release."
        drop = f"DROP {'MATERIALIZED ' * (name in materialized)}VIEW {name}"
        mend = repair_sql.by_hand(reason, drop)
        yield Finding("view_extra", live.views[name][0], name, None, tables, words, mend)
    for name in sorted(expected.views.keys() - live.views.keys()):
        words = f"The view {name} is missing: what reads it fails."
        mend = repair_sql.by_hand("Its definition stands in the revision that made it: run that.")
        read = expected.views[name]
        yield Finding("view_missing", read[0], name, ", ".join(read), None, words, mend)
