"""Runs SQL over an export, with the views of docs/sql: rows as CSV on standard output. Arguments: views, export, SQL."""

import csv
import os
import pathlib
import sys

import duckdb

views, export, *sql = sys.argv[1:]
views = sorted(pathlib.Path(views).resolve().glob("*.sql"))
# The views name the files of an export from within it.
os.chdir(export)
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
for view in views:
    connection.execute(view.read_text())
out = csv.writer(sys.stdout)
# One statement a line of its own when it ends with a semicolon; a blank line between two answers.
asked = sql[0] if sql else sys.stdin.read()
for number, statement in enumerate(duckdb.extract_statements(asked)):
    answer = connection.execute(statement)
    if number:
        print()
    out.writerow(column[0] for column in answer.description)
    out.writerows(answer.fetchall())
