#!/usr/bin/env bash
# Runs a Galera cluster of three MariaDB servers on the loopback interface, for tests with several writers.
#
#   galera.sh up DIR        create the cluster in DIR, start it, and print the value of ORGINVITE_GALERA
#   galera.sh kill DIR N    end node N (1 to 3) without warning, as in a crash
#   galera.sh start DIR N   start node N again and wait until it has caught up
#   galera.sh freeze DIR N  pause node N, as if its machine were suspended
#   galera.sh thaw DIR N    resume a frozen node
#   galera.sh down DIR      stop the nodes
#
# It needs mariadbd, galera-4 and rsync, and the ports ORGINVITE_GALERA_PORT (default 3310) + 1 to 3, + 1251 to 1253,
# + 1261 to 1263 and + 1271 to 1273. It signals only processes that it started in DIR. If root starts the nodes, they
# run as the user mysql.
set -euo pipefail

usage() {
	sed -n '2,15s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

(($# >= 2)) || usage
verb=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
missing=3 # the exit status if something is not installed
base=${ORGINVITE_GALERA_PORT:-3310}
sqlport() { echo $((base + $1)); }
gcommport() { echo $((base + 1250 + $1)); } # for traffic between the nodes
istport() { echo $((base + 1260 + $1)); }
sstport() { echo $((base + 1270 + $1)); }

as=()
[[ $(id -u) != 0 ]] || as=(--user=mysql)

provider() {
	local file
	file=$({ dpkg -L galera-4 2>/dev/null || rpm -ql galera-4 2>/dev/null || true; } | grep '/libgalera_smm\.so$' | head -n 1)
	if [[ -z $file ]]; then
		echo "libgalera_smm.so of galera-4 is not installed" >&2
		return $missing
	fi
	echo "$file"
}

configure() {
	local n=$1 library=$2
	cat >"$dir/node$n.cnf" <<EOF
[mysqld]
datadir = $dir/node$n
port = $(sqlport "$n")
bind_address = 127.0.0.1
socket = $dir/node$n/socket
pid_file = $dir/node$n/pid
log_error = $dir/node$n.log
binlog_format = ROW
default_storage_engine = InnoDB
# Until a node has applied a CREATE DATABASE, tables in it get this default, so all nodes need the same one.
character_set_server = utf8mb4
innodb_autoinc_lock_mode = 2
# A node has once let a transaction wait until this timeout, by default 50 s, for a lock that nobody held. The Store runs
# its own transaction again after the timeout, but not after more than 10 s.
innodb_lock_wait_timeout = 5
innodb_buffer_pool_size = 128M
max_connections = 300
wsrep_on = ON
wsrep_provider = $library
wsrep_cluster_name = orginvite
wsrep_cluster_address = gcomm://127.0.0.1:$(gcommport 1),127.0.0.1:$(gcommport 2),127.0.0.1:$(gcommport 3)
wsrep_node_name = node$n
wsrep_node_address = 127.0.0.1:$(gcommport "$n")
wsrep_provider_options = "gmcast.listen_addr=tcp://127.0.0.1:$(gcommport "$n"); ist.recv_addr=127.0.0.1:$(istport "$n")"
wsrep_sst_method = rsync
wsrep_sst_receive_address = 127.0.0.1:$(sstport "$n")
EOF
}

launch() { # launch N [OPTION...]
	local n=$1
	shift
	setsid mariadbd --defaults-file="$dir/node$n.cnf" "${as[@]}" "$@" </dev/null >/dev/null 2>&1 &
	# The server writes its pid file late, so ask for its state instead.
	for _ in $(seq 240); do
		if [[ $(ask "$n" "SHOW STATUS LIKE 'wsrep_local_state_comment'") == *Synced* ]]; then
			return
		fi
		sleep 0.25
	done
	echo "node $n did not join the cluster; the end of its log:" >&2
	tail -n 20 "$dir/node$n.log" >&2
	return 1
}

ask() { mariadb --no-defaults -h 127.0.0.1 -P "$(sqlport "$1")" -u root -N -e "$2" 2>/dev/null || true; }

# pid N prints the process id of node N, and fails unless the node was started here and is running.
pid() {
	local p
	p=$(cat "$dir/node$1/pid" 2>/dev/null) || return 1
	kill -0 "$p" 2>/dev/null && tr '\0' ' ' <"/proc/$p/cmdline" | grep -qF "$dir/node$1.cnf" && echo "$p"
}

node() {
	[[ ${1:-} == [123] ]] || usage
	echo "$1"
}

case $verb in
up)
	for program in mariadbd mariadb-install-db mariadb rsync; do
		command -v $program >/dev/null || { echo "$program is not installed" >&2; exit $missing; }
	done
	library=$(provider)
	[[ $(id -u) != 0 ]] || chown mysql "$dir"
	for n in 1 2 3; do
		[[ ! -d $dir/node$n ]] || continue
		configure "$n" "$library"
		mariadb-install-db --no-defaults "${as[@]}" --datadir="$dir/node$n" --skip-test-db \
			--auth-root-authentication-method=normal >"$dir/install$n.log" 2>&1
	done
	launch 1 --wsrep-new-cluster
	launch 2
	launch 3
	ask 1 "CREATE DATABASE IF NOT EXISTS test CHARACTER SET utf8mb4"
	for n in 1 2 3; do
		dsn=${dsn:+$dsn,}"root@tcp(127.0.0.1:$(sqlport $n))/test"
	done
	echo "$dsn"
	;;
kill | freeze | thaw)
	declare -A signal=([kill]=KILL [freeze]=STOP [thaw]=CONT)
	n=$(node "${3:-}")
	p=$(pid "$n") || { echo "node $n is not running" >&2; exit 1; }
	kill -"${signal[$verb]}" "$p"
	;;
start)
	n=$(node "${3:-}")
	! pid "$n" >/dev/null || { echo "node $n is already running" >&2; exit 1; }
	launch "$n"
	;;
down)
	for n in 3 2 1; do
		p=$(pid "$n") || continue
		kill "$p"
		for _ in $(seq 240); do
			pid "$n" >/dev/null || break
			sleep 0.25
		done
	done
	;;
*) usage ;;
esac
