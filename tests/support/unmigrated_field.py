"""A pytest plugin that gives cameras a field for which there is no migration: the incident."""

import sqlalchemy as sa
from sqlmodel import SQLModel

import app.entities  # noqa: F401  # the declarations must be there

SQLModel.metadata.tables["cameras"].append_column(sa.Column("white_balance", sa.Text))
