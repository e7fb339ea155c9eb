# Shared by the scripts of this directory: a hub of its own, and checks on the answers
# of the stock aws CLI.

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
pids=
passed=0
failed=0

# start_hub [FLAG...] starts a hub on a free port and points the aws CLI at it.
start_hub() {
	"$root/bin/watchbill" server --data "$work/hub" --listen 127.0.0.1:0 "$@" >"$work/hub.out" 2>"$work/hub.log" &
	hub=$!
	pids="$pids $hub"
	await "the hub" grep -q '^ready ' "$work/hub.out"
	eval "$("$root/bin/watchbill" env --data "$work/hub")"
	export AWS_EC2_METADATA_DISABLED=true AWS_PAGER= AWS_MAX_ATTEMPTS=2
}

# await WHAT COMMAND... repeats a command until it succeeds, for 30 s.
await() {
	what=$1
	shift
	n=0
	until "$@" >/dev/null 2>&1; do
		n=$((n + 1))
		if [ $n -gt 300 ]; then
			echo "FAIL $what did not come" >&2
			tail -5 "$work"/*.log >&2
			exit 1
		fi
		sleep 0.1
	done
}

finish() {
	for p in $pids; do kill "$p" 2>/dev/null || true; done
	wait 2>/dev/null || true
	if [ -n "${KEEP:-}" ]; then echo "kept $work"; else rm -rf "$work"; fi
}
trap finish EXIT

# cli ARGS... calls the stock aws CLI; the endpoint is explicit since older ones do
# not know AWS_ENDPOINT_URL.
cli() { aws --endpoint-url "$AWS_ENDPOINT_URL" --output text "$@"; }

# gives WANT ARGS...: the answer matches the extended regular expression WANT.
gives() {
	want=$1
	shift
	if ! got=$(cli "$@" 2>&1); then
		fail "$*" "an answer" "$got"
	elif [ -z "$want" ] || printf '%s' "$got" | tr '\n' ' ' | grep -Eq -- "$want"; then
		passed=$((passed + 1))
	else
		fail "$*" "$want" "$got"
	fi
}

# refuses CODE ARGS...: the call fails with this error code.
refuses() {
	want=$1
	shift
	if got=$(cli "$@" 2>&1); then
		fail "$*" "the error $want" "$got"
	elif printf '%s' "$got" | grep -Eq "\(($want)\)"; then
		passed=$((passed + 1))
	else
		fail "$*" "the error $want" "$got"
	fi
}

fail() {
	failed=$((failed + 1))
	printf 'FAIL aws %s\n  want %s\n  got  %s\n' "$1" "$2" "$3"
}

verdict() {
	echo "$1: $passed calls as expected, $failed not"
	[ $failed = 0 ]
}
