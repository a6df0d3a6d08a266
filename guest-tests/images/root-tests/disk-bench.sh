# How fast a disk is, for guest-tests/bench: one line a job. usage: disk-bench.sh FILE [FIO-OPTION]...
# The host's own figures come from the same script.
file=$1
shift
job() { # NAME OPTION...
    name=$1
    shift
    # Fields of fio's terse output: 8 reads a second, 7 KiB/s, 40 mean completion latency in us.
    fio --name="$name" --filename="$file" --readonly --direct="${DIRECT:-1}" --ioengine=libaio --thread --minimal \
        --runtime=4 --time_based --randseed=1 "$@" | awk -F';' -v n="$name" '/^3;/ {
            printf "disk-bench: %s iops %s KiB/s %s us %.0f\n", n, $8, $7, $40 }'
}
job rand4k-32 --rw=randread --bs=4k --iodepth=32 "$@"
job rand4k-1 --rw=randread --bs=4k --iodepth=1 "$@"
job seq128k-4 --rw=read --bs=128k --iodepth=4 "$@"
