# A network card with an address: by DHCP, or the one that is given. usage: net-up.sh [ADDRESS/BITS]
ip link set lo up
ip link set eth0 up || exit 1
if [ $# -gt 0 ]; then
    ip addr add "$1" dev eth0
    exit
fi
cat >/tmp/udhcpc.sh <<'S'
case $1 in
bound | renew)
    ip addr flush dev eth0
    ip addr add "$ip/$mask" dev eth0
    [ -z "$router" ] || ip route add default via "${router%% *}" dev eth0
    : >/tmp/resolv.conf
    for server in $dns; do echo "nameserver $server" >>/tmp/resolv.conf; done
    echo "dhcp: $ip router $router dns $dns"
    ;;
esac
S
chmod +x /tmp/udhcpc.sh
udhcpc -i eth0 -n -q -t 10 -T 1 -s /tmp/udhcpc.sh >/tmp/dhcp.out 2>&1 || {
    cat /tmp/dhcp.out
    echo "net-up: failed: no DHCP"
    exit 1
}
grep '^dhcp:' /tmp/dhcp.out
