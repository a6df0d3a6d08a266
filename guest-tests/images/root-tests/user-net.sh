# The network of --net user: DHCP, a name, a page from the host's loopback, a server of our own.
# Then data for two seconds each way, where a second port with iperf3 behind it is given.
# usage: user-net.sh HTTP-PORT [IPERF3-PORT]
sh /tests/net-up.sh || exit 1
gateway=$(ip route | sed -n 's/^default via \([^ ]*\).*/\1/p')
# Not wget: a static busybox crashes in it without the name service libraries of its libc.
echo "page: $(printf 'GET /page HTTP/1.0\r\n\r\n' | timeout 20 nc -w 10 "$gateway" "$1" | tail -n 1)"
# By the server that DHCP named; what follows the question's own "Name:" is the answer.
server=$(sed -n 's/^nameserver //p' /tmp/resolv.conf | head -n 1)
echo "name: hv.test is $(timeout 20 nslookup -type=a hv.test "$server" | sed -n '/^Name:/,$s/^Address[ 0-9]*: *//p' | head -n 1)"
if [ $# -gt 1 ]; then
    iperf3 -c "$gateway" -p "$2" -t 2 | grep -c receiver | sed s/^/out:/
    iperf3 -c "$gateway" -p "$2" -t 2 -R | grep -c receiver | sed s/^/in:/
fi
echo "serving"
timeout 60 nc -l -p 80 -e /bin/cat
echo "served"
