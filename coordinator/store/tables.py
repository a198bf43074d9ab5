"""The tables that are read and written row by row, for SQLAlchemy Core; a test compares them with the migrations.

The tables of the hot path are written by many rows a statement, in SQL of their own, and are not repeated here.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY

metadata = MetaData()

_TIME = DateTime(timezone=True)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", _TIME, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("plan", Text),
    Column("models", ARRAY(Text)),
    Column("created_at", _TIME, nullable=False),
    Column("revoked_at", _TIME),
    Column("scopes", ARRAY(Text)),
    Column("expires_at", _TIME),
    Column("rpm", BigInteger),
    Column("tpm", BigInteger),
    Column("at_once", Integer),
    Column("old_hash", Text),
    Column("old_until", _TIME),
)

spend = Table(
    "spend",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    Column("credit", BigInteger, nullable=False, server_default="0"),
    Column("held", BigInteger, nullable=False, server_default="0"),
    Column("spent", BigInteger, nullable=False, server_default="0"),
)

key_spend = Table(
    "key_spend",
    metadata,
    Column("key_id", Uuid, primary_key=True),
    Column("budget", BigInteger),
    Column("held", BigInteger, nullable=False, server_default="0"),
    Column("spent", BigInteger, nullable=False, server_default="0"),
    Column("recharge", BigInteger),
    Column("recharge_below", BigInteger, nullable=False, server_default="0"),
    Column("recharge_daily", BigInteger),
    Column("recharged", BigInteger, nullable=False, server_default="0"),
    Column("recharged_on", Date),
)

workers = Table(
    "workers",
    metadata,
    Column("pk", Text, primary_key=True),
    Column("handle", Text),
    Column("cell", BigInteger, nullable=False),
    Column("tier", SmallInteger, nullable=False, server_default="0"),
    Column("evidence", SmallInteger, nullable=False, server_default="0"),
    Column("state", Text, nullable=False, server_default="probation"),
    Column("capabilities", LargeBinary, nullable=False),
    Column("countries", ARRAY(Text), nullable=False),
    Column("first_seen", _TIME, nullable=False),
    Column("last_seen", _TIME, nullable=False),
    Column("coordinator", Text),
    Column("session", BigInteger, nullable=False, server_default="0"),
)

worker_owners = Table(
    "worker_owners",
    metadata,
    Column("worker_pk", Text, primary_key=True),
    Column("account_id", Uuid, nullable=False),
    Column("spend", Boolean, nullable=False, server_default="false"),
    Column("linked_at", _TIME, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("context", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("first_seen", _TIME, nullable=False),
    Column("last_seen", _TIME, nullable=False),
)
