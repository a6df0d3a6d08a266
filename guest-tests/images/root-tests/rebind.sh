# Takes a disk's driver away and gives it back, COUNT times, while something reads the disk.
# usage: rebind.sh DISK COUNT   (vdb)
device=$(basename "$(readlink -f /sys/block/"$1"/device)")
driver=$(readlink -f /sys/block/"$1"/device/driver)
n=0
while [ $n -lt "$2" ]; do
    dd if=/dev/"$1" of=/dev/null bs=64k count=64 iflag=direct 2>/dev/null &
    echo "$device" >"$driver/unbind" || echo "rebind: failed unbind $n"
    wait
    echo "$device" >"$driver/bind" || echo "rebind: failed bind $n"
    [ -b /dev/"$1" ] || echo "rebind: failed: no disk after $n"
    n=$((n + 1))
done
dd if=/dev/"$1" of=/dev/null bs=64k count=1 2>/dev/null && echo "rebind: good"
