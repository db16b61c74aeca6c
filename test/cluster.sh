# shellcheck shell=sh
# test/cluster.sh: what ./demo, test/run and bench/run have in common
#
# To be sourced.  It installs packages, makes a private copy of the PostgreSQL
# installation and runs throw-away clusters out of that copy.
#
# The private copy: PostgreSQL finds its own directories relative to the place
# of the binary that runs, so a tree with copies of the programs and links to
# everything else is an installation of its own.  "make install" with its
# pg_config writes there and nowhere else; neither root's nor anybody else's
# system is changed by trying the extension out.
#
# As root everything that is not the installation of packages is done as
# the user postgres, since the server refuses to run as root.

# ---------------------------------------------------------------------------
# Surroundings
# ---------------------------------------------------------------------------

# What the caller's own PostgreSQL settings say must not matter here.
for cluster_var in $(env | sed -n 's/^\(PG[A-Z]*\)=.*/\1/p')
do
	unset "$cluster_var"
done
unset LANGUAGE LC_COLLATE LC_CTYPE LC_MESSAGES LC_MONETARY LC_NUMERIC LC_TIME
# PostgreSQL::Test takes LC_ALL away
LANG=C.UTF-8
LC_ALL=C.UTF-8
export LANG LC_ALL
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
umask 022
# the directory that is removed at the end: never one that somebody else names
WORK=

say()
{
	printf '%s\n' "$*"
}

die()
{
	printf '%s: %s\n' "$0" "$*" >&2
	exit 1
}

is_root()
{
	[ "$(id -u)" = 0 ]
}

# at_exit COMMAND: what this script does when it ends, by a signal too, and also
# when nobody reads what it writes any more.  $exit_status is the status.
at_exit()
{
	# shellcheck disable=SC2064 # the command is known now
	trap "exit_status=\$?; trap '' HUP INT PIPE TERM; $1" EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 141' PIPE
	trap 'exit 143' TERM
}

# Run a command as the user that the server runs as.
as_server_user()
{
	if is_root
	then
		setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"
	else
		"$@"
	fi
}

# Run a command quietly; show what it said only if it fails.
quietly()
{
	quiet_log=$1
	shift
	if "$@" >"$quiet_log" 2>&1 </dev/null
	then
		return 0
	fi
	cat "$quiet_log" >&2
	die "failed: $*"
}

# ---------------------------------------------------------------------------
# Packages
# ---------------------------------------------------------------------------

# The major version to use: $PG_MAJOR, else that of $PG_CONFIG, else an
# installed one (15 first), else what the distribution would install.
find_major()
{
	[ -z "${PG_MAJOR:-}" ] || return 0
	if [ -n "${PG_CONFIG:-}" ]
	then
		PG_MAJOR=$("$PG_CONFIG" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
		return 0
	fi
	for PG_MAJOR in 15 18 17 16
	do
		[ ! -x "/usr/lib/postgresql/$PG_MAJOR/bin/postgres" ] || return 0
	done
	PG_MAJOR=$(apt-cache depends postgresql 2>/dev/null |
		sed -n 's/.*Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -n 1)
	PG_MAJOR=${PG_MAJOR:-15}
}

package_installed()
{
	case $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) in
		installed) return 0 ;;
		*) return 1 ;;
	esac
}

# The packages to build and run the extension.
server_packages()
{
	[ -z "${PG_CONFIG:-}" ] || return 0
	printf 'postgresql-%s postgresql-server-dev-%s gcc libc6-dev make\n' \
		"$PG_MAJOR" "$PG_MAJOR"
}

# need_packages NAME...: install those that are missing, or say what to do.
need_packages()
{
	command -v dpkg-query >/dev/null || return 0
	missing=
	for package in "$@"
	do
		package_installed "$package" || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	if ! is_root
	then
		die "these packages are missing, please install them as root:
    apt-get install --no-install-recommends$missing"
	fi
	say "Installing$missing (this can take a few minutes)"
	install_log=$(mktemp /tmp/migrate-apt.XXXXXX)
	# shellcheck disable=SC2086 # a list of names
	if ! install_packages $missing >"$install_log" 2>&1 </dev/null
	then
		tail -n 30 "$install_log" >&2
		die "apt-get could not install them; its output is in $install_log"
	fi
	rm -f "$install_log"
}

# Installing a server makes Debian create and start a cluster of its own, and a
# daemon's package starts the daemon, which nobody asked for here: both switched
# off while this runs.  Only missing packages are named, so that no package of a
# running server is upgraded.
install_packages()
(
	policy=/usr/sbin/policy-rc.d
	conf_dir=/etc/postgresql-common/createcluster.d
	conf=$conf_dir/zz-migrate-throw-away.conf
	undo="rm -f $conf"
	[ -d $conf_dir ] || undo="$undo; rmdir $conf_dir"
	[ -e $policy ] || undo="$undo; rm -f $policy"
	at_exit "{ $undo; } 2>/dev/null || :"
	if [ ! -e $policy ]
	then
		# means nothing any more if this shell is killed and leaves it there
		printf '#!/bin/sh\n[ ! -d /proc/%s ] || exit 101\n' $$ >$policy
		chmod 755 $policy
	fi
	mkdir -p $conf_dir
	echo 'create_main_cluster = false' >$conf
	apt-get -q update &&
		DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-upgrade \
			--no-install-recommends install "$@"
)

# ---------------------------------------------------------------------------
# A private installation
# ---------------------------------------------------------------------------

