"""How each kind of trait is put in words, and what keeps its mend from being run blindly.

A kind that is not here is not read.
"""

from typing import Final, NamedTuple


class Kind(NamedTuple):
    """How a kind of trait is put in words: ``noun`` is what it is of, ``harm`` what it does.

    ``by_hand`` is why somebody must look before its mend is run, "" for none; ``briefly`` where
    the mend takes a lock on a table.
    """

    noun: str
    harm: str
    by_hand: str = ""
    briefly: bool = False


_REWRITES: Final = "PostgreSQL writes {table} anew under an exclusive lock: choose the hour."

# What must be mended before columns, keys and triggers can be.
FIRST: Final = {
    "search_path": Kind(
        "The search path of new sessions of {object}",
        "a schema stands before public in it, or public is not in it, so names without a schema "
        "may mean other objects, and new ones land elsewhere",
    ),
    "shadow": Kind(
        "{object}, which bears the name of one of ours and stands before it in the search path,",
        "statements read and write it in place of ours",
        "Setting the search path (above) makes ours visible again; rows that were written to it "
        "meanwhile must be carried over by hand.",
    ),
    "setting": Kind(
        "The setting {object}",
        "statements of new sessions mean or may do something else, for whoever does not set it "
        "himself",
    ),
    "subscription": Kind(
        "The subscription {object} to {table}",
        "rows of another server are written into {table} past the service",
        "It belongs to whoever replicates: ALTER SUBSCRIPTION … DISABLE, and ask him.",
    ),
    "child": Kind(
        "{object}, which inherits from {table},",
        "its rows appear in every read of {table}, and no key of {table} holds for them",
        briefly=True,
    ),
    "parent": Kind(
        "{object}, from which {table} inherits,",
        "the rows of {table} appear there, and changes of its columns come along",
        briefly=True,
    ),
    "relation": Kind(
        "The form of table {object}",
        "revisions that change it will be refused, its keys may not hold, and its rows may still "
        "stand in the table that it replaced",
        "A table cannot become plain again in place: make one beside it, carry the rows over, and "
        "swap their names.",
    ),
}  # fmt: skip

LAST: Final = {
    "access_method": Kind("The access method of {object}", "its rows are stored another way",
                          _REWRITES),
    "tablespace": Kind("The tablespace of {object}", "it may be gone with its disk", _REWRITES),
    "replica_identity": Kind("The replica identity of {object}",
                             "logical replication may refuse its updates", briefly=True),
    "forced_row_security": Kind(
        "Row level security of {object} for its owner",
        "the owner sees other rows than it should, and no error says so", briefly=True),
    "storage_parameter": Kind("The storage parameter {object}",
                              "the table may bloat, or its statistics grow old", briefly=True),
    "clustered": Kind("The order by the index {object}",
                      "a CLUSTER without a name rewrites {table}", briefly=True),
    "policy": Kind("The policy {object} of {table}",
                   "with row level security it hides rows, and no error says so", briefly=True),
    "rule_firing": Kind("The firing of the rule {object} of {table}",
                        "statements on the table do something else than they say", briefly=True),
    "statistics_object": Kind("The statistics {object} of {table}",
                              "plans are made from other numbers, and ANALYZE pays for it",
                              briefly=True),
    "column_storage": Kind("The storage of column {object}",
                           "long values are stored another way", briefly=True),
    "column_compression": Kind("The compression of column {object}",
                               "long values are stored another way", briefly=True),
    "column_statistics": Kind("The statistics target of column {object}",
                              "plans are made from other numbers", briefly=True),
    "column_option": Kind("The option {object} of a column",
                          "plans are made from other numbers", briefly=True),
    "sequence_cache": Kind("The cache of the sequence {object}",
                           "numbers are left out between sessions"),
    "sequence_unlogged": Kind("The sequence {object}",
                              "a crash of the server sets it back to its start"),
    "schema_owner": Kind("The owner of the {object}",
                         "it may drop the schema, and the migrations may not make tables in it"),
    "public_grant": Kind("What everybody may do on {object}",
                         "any role of the server may do it, past the service"),
    "owner_privilege": Kind("What the owner may not do on {object}",
                            "foreign keys are checked as the owner, so writes are refused"),
    "system_privilege": Kind("The use of {object} by the app's role",
                             "defaults and statements that need it answer with an error"),
    "acting": Kind("The {object}",
                   "it acts on all statements that fit it, ours and the migrations' too",
                   "Find out whose it is, and keep its definition."),
    "object": Kind("The {object}",
                   "a revision that makes one of this name will fail, and it may depend on ours",
                   "Find out whose it is, and keep its definition."),
}  # fmt: skip
