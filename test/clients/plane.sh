# Shells, files and tunnels over our own data plane, also over the loss of the hub.

W="$root/bin/watchbill"
set -- $(cli ssm create-activation --iam-role watchbill-node --registration-limit 1 --query '[ActivationId,ActivationCode]')
mkdir -p "$work/plane/files"
ca=$AWS_CA_BUNDLE
as= # sessions of an agent that root runs need another user, so it is not root's here
if [ "$(id -u)" = 0 ]; then
	chmod 755 "$work"
	chown -R nobody "$work/plane"
	ca=$work/plane/ca.pem
	cp "$AWS_CA_BUNDLE" "$ca"
	chmod 644 "$ca"
	as='setpriv --reuid=nobody --clear-groups --no-new-privs env HOME='"$work/plane"
fi
node=$($as "$W" agent register --hub "$AWS_ENDPOINT_URL" --ca "$ca" --activation-id "$1" --activation-code "$2" --state "$work/plane/state")
$as "$W" agent run --state "$work/plane/state" >"$work/plane.log" 2>&1 &
pids="$pids $!"
here() { cli ssm describe-instance-information --filters "Key=InstanceIds,Values=$node" --query 'InstanceInformationList[].PingStatus' | grep -q Online; }
await "the node of the data plane" here

# same WANT WHAT GOT: one more check.
same() {
	if [ "$1" = "$3" ]; then passed=$((passed + 1)); else fail "$2" "$1" "$3"; fi
}

out=$("$W" shell "$node" -- 'echo out; echo err >&2; exit 7' 2>"$work/err") && code=0 || code=$?
same "out err 7" "shell -- CMD" "$out $(cat "$work/err") $code"
"$W" shell "$node" -- 'kill -TERM $$' && code=0 || code=$?
same 143 "shell -- CMD that a signal ends" "$code"
same "a b|c'd|" "shell -- words" "$("$W" shell "$node" -- printf '%s|' 'a b' "c'd")"

head -c 3000000 /dev/urandom >"$work/some"
same "$(sha256sum <"$work/some")" "shell -- cat" "$("$W" shell "$node" -- cat <"$work/some" | sha256sum)"
"$W" cp "$work/some" "$node:$work/plane/files/there" >"$work/sum"
same "$(sha256sum <"$work/some" | cut -d' ' -f1)" "cp to the node" "$(cut -d' ' -f1 "$work/sum")"
head -c 1000000 "$work/some" >"$work/.back.part" # what an interrupted copy leaves
"$W" cp -q "$node:$work/plane/files/there" "$work/back"
same "$(sha256sum <"$work/some")" "cp from the node" "$(sha256sum <"$work/back")"
mkdir -p "$work/tree/a/b" "$work/tree/c d"
echo 1 >"$work/tree/a/b/1"
echo 2 >"$work/tree/c d/2 x"
chmod 640 "$work/tree/a/b/1"
"$W" cp -q -r "$work/tree" "$node:$work/plane/files/"
"$W" cp -q -r "$node:$work/plane/files/tree" "$work/got"
same "" "cp -r there and back" "$(diff -r "$work/tree" "$work/got" 2>&1)"
same 640 "the mode of a file" "$(stat -c %a "$work/got/a/b/1")"
"$W" cp -q "$node:/etc/shadow" "$work/shadow" 2>/dev/null && code=0 || code=$?
same "1 " "cp of a file that the user may not read" "$code $(ls "$work/shadow" 2>/dev/null)"

port=$((20000 + $$ % 10000))
"$W" tunnel -L "$port:127.0.0.1:${AWS_ENDPOINT_URL##*:}" --socks "$((port + 1))" "$node" >"$work/tunnel.log" 2>&1 &
tunnel=$!
pids="$pids $tunnel"
await "the tunnel" grep -q SOCKS "$work/tunnel.log"
same ok "tunnel -L" "$(curl -s --cacert "$AWS_CA_BUNDLE" "https://localhost:$port/healthz" | grep -o ok | head -1)"
same ok "tunnel --socks" "$(curl -s --cacert "$AWS_CA_BUNDLE" --socks5-hostname "localhost:$((port + 1))" "$AWS_ENDPOINT_URL/healthz" | grep -o ok | head -1)"
curl -s -m 10 --socks5 "localhost:$((port + 1))" http://169.254.169.254/ && code=0 || code=$?
same 97 "tunnel to a metadata address" "$code"
kill "$tunnel"
wait "$tunnel" 2>/dev/null || true

# The hub is killed in the middle of a command: nothing is lost or done twice.
"$W" shell "$node" -- 'for i in 1 2 3 4 5 6 7 8; do echo $i; echo $i >>'"$work/plane/files/log"'; sleep 0.5; done; exit 9' >"$work/killed" 2>/dev/null &
killed=$!
begun() { grep -q 2 "$work/killed"; }
await "the command" begun
kill -9 "$hub"
"$root/bin/watchbill" server --data "$work/hub" --listen "127.0.0.1:${AWS_ENDPOINT_URL##*:}" >"$work/hub.out2" 2>"$work/hub2.log" &
hub=$!
pids="$pids $hub"
wait "$killed" && code=0 || code=$?
same "1 2 3 4 5 6 7 8 9" "a command over kill -9 of the hub" "$(tr '\n' ' ' <"$work/killed")$code"
same "1 2 3 4 5 6 7 8" "what it did on the node" "$(tr '\n' ' ' <"$work/plane/files/log" | sed 's/ $//')"
gives "" ssm describe-sessions --state History --query 'Sessions[0].SessionId'
