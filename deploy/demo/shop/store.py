"""What the shop remembers: SQLite under KIRSCH_SHARED, the one directory that outlives releases.

Run as a program it brings the database up to date: that is the stack's `release_command`.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

GOODS = [
    ("tea", "Green tea, 100 g", 490),
    ("jam", "Cherry jam, 340 g", 620),
    ("pie", "Cherry pie, frozen", 1250),
    ("stone", "Cherry stone pillow", 1890),
]

SCHEMA = """
create table if not exists goods (sku text primary key, title text not null, cents integer not null);
create table if not exists orders (
    id integer primary key, placed text default current_timestamp, cents integer not null
);
create table if not exists lines (
    order_id integer references orders, sku text references goods, count integer not null
);
"""


def shared_directory():
    """Return the directory that all workers and all releases have in common."""
    return Path(os.environ.get("KIRSCH_SHARED", "."))


def connect():
    """Open the database; a connection costs little, so each call has its own and threads share none."""
    connection = sqlite3.connect(shared_directory() / "shop.sqlite3", timeout=10)
    connection.row_factory = sqlite3.Row
    return closing(connection)


def prepare():
    """Make the tables and the goods, if they are not there yet."""
    with connect() as database, database:
        database.execute("pragma journal_mode = wal")
        database.executescript(SCHEMA)
        database.executemany("insert or ignore into goods values (?, ?, ?)", GOODS)


def all_goods():
    """Return the goods: dictionaries of sku, title and cents."""
    with connect() as database:
        return [dict(row) for row in database.execute("select sku, title, cents from goods order by cents")]


def price_of(items):
    """Return the price in cents of *items*, a mapping of sku to count; KeyError names a sku that is not sold."""
    prices = {goods["sku"]: goods["cents"] for goods in all_goods()}
    return sum(prices[sku] * count for sku, count in items.items())


def place_order(items):
    """Write an order down; return its number and its price in cents."""
    cents = price_of(items)
    with connect() as database, database:
        number = database.execute("insert into orders (cents) values (?)", (cents,)).lastrowid
        database.executemany("insert into lines values (?, ?, ?)", [(number, sku, n) for sku, n in items.items()])
    return number, cents


def all_orders():
    """Yield every order, one at a time: the report may be long."""
    with connect() as database:
        for row in database.execute("select id, placed, cents from orders order by id"):
            yield dict(row)


if __name__ == "__main__":
    prepare()
    print(f"{len(all_goods())} goods in {shared_directory() / 'shop.sqlite3'}")
