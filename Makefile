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

# The client goes where it is found: packages of PostgreSQL keep the server's
# programs in directories of their own, which are in nobody's PATH.
client_prefix = $(if $(filter /usr/lib/postgresql/% /usr/pgsql-%,$(bindir)),/usr/local)
client_bindir = $(or $(client_prefix:%=%/bin),$(bindir))
client_datadir = $(or $(client_prefix:%=%/share),$(patsubst %/bin,%/share,$(bindir)))
client_files = '$(client_bindir)/pg_migrate' '$(client_datadir)/man/man1/pg_migrate.1' \
	'$(client_datadir)/bash-completion/completions/pg_migrate' \
	'$(client_datadir)/zsh/site-functions/_pg_migrate' \
	'$(client_datadir)/fish/vendor_completions.d/pg_migrate.fish'

install: install-client
install-client:
	for file in $(client_files); do $(MKDIR_P) "$(DESTDIR)$${file%/*}" || exit 1; done
	set -e; to() { rm -f "$(DESTDIR)$$1"; cat >"$(DESTDIR)$$1"; chmod "$$2" "$(DESTDIR)$$1"; }; \
	set -- $(client_files); \
	to "$$1" 755 <bin/pg_migrate; \
	to "$$2" 644 <doc/pg_migrate.1; \
	bin/pg_migrate help --bash | to "$$3" 644; \
	bin/pg_migrate help --zsh | to "$$4" 644; \
	bin/pg_migrate help --fish | to "$$5" 644; \
	echo "pg_migrate is $(DESTDIR)$$1"

uninstall: uninstall-client
uninstall-client:
	for file in $(client_files); do rm -f "$(DESTDIR)$$file"; done

# the manual page is made of the table in the client
man:
	bin/pg_migrate help --man >doc/pg_migrate.1

dist:
	git archive --format zip --prefix=$(EXTENSION)-$(EXTVERSION)/ \
		--output $(EXTENSION)-$(EXTVERSION).zip HEAD

.PHONY: dist install-client uninstall-client man
