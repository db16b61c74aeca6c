"""What SQLAlchemy makes of every call.  See test/t/072_clients.pl."""

import json
import logging

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError


def report(step, **facts):
    print(json.dumps({"step": step, **facts}))


# SQLAlchemy takes notices away from the driver and logs them, unless the
# statement has failed
class Notices(logging.Handler):
    def emit(self, record):
        self.seen.append(record.getMessage())


logger = logging.getLogger("sqlalchemy.dialects.postgresql")
logger.setLevel(logging.INFO)
logger.propagate = False
handler = Notices()
logger.addHandler(handler)


def attempt(step, connection, call, **parameters):
    """Make a call; report its rows or every field of its error."""
    handler.seen = []
    connection.connection.notices.clear()
    try:
        result = connection.execute(text(call), parameters)
        report(step, rows=[[str(v) for v in row] for row in result],
               notices=handler.seen)
    except DBAPIError as error:
        diag = error.orig.diag
        report(step, sqlstate=error.orig.pgcode, message=diag.message_primary,
               detail=diag.message_detail, hint=diag.message_hint,
               where=diag.context, position=diag.internal_position,
               query=diag.internal_query,
               notices=connection.connection.notices)


APPLY = "SELECT version FROM migrate.apply(target => :target, note => :note)"
APPLY_PROJECT = "SELECT version FROM migrate.apply(project => :project)"
EACH = "CALL migrate.apply_each(target => :target, note => :note, project => :project)"
EACH_PROJECT = "CALL migrate.apply_each(project => :project)"

engine = create_engine("postgresql+psycopg2://")

# the default: a transaction begins by itself
with engine.begin() as connection:
    attempt("apply", connection, APPLY, target="001", note="sent by the client")
with engine.connect() as connection:
    attempt("refused", connection, EACH, target=None, note=None, project="each")
with engine.connect() as connection:
    attempt("forgotten", connection, APPLY, target="002", note=None)

with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
    attempt("apply again", connection, APPLY, target="002", note=None)
    attempt("apply, located", connection, APPLY_PROJECT, project="located")
    attempt("apply, raised", connection, APPLY_PROJECT, project="raised")
    attempt("each", connection, EACH, target="e2", note="sent by the client",
            project="each")
    attempt("each, rest", connection, EACH_PROJECT, project="each")
    attempt("each, nothing", connection, EACH_PROJECT, project="each")
    attempt("each, located", connection, EACH_PROJECT, project="located")
    attempt("each, raised", connection, EACH_PROJECT, project="raised")
