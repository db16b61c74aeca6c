"""What Django's cursor makes of every call.  See test/t/072_clients.pl."""

import json
import os

from django.conf import settings

settings.configure(DATABASES={"default": {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": os.environ["PGDATABASE"],
}})

import django  # noqa: E402
from django.db import Error, connection, transaction  # noqa: E402

django.setup()


def report(step, **facts):
    print(json.dumps({"step": step, **facts}))


def attempt(step, call, parameters=None):
    """Make a call; report its rows or every field of its error."""
    connection.ensure_connection()
    notices = connection.connection.notices
    notices.clear()
    try:
        with connection.cursor() as cursor:
            cursor.execute(call, parameters)
            report(step, rows=[[str(v) for v in row] for row in cursor.fetchall()],
                   notices=notices)
    except Error as error:
        diag = error.__cause__.diag
        report(step, sqlstate=error.__cause__.pgcode, message=diag.message_primary,
               detail=diag.message_detail, hint=diag.message_hint,
               where=diag.context, position=diag.internal_position,
               query=diag.internal_query, notices=notices)
        if connection.in_atomic_block:
            transaction.set_rollback(True)


APPLY = "SELECT version FROM migrate.apply(target => %s, note => %s)"
APPLY_PROJECT = "SELECT version FROM migrate.apply(project => %s)"
EACH = "CALL migrate.apply_each(target => %s, note => %s, project => %s)"
EACH_PROJECT = "CALL migrate.apply_each(project => %s)"

with transaction.atomic():
    attempt("apply", APPLY, ["001", "sent by the client"])
with transaction.atomic():
    attempt("refused", EACH, [None, None, "each"])
with transaction.atomic():
    attempt("forgotten", APPLY, ["002", None])
    transaction.set_rollback(True)

# autocommit, which is the default
attempt("apply again", APPLY, ["002", None])
attempt("apply, located", APPLY_PROJECT, ["located"])
attempt("apply, raised", APPLY_PROJECT, ["raised"])
attempt("each", EACH, ["e2", "sent by the client", "each"])
attempt("each, rest", EACH_PROJECT, ["each"])
attempt("each, nothing", EACH_PROJECT, ["each"])
attempt("each, located", EACH_PROJECT, ["located"])
attempt("each, raised", EACH_PROJECT, ["raised"])
