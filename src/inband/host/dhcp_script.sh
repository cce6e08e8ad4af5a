#!/bin/sh
# What udhcpc and dhclient run when a lease comes or goes: address and routes, nothing else.
#
# Not the clients' own scripts: those write /etc/resolv.conf (of the whole host, also from a network namespace) and
# take the address away when the client starts, which would cut a session that lives through our restart.
# The address carries the lease's lifetime, so the kernel removes it when nobody renews the lease any more.
set -u
# /sbin is not in everybody's PATH, and iproute2 lives there.
PATH=$PATH:/usr/sbin:/sbin

if [ $# -gt 0 ]; then # udhcpc
    event=$1
    address=${ip:-} netmask=${subnet:-} routers=${router:-} static=${staticroutes:-} lifetime=${lease:-}
else # dhclient
    case ${reason:-} in
    BOUND | RENEW | REBIND | REBOOT) event=bound ;;
    EXPIRE | STOP | RELEASE) event=nak ;;
    PREINIT) event=deconfig ;;
    *) event=other ;;
    esac
    address=${new_ip_address:-} netmask=${new_subnet_mask:-} routers=${new_routers:-} static=''
    lifetime=${new_dhcp_lease_time:-}
fi

# Every IPv4 address that came with a lease, except the one named.
remove_leased() {
    ip -4 -o address show dev "$interface" dynamic | while read -r _ _ _ found _; do
        [ "${found%/*}" = "$1" ] || ip address delete "$found" dev "$interface"
    done
}

# A route of ours; where another one stands in the way, behind that one.
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

has_route() {
    [ -n "$(ip -4 route show "$1" via "$2" dev "$interface" proto dhcp)" ]
}

case $event in
deconfig)
    ip link set "$interface" up
    ;;
bound | renew)
    ip -4 address replace "$address/${netmask:-255.255.255.255}" dev "$interface" \
        valid_lft "${lifetime:-forever}" preferred_lft "${lifetime:-forever}"
    # RFC 3442: with classless routes the router option does not count.
    if [ -n "$static" ]; then
        # shellcheck disable=SC2086 # a list: destination gateway destination gateway ...
        set -- $static
        while [ $# -ge 2 ]; do
            has_route "$1" "$2" || route "$1" via "$2" dev "$interface" onlink
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
    ;;
esac
exit 0
