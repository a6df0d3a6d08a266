# The network of --net user: DHCP, a name, a page from the host's loopback, a server of our own.
# usage: user-net.sh PAGE-URL NAME
sh /tests/net-up.sh || exit 1
gateway=$(ip route | sed -n 's/^default via \([^ ]*\).*/\1/p')
echo "page: $(wget -q -T 10 -O - "http://$gateway:$1/page")"
mount --bind /tmp/resolv.conf /etc/resolv.conf
echo "name: $(nslookup "$2" 2>&1 | sed -n '/^Name/,$s/^Address[^:]*: *\([0-9.]*\).*/\1/p' | head -n 1)"
echo "serving"
echo "hello from the guest" | timeout 60 nc -l -p 80
echo "served"
