"""Kills the first start on a users' database, while it is adopted. Whatever the
moment, the file holds all rows of the users; in the end it is what an adoption
without interruption makes of it."""

import os
import pathlib
import random
import shutil
import sqlite3
import time

import book
import serving
import starting

FIXTURE = pathlib.Path(os.environ.get("TRADEBOOK_FIXTURE", ""))
COPIES = 5  # of each signal and theory record
TRIES = 5  # kills of one file at most


def kill_adoptions(folder, seed, kills, violations, counts):
    if not FIXTURE.is_file():
        print("no kills during adoption: TRADEBOOK_FIXTURE names no database")
        return
    template = folder / "users.db"
    make_template(template)
    users = counts_of(template)
    reference = pathlib.Path(shutil.copy(template, folder / "reference.db"))
    began = time.monotonic()
    with serving.Server(reference):
        seconds = time.monotonic() - began
    chance = random.Random(f"{seed}/adoption")
    while counts["adoptions"] < kills and not violations:
        db = pathlib.Path(shutil.copy(template, folder / "adopted.db"))
        adopted, tries = False, 0
        while not adopted and tries < TRIES and counts["adoptions"] < kills:
            counts["adoptions"] += 1
            tries += 1
            adopted, half_done = kill_start(db, chance, seconds)
            counts["in the adoption"] += half_done
            if chance.random() < 0.5 and counts_of(db) != users:  # which undoes what was not committed
                violations.append(f"adoption: {db} has {counts_of(db)} rows, the users had {users}")
        with serving.Server(db):
            pass
        violations += [f"adoption: {wrong}" for wrong in differences(db, reference)]


def make_template(path):
    shutil.copyfile(FIXTURE, path)
    db = sqlite3.connect(path)
    with db:
        for table in ("signals", "theory_performance"):
            columns = ", ".join(name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))
                                if name != "id")
            (rows,) = db.execute(f"SELECT max(id) FROM {table}").fetchone()
            for copy in range(1, COPIES):
                db.execute(f"INSERT INTO {table} (id, {columns}) SELECT id + {rows * copy}, {columns} FROM {table} "
                           f"WHERE id <= {rows}")
        # Words that adoption rewrites.
        db.execute("UPDATE signals SET timestamp = replace(timestamp, ' ', 'T') || 'Z' WHERE id % 3 = 0")
    db.close()


def kill_start(db, chance, seconds):
    """At any moment, or once the transaction has begun. Whether the start came to its
    end before, and whether a transaction was left half done."""
    journal = db.with_name(db.name + "-journal")

    def in_transaction():
        return journal.exists() and journal.stat().st_size > 512

    server = serving.Server(db)
    if chance.random() < 0.3:
        killed = starting.kill_while_starting(server, chance.uniform(0, seconds))
    else:
        killed = starting.kill_while_starting(server, chance.uniform(0, seconds / 4), in_transaction)
    return not killed, in_transaction()


def counts_of(path):
    db = sqlite3.connect(path)
    counts = {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in book.TABLES}
    db.close()
    return counts


def differences(path, reference):
    files = [book.File(path), book.File(reference)]
    for table in book.TABLES:
        if files[0].rows(table) != files[1].rows(table):
            yield f"the rows of {table} are not those of an adoption without interruption"
    schemas = [file.query("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name") for file in files]
    if schemas[0] != schemas[1]:
        yield "the schema is not that of an adoption without interruption"
    for (said,) in files[0].query("PRAGMA integrity_check"):
        if said != "ok":
            yield said
