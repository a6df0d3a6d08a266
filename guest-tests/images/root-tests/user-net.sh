# The network of --net user: DHCP, a page from the host's loopback, a server of our own.
# usage: user-net.sh PORT
sh /tests/net-up.sh || exit 1
gateway=$(ip route | sed -n 's/^default via \([^ ]*\).*/\1/p')
# Not wget: a static busybox crashes in it without the name service libraries of its libc.
echo "page: $(printf 'GET /page HTTP/1.0\r\n\r\n' | timeout 20 nc -w 10 "$gateway" "$1" | tail -n 1)"
echo "serving"
timeout 60 nc -l -p 80 -e /bin/cat
echo "served"
