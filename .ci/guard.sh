# shellcheck shell=sh
# .ci/guard.sh: how every guard begins
#
# To be sourced by a script in .ci that takes no arguments: --help shows the
# comment at its top, anything else is refused.  Sets $sources, the C files, and
# $headers, and goes to the top of the tree.

set -eu
case "$#:${1:-}" in
	0:) ;;
	1:-h | 1:--help)
		sed -n '3,/^$/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	*)
		echo "usage: .ci/${0##*/}" >&2
		exit 2
		;;
esac
cd "$(dirname -- "$0")/.."
# shellcheck disable=SC2034 # for the guards
{
	sources=$(find src -name '*.c' | LC_ALL=C sort)
	headers=$(find src -name '*.h' | LC_ALL=C sort)
}
