# Writes sector after sector with its number in it, flushes, and only then says so on the console.
# Ends by being killed. usage: stamp.sh DEVICE
n=0
while :; do
    {
        echo "stamp $n"
        dd if=/dev/zero bs=4080 count=1 2>/dev/null
    } | dd of="$1" bs=4096 count=1 seek=$((n % 4096)) conv=notrunc,fsync iflag=fullblock 2>/dev/null || echo "stamp: failed $n"
    echo "flushed $n"
    n=$((n + 1))
done
