#!/bin/sh
# What udhcpc and dhclient run when a lease comes or goes: address and routes, and the lease's DNS servers go to the
# file INBAND_DNS_FILE, one a line, where the switch finds them. Nothing else.
#
# Not the clients' own scripts: those write /etc/resolv.conf (of the whole host, also from a network namespace) and
# take the address away when the client starts, which would cut a session that lives through our restart.
# The address carries the lease's lifetime, so the kernel removes it when the lease is not renewed any more.
# -f: the words of a lease are never patterns for file names.
set -uf
# /sbin is not in every user's PATH, and iproute2 lives there.
PATH=$PATH:/usr/sbin:/sbin

if [ $# -gt 0 ]; then # udhcpc
    event=$1
    address=${ip:-} netmask=${subnet:-} routers=${router:-} static=${staticroutes:-} lifetime=${lease:-}
    servers=${dns:-}
else # dhclient
    case ${reason:-} in
    BOUND | RENEW | REBIND | REBOOT) event=bound ;;
    EXPIRE | STOP | RELEASE) event=nak ;;
    PREINIT) event=deconfig ;;
    BOUND6 | RENEW6 | REBIND6) event=bound6 ;;
    EXPIRE6 | STOP6 | RELEASE6) event=nak6 ;;
    PREINIT6) event=deconfig6 ;;
    *) event=other ;;
    esac
    address=${new_ip_address:-} netmask=${new_subnet_mask:-} routers=${new_routers:-} static=''
    lifetime=${new_dhcp_lease_time:-}
    servers="${new_domain_name_servers:-} ${new_dhcp6_name_servers:-}"
fi

# Before the address: whoever hears that it is there looks for servers.
keep_servers() {
    [ -n "${INBAND_DNS_FILE:-}" ] || return 0
    # shellcheck disable=SC2086 # a list
    set -- $servers
    if [ $# -gt 0 ]; then
        printf '%s\n' "$@" >"$INBAND_DNS_FILE.new" && mv "$INBAND_DNS_FILE.new" "$INBAND_DNS_FILE"
    else
        rm -f "$INBAND_DNS_FILE"
    fi
}

# Every IPv4 address that came with a lease, except the one named.
remove_leased() {
    ip -4 -o address show dev "$interface" dynamic | while read -r _ _ _ found _; do
        [ "${found%/*}" = "$1" ] || ip address delete "$found" dev "$interface"
    done
}

# Of IPv6 only the address that the lease had: others are from routers.
remove_leased6() {
    [ -z "${old_ip6_address:-}" ] || [ "$old_ip6_address" = "$1" ] ||
        ip -6 address delete "$old_ip6_address/${old_ip6_prefixlen:-128}" dev "$interface" 2>/dev/null
}

# Wait while something is said to be so, at most 5 s: duplicate address detection takes one or two.
wait_while() {
    tries=0
    while "$@" && [ $tries -lt 50 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
}

has_no_link_local_address() {
    [ -z "$(ip -6 -o address show dev "$interface" scope link -tentative)" ]
}

is_being_checked() {
    case $(ip -6 -o address show dev "$interface" to "$1") in
    *dadfailed*) return 1 ;;
    *tentative*) return 0 ;;
    *) return 1 ;;
    esac
}

# The kernel takes an address with a lifetime away when another host has it, and only marks one without.
is_duplicate() {
    [ -z "$(ip -6 -o address show dev "$interface" to "$1" -dadfailed)" ]
}

# What is calculated with below is looked at first: the shell ends at a word that is no number, or even runs it.
is_octet() {
    case $1 in
    [0-9] | [1-9][0-9] | 1[0-9][0-9] | 2[0-4][0-9] | 25[0-5]) return 0 ;;
    *) return 1 ;;
    esac
}

is_address() {
    IFS=. read -r n1 n2 n3 n4 <<END
$1
END
    is_octet "$n1" && is_octet "$n2" && is_octet "$n3" && is_octet "$n4"
}

