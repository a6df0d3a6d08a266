# shellcheck shell=bash disable=SC2034,SC2154 # variables of these scripts
# What the scripts that boot Linux share: options, the lock, the box, one boot and its judgement.
# Sourced by guest-tests/linux, guest-tests/linux-virtio and guest-tests/linux-share, which set before:
#   self    their path        log   the directory of their logs
#   alone   the name of a test that takes as long as the others together
#   boots   a number for --boots
where=auto hv=build/hv scale='' filter=. except='^$' part='' args=("$@")
while [ $# -gt 0 ]; do
    case $1 in
    --boots) boots=${2:?} ;;
    --in) where=${2:?} ;;
    --hv) hv=${2:?} ;;
    --scale) scale=${2:?} ;;
    --filter) filter=${2:?} ;;
    --except) except=${2:?} ;;
    --part) part=${2:?} ;;
    --help)
        usage
        exit 0
        ;;
    *)
        echo "$self: unknown option $1 (see --help)" >&2
        exit 2
        ;;
    esac
    shift 2
done
guest=build/guest/x86_64

# Half of the tests, for who runs the other beside it: those named by $alone, or all but those.
case $part in
'') ;;
alone) filter="^$alone\$" ;;
others) except="^$alone\$" ;;
*)
    echo "$self: --part $part: alone or others" >&2
    exit 2
    ;;
esac

# Two runs would write the same logs. The lock is this process's, and that of what it becomes.
mkdir -p "$log"
if [ -z "${HV_IN_TESTBED:-}" ]; then
    exec 9>"$log/lock$part"
    flock -n 9 || {
        echo "$self: another run is using $log" >&2
        exit 2
    }
fi

# A box of one processor: with two, the emulator now and then lets a guest's second vCPU run code that
# the first has just patched, and the guest's kernel dies of that.
in_box() {
    guest-tests/testbed/run --cpus 1 -- env HV_IN_TESTBED=1 "$self" "${args[@]}" --in direct \
        --scale "${scale:-6}" "$@"
}

if [ "$where" = auto ] && [ "$(guest-tests/kvm-kind)" != real ]; then
    echo "# no KVM here that runs a stock kernel: using the testbed"
    where=testbed
fi
if [ "$where" = testbed ]; then
    [ "$filter$part" = . ] || { in_box; exit; }
    # The longest test has a box for itself, beside the others'.
    in_box --filter "^$alone\$" >"$log/alone.tap" &
    in_box --except "^$alone\$"
    status=$?
    wait $! || status=1
    cat "$log/alone.tap"
    exit $status
fi
# Out here two scripts would share networks and huge pages.
if [ -z "${HV_IN_TESTBED:-}" ]; then
    exec 8>build/linux-tests.lock
    flock 8
fi
scale=${scale:-1}
n=0 failed=0

# Prints the TAP line of test $2 with outcome $1 (0: good); shows why when it is not.
report() {
    n=$((n + 1))
    if [ "$1" = 0 ]; then
        echo "ok $n - $2"
        return
    fi
    failed=1
    echo "# problems: $problems"
    tail -n 15 "$log/$2.console" 2>/dev/null | sed 's/^/# | /'
    head -n 40 "$log/$2.errors" 2>/dev/null | sed 's/^/# ! /'
    echo "not ok $n - $2"
}

problem() { problems="$problems; $1"; }

# boot NAME SECONDS HV-ARGS...: runs hv, leaves its status in $status.
boot() {
    name=$1
    local limit=$(($2 * scale))
    shift 2
    problems=
    timeout -k 5 $((limit + 30)) "$hv" run --name "$name" --timeout "${limit}s" \
        --console "$log/$name.console" --result "$log/$name.json" "$@" \
        </dev/null >"$log/$name.out" 2>"$log/$name.errors"
    status=$?
}

# The value of a key on the result file's first level.
result() { sed -n "s/^  \"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" "$log/$name.json"; }
# What the guest's report says.
said() { sed -n "s/^hv-report: $1 \(.*[^[:space:]]\)[[:space:]]*$/\1/p" "$log/$name.console"; }

expect_end() { # END STATUS
    [ "$(result end)" = "$1" ] || problem "end is $(result end), wanted $1"
    [ "$status" = "$2" ] || problem "status is $status, wanted $2"
    [ "$(result status)" = "$2" ] || problem "the result file says status $(result status)"
}

# The console has lines that match, and none that says that something failed.
expect_said() { # REGEX...
    local regex bad
    for regex; do
        grep -qaE "$regex" "$log/$name.console" || problem "the guest did not say $regex"
    done
    bad=$(grep -aE 'failed|^not ok' "$log/$name.console" | grep -vE 'command-status|, 0 failed' | head -2)
    [ -z "$bad" ] || problem "$bad"
}

# No complaint of the kernel that hv could have caused.
expect_clean_log() {
    local bad
    bad=$(grep -aE 'ACPI (BIOS )?(Error|Warning)|Firmware Bug|firmware bug|WARNING:|BUG:|Oops|unchecked MSR|not responding|Call Trace' \
        "$log/$name.console" | head -3)
    [ -z "$bad" ] || problem "the log says: $bad"
}

# usage: expect_machine CPUS MIN-KIB
expect_machine() {
    [ "$(said cpus)" = "$1" ] || problem "the guest sees $(said cpus) CPUs, wanted $1"
    [ "$(said memory-kib)" -ge "$2" ] 2>/dev/null || problem "MemTotal is $(said memory-kib) KiB, wanted $2"
    case $(said clocksource) in
    kvm-clock | tsc | arch_sys_counter) ;;
    *) problem "clocksource is $(said clocksource)" ;;
    esac
    [ -n "$(said end)" ] || grep -q 'hv-report: end' "$log/$name.console" || problem "no report"
}

wanted() { [[ $1 =~ $filter && ! $1 =~ $except ]]; }

# In the box there is only a loopback; passt wants a network to copy.
make_network() {
    [ -n "${HV_IN_TESTBED:-}" ] || return 0
    ip link set lo up
    ip link add dummy0 type dummy 2>/dev/null
    ip addr add 192.0.2.2/24 dev dummy0
    ip link set dummy0 up
    ip route add default via 192.0.2.1 dev dummy0
    # The box has no name server either. One on the loopback is the usual case of a desktop machine.
    echo 'nameserver 127.0.0.1' >"$tmp/resolv.conf"
    mount --bind "$tmp/resolv.conf" /etc/resolv.conf
}
