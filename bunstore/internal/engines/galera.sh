#!/usr/bin/env bash
# Three MariaDB servers on loopback that form a Galera cluster, for the tests of several writers.
#
#   galera.sh up DIR        make the cluster in DIR, start it, and print ORGINVITE_GALERA for the tests
#   galera.sh kill DIR N    end node N (1 to 3) without a warning, as a crash does
#   galera.sh start DIR N   start node N again and wait until it has caught up
#   galera.sh freeze DIR N  stop node N where it is, as a machine does that is suspended
#   galera.sh thaw DIR N    let a frozen node go on
#   galera.sh down DIR      stop the nodes
#
# It needs mariadbd, galera-4 and rsync, and the ports 3311-3313, 4561-4563, 4571-4573 and 4581-4583: those from
# ORGINVITE_GALERA_PORT + 1 on, which is 3310 by default, and from 1251, 1261 and 1271 above it. Of processes it touches
# only those it started in DIR. Nodes run as the user mysql where root starts them.
set -euo pipefail

usage() {
	sed -n '2,15s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

(($# >= 2)) || usage
verb=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
missing=3 # the exit status where something is not installed
base=${ORGINVITE_GALERA_PORT:-3310}
sqlport() { echo $((base + $1)); }
gcommport() { echo $((base + 1250 + $1)); } # of the nodes to each other
istport() { echo $((base + 1260 + $1)); }
sstport() { echo $((base + 1270 + $1)); }

as=()
[[ $(id -u) != 0 ]] || as=(--user=mysql)

provider() {
	local file
	file=$({ dpkg -L galera-4 2>/dev/null || rpm -ql galera-4 2>/dev/null || true; } | grep '/libgalera_smm\.so$' | head -n 1)
	if [[ -z $file ]]; then
		echo "there is no libgalera_smm.so of galera-4" >&2
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
# A node that is about to apply a CREATE DATABASE makes tables in it by this default; nodes have to agree.
character_set_server = utf8mb4
innodb_autoinc_lock_mode = 2
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
	# The pid file is the server's own, and comes late.
	for _ in $(seq 240); do
		if [[ $(ask "$n" "SHOW STATUS LIKE 'wsrep_local_state_comment'") == *Synced* ]]; then
			return
		fi
		sleep 0.25
	done
	echo "node $n does not join the cluster; the end of its log:" >&2
	tail -n 20 "$dir/node$n.log" >&2
	return 1
}

ask() { mariadb --no-defaults -h 127.0.0.1 -P "$(sqlport "$1")" -u root -N -e "$2" 2>/dev/null || true; }

# pid of node N, where it is one of ours and alive.
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
		command -v $program >/dev/null || { echo "there is no $program" >&2; exit $missing; }
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
	p=$(pid "$n") || { echo "node $n does not run" >&2; exit 1; }
	kill -"${signal[$verb]}" "$p"
	;;
start)
	n=$(node "${3:-}")
	! pid "$n" >/dev/null || { echo "node $n runs already" >&2; exit 1; }
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
