# Files written, synced, renamed and removed on an ext4 file system, until killed.
# usage: fs-load.sh DEVICE
mkdir -p /tmp/fs
mount "$1" /tmp/fs || echo "fs-load: failed mount"
n=0
while :; do
    dd if=/dev/urandom of=/tmp/fs/new bs=64k count=4 conv=fsync 2>/dev/null || echo "fs-load: failed $n"
    mv /tmp/fs/new /tmp/fs/$((n % 7))
    [ $((n % 5)) = 0 ] && rm -f /tmp/fs/$(((n + 3) % 7))
    n=$((n + 1))
    echo "files $n"
done
