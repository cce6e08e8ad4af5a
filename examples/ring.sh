# Eight in-band switches in a ring of network namespaces, with a controller beside the first one: docs/ring.md.
# As root, with the command `inband`: `bash --init-file examples/ring.sh`. All is removed when that shell ends.
dir=$(mktemp -d) here=$(dirname "${BASH_SOURCE[0]}")
(umask 077; openssl rand -base64 32 > "$dir/key")
trap 'kill $(jobs -p); wait; for n in c s{1..9}; do ip netns del ring-$n; done 2>/dev/null; rm -r "$dir"' EXIT
set_link() { ip -n "ring-$1" link set "$1-$2" "$3"; ip -n "ring-$2" link set "$2-$1" "$3"; }
cable() { ip link add "$1-$2" netns "ring-$1" type veth peer name "$2-$1" netns "ring-$2"; set_link "$1" "$2" up; }
ports() { ip -n "ring-$1" -brief link | sed -n "s/^\($1-[a-z0-9]*\)@.*/--port \1/p"; }
start() {
    ip netns exec "ring-$1" inband run --bridge "$1" --address "10.0.0.${1#s}/24" $(ports "$1") \
        --controller tcp:10.0.0.100 --fail-mode secure --network-key "$dir/key" \
        --run-dir "$dir/$1" --state-dir "$dir/state-$1" 2> "$dir/$1.log" &
}
ask() { inband --run-dir "$dir/$1" "${@:2}"; }
plug() { ip netns add "ring-$1"; for n in "${@:2}"; do cable "$1" "$n"; ask "$n" add-port "$n" "$n-$1"; done; start "$1"; }
for n in c s{1..8}; do ip netns add "ring-$n"; done
cable c s1; cable s8 s1; for n in {1..7}; do cable "s$n" "s$((n + 1))"; done
ip -n ring-c addr add 10.0.0.100/24 dev c-s1
ip netns exec ring-c python3 "$here/mute_controller.py" "$dir/silences" &
for n in s{1..8}; do start "$n"; done
