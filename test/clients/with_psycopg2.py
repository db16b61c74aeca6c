"""What psycopg2 makes of every call.  See test/t/072_clients.pl."""

import json

import psycopg2


def report(step, **facts):
    print(json.dumps({"step": step, **facts}))


def attempt(step, connection, call, parameters=None):
    """Make a call; report its rows or every field of its error."""
    connection.notices.clear()
    cursor = connection.cursor()
    try:
        cursor.execute(call, parameters)
        report(step, rows=[[str(v) for v in row] for row in cursor.fetchall()],
               notices=connection.notices)
    except psycopg2.Error as error:
        report(step, sqlstate=error.pgcode,
               message=error.diag.message_primary,
               detail=error.diag.message_detail,
               hint=error.diag.message_hint,
               where=error.diag.context,
               position=error.diag.internal_position,
               query=error.diag.internal_query,
               notices=connection.notices)


APPLY = "SELECT version FROM migrate.apply(target => %s, note => %s)"
APPLY_PROJECT = "SELECT version FROM migrate.apply(project => %s)"
EACH = "CALL migrate.apply_each(target => %s, note => %s, project => %s)"
EACH_PROJECT = "CALL migrate.apply_each(project => %s)"

# autocommit off, which is the default
connection = psycopg2.connect("")
attempt("apply", connection, APPLY, ("001", "sent by the client"))
connection.commit()
attempt("refused", connection, EACH, (None, None, "each"))
connection.rollback()
attempt("forgotten", connection, APPLY, ("002", None))
connection.close()

# autocommit on
connection = psycopg2.connect("")
connection.autocommit = True
attempt("apply again", connection, APPLY, ("002", None))
attempt("apply, located", connection, APPLY_PROJECT, ("located",))
attempt("apply, raised", connection, APPLY_PROJECT, ("raised",))
attempt("each", connection, EACH, ("e2", "sent by the client", "each"))
attempt("each, rest", connection, EACH_PROJECT, ("each",))
attempt("each, nothing", connection, EACH_PROJECT, ("each",))
attempt("each, located", connection, EACH_PROJECT, ("located",))
attempt("each, raised", connection, EACH_PROJECT, ("raised",))

# "with connection" begins a transaction in spite of autocommit, and two
# statements in one string are one transaction
with connection:
    attempt("refused, with", connection, EACH_PROJECT, ("other",))
attempt("refused, string", connection, "SELECT 1; " + EACH_PROJECT, ("other",))

# what a client can do that cannot leave its transaction
connection = psycopg2.connect("")
cursor = connection.cursor()
runs = []
for project in ("background", "background located"):
    # a transaction starts one run at most
    cursor.execute("SELECT migrate.start(project => %s)", (project,))
    runs.append(cursor.fetchone()[0])
    connection.commit()
connection.autocommit = True
attempt("wait", connection, "CALL migrate.wait(%s)", (runs[0],))
attempt("wait, located", connection, "CALL migrate.wait(%s)", (runs[1],))
connection.close()