# Make a directory that the server's user owns, nobody else can enter, and
# programs can be run from; sets $WORK.  The path is kept short, for it becomes
# part of a socket's name.
make_work_dir()
{
	for parent in ${MIGRATE_TMPDIR:-${TMPDIR:-/tmp} /tmp /var/tmp}
	do
		WORK=$(mktemp -d "$parent/migrate-$1.XXXXXX" 2>/dev/null) || continue
		! is_root || chown postgres: "$WORK"
		printf '#!/bin/sh\nexit 0\n' >"$WORK/probe"
		chmod 755 "$WORK/probe"
		if as_server_user "$WORK/probe" 2>/dev/null &&
			[ ${#WORK} -lt 70 ]
		then
			rm -f "$WORK/probe"
			return 0
		fi
		rm -rf "$WORK"
		WORK=
	done
	die "found no directory for temporary files from which programs can run; set MIGRATE_TMPDIR"
}

# copy_checkout FROM TO: the sources without what a build or a test left there.
copy_checkout()
{
	as_server_user mkdir -p "$2"
	(cd "$1" && tar -cf - --exclude=./.git --exclude=./.demo --exclude=./.test \
		--exclude='*.o' --exclude='*.so' --exclude='*.bc' \
		--exclude=./results --exclude=./output_iso --exclude=./tmp_check \
		--exclude='./sql/migrate--[0-9].[0-9].sql' .) |
		as_server_user tar -xf - --no-same-owner -C "$2"
}

# links FROM TO: a directory of links to everything that is in FROM.
links()
{
	as_server_user mkdir -p "$2"
	as_server_user ln -s -t "$2" "$1"/*
}

# private_installation DIR: sets $PG_CONFIG and $PGBIN to those of a copy of the
# installation under DIR.
private_installation()
{
	private=$1
	origin=${PG_CONFIG:-/usr/lib/postgresql/$PG_MAJOR/bin/pg_config}
	[ -x "$origin" ] || die "there is no $origin"
	bindir=$("$origin" --bindir)
	pkglibdir=$("$origin" --pkglibdir)
	sharedir=$("$origin" --sharedir)
	includedir=$("$origin" --includedir)
	libdir=$("$origin" --libdir)
	[ -e "$("$origin" --pgxs)" ] ||
		die "PostgreSQL's files for building extensions are not installed"

	as_server_user mkdir -p "$private$bindir" "$private${includedir%/*}" \
		"$private${libdir%/*}"
	as_server_user cp "$bindir"/* "$private$bindir/"
	links "$pkglibdir" "$private$pkglibdir"
	links "$sharedir" "$private$sharedir"
	as_server_user rm "$private$sharedir/extension"
	links "$sharedir/extension" "$private$sharedir/extension"
	[ -e "$private$includedir" ] ||
		as_server_user ln -s "$includedir" "$private$includedir"
	[ -e "$private$libdir" ] ||
		as_server_user ln -s "$libdir" "$private$libdir"

	# an installed version of the extension must not be mistaken for this one
	as_server_user rm -f "$private$pkglibdir/migrate.so" \
		"$private$sharedir"/extension/migrate.control \
		"$private$sharedir"/extension/migrate--*.sql \
		"$private$bindir/pg_migrate"

	PGBIN=$private$bindir
	PG_CONFIG=$PGBIN/pg_config
	if [ "$("$PG_CONFIG" --pkglibdir)" != "$private$pkglibdir" ] ||
		[ "$("$PG_CONFIG" --sharedir)" != "$private$sharedir" ]
	then
		die "this PostgreSQL cannot be copied: $bindir"
	fi
	PATH=$PGBIN:$PATH
	export PATH PG_CONFIG
}

# build_and_install DIR [make arguments]: from a copy of the checkout into the
# private installation.
build_and_install()
{
	build_dir=$1
	shift
	as_server_user make -s -C "$build_dir" -j"$(nproc)" \
		PG_CONFIG="$PG_CONFIG" "$@" &&
	as_server_user make -s -C "$build_dir" \
		PG_CONFIG="$PG_CONFIG" "$@" install
}

# ---------------------------------------------------------------------------
# A cluster
# ---------------------------------------------------------------------------

# create_cluster DIR: data directory DIR/data, socket in DIR/socket, no TCP,
# superuser postgres.  Who can enter DIR can connect: keep it closed to others.
# More settings are read from standard input.
create_cluster()
{
	as_server_user mkdir -p -m 700 "$1/socket"
	as_server_user "$PGBIN/initdb" --no-sync -U postgres -A trust -E UTF8 \
		--locale=C.UTF-8 -D "$1/data" >"$1/initdb.log" 2>&1 </dev/null || {
		cat "$1/initdb.log" >&2
		die "initdb failed"
	}
	{
		printf "listen_addresses = ''\n"
		printf "unix_socket_directories = '%s'\n" "$1/socket"
		printf "lc_messages = 'C'\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n"
		cat
	} >>"$1/data/postgresql.conf"
}

# start_cluster DIR: sets the libpq variables to reach it.
start_cluster()
{
	as_server_user "$PGBIN/pg_ctl" -s -w -t 120 -D "$1/data" \
		-l "$1/server.log" start >"$1/start.log" 2>&1 </dev/null || {
		cat "$1/start.log" "$1/server.log" >&2
		die "the server in $1 does not start"
	}
	PGHOST=$1/socket
	PGUSER=postgres
	PGDATABASE=postgres
	export PGHOST PGUSER PGDATABASE
}

# stop_clusters DIR: every server that has its data below DIR, at once.
stop_clusters()
{
	[ -d "$1" ] || return 0
	find "$1" -name postmaster.pid 2>/dev/null | while read -r pid_file
	do
		as_server_user "$PGBIN/pg_ctl" -s -m immediate -w \
			-D "${pid_file%/*}" stop >/dev/null 2>&1 </dev/null || :
	done
}