is_length() {
    case $1 in
    [0-9] | [12][0-9] | 3[0-2]) return 0 ;;
    *) return 1 ;;
    esac
}

# An IPv4 address as one number.
number() {
    IFS=. read -r n1 n2 n3 n4 <<END
$1
END
    echo $(((n1 << 24) + (n2 << 16) + (n3 << 8) + n4))
}

# The network mask of a prefix length, as a number.
mask_of() {
    echo $(((0xffffffff << (32 - $1)) & 0xffffffff))
}

# Whether a server may say how to reach a destination (option 121): not this host itself, nor a group, nor what is in
# the lease's own network. Such a route would take a neighbour, and be it the controller, away from us.
is_elsewhere() {
    case $1 in
    127.* | 22[4-9].* | 23[0-9].* | 24[0-9].* | 25[0-5].*) return 1 ;;
    */*) length=${1#*/} ;;
    *) length=32 ;;
    esac
    { is_address "${1%%/*}" && is_length "$length" && is_address "$address"; } || return 1
    if is_address "$netmask"; then
        own=$(number "$netmask")
    elif is_length "${netmask:-32}"; then
        own=$(mask_of "${netmask:-32}")
    else
        return 1
    fi
    given=$(mask_of "$length")
    [ $((given & own)) -ne "$own" ] || [ $(($(number "${1%%/*}") & own)) -ne $(($(number "$address") & own)) ]
}

# A route of ours; where another one is in the way, behind that one.
route() {
    ip -4 route add "$@" proto dhcp src "$address" 2>/dev/null ||
        ip -4 route replace "$@" proto dhcp src "$address" metric 1024
}

# Routes of an earlier lease, except those through the gateways of this one.
remove_old_routes() {
    ip -4 route show dev "$interface" proto dhcp | while read -r destination _ gateway _; do
        case " $routers $static " in
        *" $gateway "*) ;;
        *) ip -4 route delete "$destination" via "$gateway" dev "$interface" ;;
        esac
    done
}

# Also one that is not from us: those of an adopted interface are there already.
has_route() {
    [ -n "$(ip -4 route show "$1" via "$2" dev "$interface")" ]
}

case $event in
deconfig)
    ip link set "$interface" up
    ;;
bound | renew)
    keep_servers
    ip -4 address replace "$address/${netmask:-255.255.255.255}" dev "$interface" \
        valid_lft "${lifetime:-forever}" preferred_lft "${lifetime:-forever}"
    # RFC 3442: with classless routes the router option does not count.
    if [ -n "$static" ]; then
        # shellcheck disable=SC2086 # a list: destination gateway destination gateway ...
        set -- $static
        while [ $# -ge 2 ]; do
            if is_elsewhere "$1"; then
                has_route "$1" "$2" || route "$1" via "$2" dev "$interface" onlink
            fi
            shift 2
        done
    elif [ -n "$routers" ]; then
        has_route default "${routers%% *}" || route default via "${routers%% *}" dev "$interface" onlink
    fi
    remove_old_routes
    remove_leased "$address"
    ;;
nak)
    remove_leased ''
    servers='' && keep_servers
    ;;
deconfig6)
    ip link set "$interface" up
    wait_while has_no_link_local_address # the client speaks from it, and gives up without it
    ;;
bound6)
    keep_servers
    if [ -n "${new_ip6_address:-}" ]; then
        ip -6 address replace "$new_ip6_address/${new_ip6_prefixlen:-128}" dev "$interface" \
            valid_lft "${new_max_life:-forever}" preferred_lft "${new_preferred_life:-forever}"
        wait_while is_being_checked "$new_ip6_address"
        if is_duplicate "$new_ip6_address"; then
            ip -6 address delete "$new_ip6_address/${new_ip6_prefixlen:-128}" dev "$interface" 2>/dev/null
            exit 3 # the client declines the lease (RFC 8415, 18.2.8)
        fi
        remove_leased6 "$new_ip6_address"
    fi
    ;;
nak6)
    remove_leased6 ''
    servers='' && keep_servers
    ;;
esac
exit 0
