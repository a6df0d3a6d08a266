# Fills a disk whose file has no room on the host, waits until there is room, writes again.
# usage: full.sh DEVICE
dd if=/dev/zero of="$1" bs=1M count=32 conv=fsync 2>/dev/null && echo "full: failed: no error"
echo "full: now"
n=0
until dd if=/dev/zero of="$1" bs=64k count=4 oflag=direct seek=400 2>/dev/null; do
    n=$((n + 1))
    [ $n -lt 60 ] || { echo "full: failed: no room again"; exit 1; }
    sleep 1
done
echo "full: good"
