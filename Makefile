# make && sudo make install puts the extension into the PostgreSQL that
# PG_CONFIG belongs to.  CONTRIBUTING.md says the rest.

EXTENSION = migrate
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" migrate.control)
PGFILEDESC = "migrate - schema migrations run by the server"

MODULE_big = migrate
OBJS = \
	src/guc.o \
	src/printable.o \
	src/errors.o \
	src/checksum.o \
	src/lexer.o \
	src/version.o \
	src/sqlutil.o \
	src/subxact.o \
	src/ownlocks.o \
	src/bulk.o \
	src/statement.o \
	src/tokens.o \
	src/trial.o \
	src/sqltext.o \
	src/settings.o \
	src/worker.o \
	src/fileset.o \
	src/foreign.o \
	src/books.o \
	src/keyed.o \
	src/ledger.o \
	src/journal.o \
	src/runlock.o \
	src/guard.o \
	src/progress.o \
	src/partial.o \
	src/recheck.o \
	src/runbook.o \
	src/effects.o \
	src/residue.o \
	src/toplevel.o \
	src/lock_schedule.o \
	src/locktrace.o \
	src/argument.o \
	src/directory.o \
	src/convention_marker.o \
	src/convention_sqitch.o \
	src/convention.o \
	src/plan_down.o \
	src/plan_half_way.o \
	src/plan_order.o \
	src/plan_state.o \
	src/plan_up.o \
	src/execute.o \
	src/leftover.o \
	src/failure.o \
	src/hint.o \
	src/chunk.o src/texts.o \
	src/agenda.o \
	src/prepare.o \
	src/relsize.o \
	src/lint_facts.o \
	src/lint_uses.o \
	src/lint_text.o \
	src/lint_verify.o \
	src/lint_model.o \
	src/lint_table.o \
	src/lint_effects.o \
	src/lint_check.o \
	src/lint_rules_index.o \
	src/lint_rules_constraint.o \
	src/lint_rules_column.o \
	src/lint_rules_drop.o \
	src/lint_rules_type.o \
	src/lint_rules_name.o \
	src/lint_rules_run.o \
	src/lint.o \
	src/renamed.o \
	src/store.o \
	src/runner.o \
	src/look.o \
	src/mend.o \
	src/script.o \
	src/stepwise.o \
	src/each.o \
	src/launch.o \
	src/background.o \
	src/rehearse.o \
	src/watch.o \
	src/rights.o \
	src/report.o \
	src/report_text.o \
	src/report_escape.o \
	src/report_style.o \
	src/report_timeline.o \
	src/report_json.o \
	src/report_markdown.o \
	src/report_html.o \
	src/worker_main.o \
	src/api.o \
	src/api_each.o \
	src/api_look.o \
	src/api_rehearse.o \
	src/api_store.o \
	src/init.o

# sql/migrate.sql is the current full text, sql/migrate--A--B.sql an upgrade
DATA = $(wildcard sql/migrate--*--*.sql)
DATA_built = sql/migrate--$(EXTVERSION).sql
SCRIPTS = bin/migrate-load

# Inputs are in test/, expected outputs in expected/.  A test must not have the
# name of a file in sql/, which pg_regress would find first.
REGRESS = $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql))
REGRESS_OPTS = --inputdir=test --load-extension=migrate
ISOLATION = $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec))
ISOLATION_OPTS = --inputdir=test --outputdir=. --load-extension=migrate
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare

# Bitcode would let the JIT compiler inline our functions into expressions,
# which gains nothing here and needs clang: only if asked, with_llvm=yes.
ifneq ($(origin with_llvm),command line)
override with_llvm := no
endif

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# PGXS does not follow includes, so every object depends on every header
$(OBJS): $(wildcard src/*.h)

sql/migrate--$(EXTVERSION).sql: sql/migrate.sql
	cp $< $@

# PGXS installs a script by its base name, and removes it by its path
uninstall: uninstall-scripts
uninstall-scripts:
	rm -f $(addprefix '$(DESTDIR)$(bindir)'/, $(notdir $(SCRIPTS)))

dist:
	git archive --format zip --prefix=$(EXTENSION)-$(EXTVERSION)/ \
		--output $(EXTENSION)-$(EXTVERSION).zip HEAD

.PHONY: dist uninstall-scripts
