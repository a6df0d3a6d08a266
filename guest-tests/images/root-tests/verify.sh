# Random reads, writes and trims of a raw disk with checksums, then a pass over all that was written.
# usage: verify.sh DEVICE SIZE   (SIZE as fio takes it)
fio --name=mixed --filename="$1" --size="$2" --rw=randrw --bs=4k-64k --bsrange=4k-64k --iodepth=16 \
    --ioengine=libaio --direct=1 --verify=crc32c --verify_backlog=256 --verify_fatal=1 \
    --thread --randseed=1 --output-format=terse --minimal >/tmp/mixed.out 2>&1 || {
    tail -n 5 /tmp/mixed.out
    echo "verify: failed: mixed"
    exit 1
}
fio --name=trim --filename="$1" --size="$2" --rw=trimwrite --bs=64k --iodepth=8 --ioengine=libaio \
    --direct=1 --verify=crc32c --do_verify=1 --verify_fatal=1 --thread --output-format=terse \
    --minimal >/tmp/trim.out 2>&1 || {
    tail -n 5 /tmp/trim.out
    echo "verify: failed: trim"
    exit 1
}
echo "verify: good"
