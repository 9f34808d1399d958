"""What may differ from what the revisions build without being drift, each with its reason.

The documentation shows this list, and the test that lays drift beside pg_dump passes over these
and nothing else.
"""

from typing import Final, NamedTuple

from app.releases.schema.introspection.stored_settings import MEANINGFUL

_WATCHED: Final = "|".join(sorted({*MEANINGFUL, "session_replication_role"}))


class Exclusion(NamedTuple):
    """A kind of difference that does not count as drift.

    ``lines`` finds it in pg_dump's text, written as type|name|schema|line; ``part`` is what of a
    line means nothing. ``{role}`` is the app's role. Where both are "" pg_dump shows none of it.
    """

    what: str
    why: str
    lines: str = ""
    part: str = ""


EXCLUSIONS: Final = (
    Exclusion(
        "comments and security labels",
        "notes for people and for modules that the service does not have; no statement reads them",
        lines=r"(COMMENT|SECURITY LABEL)\|",
    ),
    Exclusion(
        "other schemas and what stands in them",
        "others live there; what shadows our names, inherits from ours or reads ours is found all "
        "the same",
        lines=r"SCHEMA\|(?!public\|)|[^|]*\|[^|]*\|(?!public\||-\|)|ACL\|SCHEMA (?!public\|)",
    ),
    Exclusion(
        "grants to named roles, default privileges, and who may make things in the schema",
        "who else may look is the administrator's choice, and before PostgreSQL 15 everybody might "
        "make things; what the app's role or an owner lacks is found, and what everybody may do "
        "with our rows",
        lines=r"DEFAULT ACL\||ACL\|SCHEMA public\||ACL\|DATABASE|"
        r"ACL\|.*\b(TO|FROM) (?!PUBLIC\b|\"?{role}\b)",
    ),
    Exclusion(
        "extensions, languages, access methods, foreign servers and publications",
        "an administrator's tools: none of them acts on a statement by being there",
        lines=r"(EXTENSION|PROCEDURAL LANGUAGE|ACCESS METHOD|FOREIGN DATA WRAPPER|SERVER|"
        r"USER MAPPING|PUBLICATION|PUBLICATION TABLE|PUBLICATION TABLES IN SCHEMA|TRANSFORM)\|",
    ),
    Exclusion(
        "the names of CHECKs and of NOT NULLs",
        "a CHECK is its expression, and PostgreSQL before 18 kept no name of a NOT NULL",
        part=r"CONSTRAINT (\"[^\"]*\"|\w+) (?=CHECK |NOT NULL)|(?<=NOT NULL) NO INHERIT",
    ),
    Exclusion(
        "the order of columns",
        "every statement names its columns",
    ),
    Exclusion(
        "settings that only tune or log, and timeouts of statements and locks",
        "they change how fast a statement is and not what it means; the timeouts are set by every "
        "session of ours",
        lines=rf"DATABASE PROPERTIES\|.* SET \"?(?!({_WATCHED})\b)",
    ),
    Exclusion(
        "the database's own name, owner, locale and limit of connections",
        "the administrator's; the service connects or it does not",
        lines=r"(DATABASE|DATABASE PROPERTIES)\|(?!.* SET )",
    ),
    Exclusion(
        "objects in our schema beside tables, where another service lives in it",
        "they are its own; those that act on our statements are found all the same",
    ),
)  # fmt: skip
