# make && sudo make install puts the extension into the PostgreSQL that
# PG_CONFIG belongs to.  CONTRIBUTING.md says the rest.

EXTENSION = migrate
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" migrate.control)
PGFILEDESC = "migrate - schema migrations run by the server"

MODULE_big = migrate
# every .c file of src/ and its folders
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))

# sql/parts is the current full text, sql/migrate--A--B.sql an upgrade
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

PG_CPPFLAGS = -I$(srcdir)/src
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
$(OBJS): $(wildcard src/*/*.h)

sql/migrate--$(EXTVERSION).sql: $(sort $(wildcard sql/parts/*.sql))
	cat $^ >$@

# PGXS installs a script by its base name, and removes it by its path
uninstall: uninstall-scripts
uninstall-scripts:
	rm -f $(addprefix '$(DESTDIR)$(bindir)'/, $(notdir $(SCRIPTS)))

dist:
	git archive --format zip --prefix=$(EXTENSION)-$(EXTVERSION)/ \
		--output $(EXTENSION)-$(EXTVERSION).zip HEAD

.PHONY: dist uninstall-scripts
