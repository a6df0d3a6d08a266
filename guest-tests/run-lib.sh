# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of guest-tests/run
# Parts of guest-tests/run, which sources this file: reading tests.cfg, running one test, judging it.

names=()           # of the chosen tests, in order
declare -A conf=() # "NAME/KEY" -> value; the lines of a repeated key are joined by newlines

known_keys=' file smp mem args entry hv modules stdin stdin_kind stdout signal timeout groups marker expect
 expect_port expect_err expect_status expect_end qemu disk bus devices peer
 skip hardware qemu_args '

# get NAME KEY [DEFAULT]: sets `value`. Here and below programs are started only where bash cannot
# do it: in the testbed each one takes a tenth of a second.
get() {
    value=${conf[$1/$2]-${3-}}
}

# Whether a --filter names the test or one of its groups; without filters all are chosen.
is_chosen() {
    local glob word value
    [ ${#filters[@]} -gt 0 ] || return 0
    get "$1" groups
    for glob in "${filters[@]}"; do
        for word in "$1" $value; do
            # shellcheck disable=SC2053 # a pattern, on purpose
            [[ $word != $glob ]] || return 0
        done
    done
    return 1
}

# Whether this process is to run the test; see choose_place.
is_here() {
    local value
    get "$1" hardware
    case $part in
    all) ;;
    interpreted) [ -z "$value" ] ;;
    hardware) [ -n "$value" ] ;;
    esac
}

any_needs_hardware() {
    local name value
    for name in "${names[@]}"; do
        get "$name" hardware
        [ -z "$value" ] || return 0
    done
    return 1
}

read_tests() {
    local file=$1 line key value name='' at=0 all=()
    while IFS= read -r line || [ -n "$line" ]; do
        at=$((at + 1))
        if [[ $line =~ ^[[:space:]]*(#|$) ]]; then
            continue
        elif [[ $line =~ ^\[([a-z0-9-]+)\]$ ]]; then
            name=${BASH_REMATCH[1]}
            [ -z "${conf[$name/file]+set}" ] || die "$file:$at: a second [$name]"
            all+=("$name")
        elif [[ $line =~ ^([a-z_]+)\ =\ (.*)$ && -n $name ]]; then
            key=${BASH_REMATCH[1]}
            value=${BASH_REMATCH[2]}
            [[ $known_keys == *[[:space:]]"$key"[[:space:]]* ]] || die "$file:$at: unknown key $key"
            conf[$name/$key]=${conf[$name/$key]+${conf[$name/$key]}$'\n'}$value
        else
            die "$file:$at: not understood: $line"
        fi
    done <"$file"
    for name in "${all[@]}"; do
        [ -n "${conf[$name/file]-}" ] || die "$file: [$name] has no file"
        ! { is_chosen "$name" && is_here "$name"; } || names+=("$name")
    done
}

# Sets `image`: a name is a guest of guest-tests/x86, anything with a slash a path.
find_image() {
    get "$1" file
    image=$value
    [[ $value == */* ]] || image=$out/x86/$value.elf
}

# Adds to `command` what the stanza wants of virtio devices. $3: the log file's stem, .peer at its end
# for the second of two guests, which share a wire.
add_hv_devices() {
    local value word
    get "$1" bus
    case $value in
    mmio) command+=(--bus mmio --virtio cmdline) ;;
    pci) command+=(--bus pci) ;;
    esac
    get "$1" devices
    for word in $value; do
        case $word in
        rng) command+=(--rng on) ;;
        net) command+=(--net "socket,path=${3%.peer}.wire") ;;
        console)
            get "$1" stdin_kind
            if [ "$value" = port ]; then
                command+=(--virtio-console "port=out:$3.port,port=in:fd:5")
            else
                command+=(--virtio-console "port=out:$3.port")
            fi
            ;;
        *) die "[$1]: unknown device $word" ;;
        esac
    done
}

# Sets the array `command` for hv. In all make_* functions: $1 name, $2 seconds, $3 log file's stem;
# `args_key` is the key of the guest's command line.
make_hv_command() {
    local image value word
    find_image "$1"
    command=("$hv" run -k "$image" --timeout "$2" --result "$3.json")
    get "$1" mem 32
    command+=(-m "$value")
    get "$1" smp 1
    command+=(-c "$value")
    get "$1" "$args_key"
    [ -z "$value" ] || command+=(--cmdline "$value")
    get "$1" entry
    [ -z "$value" ] || command+=(--entry "$value")
    get "$1" modules
    for word in $value; do
        command+=(-i "$word")
    done
    make_disk "$1" "$3"
    [ -z "$disk" ] || command+=(--disk "file=$disk,serial=guest-test")
    add_hv_devices "$@"
    get "$1" hv
    for word in $value; do
        command+=("${word//@LOG@/$3}")
    done
}

# Makes the disk that the stanza wants: its size in sectors, of 512 bytes that all have the sector's
# number. Sets `disk` to the file, or to nothing.
make_disk() {
    local value sector text=''
    disk=''
    get "$1" disk
    [ -n "$value" ] || return 0
    disk=$2.disk
    for ((sector = 0; sector < value; sector++)); do
        printf -v text '%s\\x%02x%.0s' "$text" $((sector % 256)) 1
    done
    # shellcheck disable=SC2059 # the text is made of escapes
    printf "$text" | perl -0777 -ne 'print map { $_ x 512 } split //' >"$disk"
}

# QEMU prefers Multiboot, and takes PVH only from an image without that header. Sets `image` to a
# copy whose header has lost its magic number.
make_pvh_image() {
    local at
    cp "$image" "$1.elf"
    image=$1.elf
    at=$(LC_ALL=C grep -obUaP -m 1 '\x02\xb0\xad\x1b' "$image")
    printf '\0\0\0\0' | dd of="$image" bs=1 seek="${at%%:*}" conv=notrunc status=none
}

# As add_hv_devices. Devices that QEMU has for PCI are called -pci, those for microvm -device.
add_qemu_devices() {
    local value word kind=$4 role=off mac=56
    if [[ $3 = *.peer ]]; then
        role=on mac=57 # the one that listens has to be there first
    fi
    command+=(-global virtio-mmio.force-legacy=off)
    get "$1" qemu_args
    for word in $value; do
        command+=("$word")
    done
    get "$1" bus
    if [ "$value" = ide ]; then
        command+=(-drive "file=$disk,format=raw,if=ide")
    elif [ -n "$disk" ]; then
        command+=(-drive "file=$disk,format=raw,if=none,id=disk"
            -device "virtio-blk-$kind,drive=disk,serial=guest-test")
    fi
    get "$1" devices
    for word in $value; do
        case $word in
        rng) command+=(-device "virtio-rng-$kind") ;;
        net)
            command+=(-netdev "stream,id=wire,server=$role,addr.type=unix,addr.path=${3%.peer}.wire"
                -device "virtio-net-$kind,netdev=wire,mac=52:54:00:12:34:$mac")
            ;;
        console)
            command+=(-device "virtio-serial-$kind" -chardev "file,id=port,path=$3.port"
                -device virtserialport,chardev=port,name=out)
            ;;
        esac
    done
}

# The same machine under QEMU, as near as it comes.
make_qemu_command() {
    local image machine value
    find_image "$1"
    get "$1" bus
    machine=pc
    [ "$value" != mmio ] || machine=microvm,acpi=off,pcie=off,x-option-roms=off
    get "$1" entry
    [[ $value != pvh && $machine = pc ]] || make_pvh_image "$3"
    # shellcheck disable=SC2054 # the commas are QEMU's
    command=(qemu-system-x86_64 -machine "$machine,accel=$qemu_accel" -cpu max -display none -no-reboot
        -nodefaults -serial stdio -device isa-debug-exit,iobase=0xf4,iosize=4 -device pvpanic
        -chardev file,id=debug,path=/proc/self/fd/1,append=on
        -device isa-debugcon,iobase=0xe9,chardev=debug
        -trace qemu_system_shutdown_request -d cpu_reset -D "$3.qemu" -kernel "$image")
    get "$1" mem 32
    command+=(-m "$value")
    get "$1" smp 1
    command+=(-smp "$value")
    get "$1" "$args_key"
    command+=(-append "$value vmm=qemu accel=$qemu_accel")
    get "$1" modules
    [ -z "$value" ] || command+=(-initrd "${value// /,}")
    make_disk "$1" "$3"
    if [ "$machine" = pc ]; then
        add_qemu_devices "$@" pci,disable-legacy=on
    else
        add_qemu_devices "$@" device
    fi
}

# How a run under QEMU ended, in hv's words: sets `status` and `end`. QEMU names no reason in its
# status, but in its trace and, for a triple fault under TCG, in its log.
translate_qemu() {
    if [ "$status" = 124 ]; then
        end=deadline
    elif [ $((status % 2)) = 1 ]; then
        status=$((status / 2))
        end=debug-exit
    elif grep -q 'shutdown_request reason=8' "$1.qemu"; then
        status=255
        end=panic
    elif grep -q 'shutdown_request reason=6' "$1.qemu"; then
        end=poweroff
    elif grep -q 'Triple fault' "$1.qemu"; then
        status=255
        end=triple-fault
    else
        end=reboot
    fi
}

# Copies stdin to a file, but at most 64 KiB; the rest is read and dropped.
keep() {
    head -c 65536 >"$1"
    cat >/dev/null
}

# Runs `command` for at most $2 seconds with the test's stdin and stdout; sets `status`.
execute() {
    local name=$1 limit=$2 log=$3 value guard
    guard=(timeout --foreground -k 5 "$limit")
    get "$name" signal
    [ -z "$value" ] || guard=(timeout --foreground --preserve-status -s "$value" -k "$limit" "$scale")
    guard+=("${command[@]}")
    ulimit -f 65536 # KiB; a guest that prints for ever must not fill the disk
    get "$name" stdout
    case $value in
    pipe)
        "${guard[@]}" </dev/null 2>"$log.errors" | keep "$log.console"
        status=${PIPESTATUS[0]}
        return
        ;;
    blocked) # a pipe that is open, but that nobody reads
        mkfifo "$log.fifo"
        "${guard[@]}" </dev/null 3<>"$log.fifo" >&3 2>"$log.errors" 3>&-
        status=$?
        return
        ;;
    closed)
        "${guard[@]}" </dev/null >&- 2>"$log.errors"
        status=$?
        return
        ;;
    esac
    exec 4>>"$log.console"
    get "$name" stdin_kind "${conf[$name/stdin]+pipe}"
    case $value in
    closed) "${guard[@]}" <&- >&4 2>"$log.errors" 4>&- ;;
    file)
        get "$name" stdin
        printf '%b' "$value" >"$log.stdin"
        "${guard[@]}" <"$log.stdin" >&4 2>"$log.errors" 4>&-
        ;;
    pipe)
        get "$name" stdin
        printf '%b' "$value" | "${guard[@]}" >&4 2>"$log.errors" 4>&-
        ;;
    port)
        get "$name" stdin
        printf '%b' "$value" | "${guard[@]}" 5<&0 </dev/null >&4 2>"$log.errors" 4>&-
        ;;
    *) "${guard[@]}" </dev/null >&4 2>"$log.errors" 4>&- ;;
    esac
    status=$?
    exec 4>&-
}

# Whether a line of the array `lines` matches the extended regular expression $1.
any_line() {
    local line
    for line in "${lines[@]}"; do
        [[ ! $line =~ $1 ]] || return 0
    done
    return 1
}

judge_console() {
    local name=$1 lines want
    mapfile -t -n 2000 lines < "$2" 2>/dev/null # more lines than that only from a flood
    get "$name" marker yes
    if [ "$value" = yes ]; then
        get "$name" file
        any_line "^PASS: $value\$" || problems+=("no line 'PASS: $value' on the console")
    fi
    ! any_line '^FAIL: ' || problems+=("the guest reports FAIL")
    get "$name" expect
    while IFS= read -r want; do
        [ -z "$want" ] || any_line "$want" || problems+=("no line on the console matches: $want")
    done <<<"$value"
}

# Adds to the array `problems` what is not as the stanza expects.
judge() {
    local name=$1 log=$2 value lines want
    get "$name" expect_status 0
    [ "$status" = "$value" ] || problems+=("exit status $status, expected $value")
    get "$name" expect_end debug-exit
    [ "$end" = "$value" ] || [ "$value" = any ] || problems+=("end '$end', expected '$value'")
    judge_console "$name" "$log.console"
    get "$name" expect_err
    if [ -n "$value" ] && [ "$vmm" = hv ]; then
        mapfile -t lines <"$log.errors"
        while IFS= read -r want; do
            any_line "$want" || problems+=("no line on stderr matches: $want")
        done <<<"$value"
    fi
    get "$name" expect_port
    if [ -n "$value" ]; then
        lines=()
        [ ! -e "$log.port" ] || mapfile -t lines <"$log.port"
        while IFS= read -r want; do
            any_line "$want" || problems+=("no line from the virtio console's port matches: $want")
        done <<<"$value"
    fi
}

# Writes the report of test number $1 to its .tap file.
report() {
    local number=$1 name=$2 log=$3
    if [ ${#problems[@]} = 0 ]; then
        echo "ok $number - $name"
        return
    fi
    echo "not ok $number - $name"
    printf '# %s\n' "${problems[@]}"
    printf '#   '
    printf '%q ' "${command[@]}"
    echo
    { grep -a '^FAIL: ' "$log.console" | head -n 5; tail -n 12 "$log.console"; } |
        cut -c 1-200 | tr -cd '\11\12\40-\176' | sed 's/^/# > /'
    tail -n 60 "$log.errors" | cut -c 1-200 | tr -cd '\11\12\40-\176' | sed 's/^/# ! /'
}

# Starts the second guest of a stanza with `peer =`, and waits for its end of the wire.
start_peer() {
    local args_key=peer log=$3.peer i
    "make_${vmm}_command" "$1" "$2" "$log"
    timeout --foreground -k 5 "$2" "${command[@]}" </dev/null >"$log.console" 2>"$log.errors" &
    peer_pid=$!
    for ((i = 0; i < 100 * scale; i++)); do
        [ ! -S "$3.wire" ] || return
        sleep 0.05
    done
}

# By then the first guest has told it to end; if not, its own limit does.
judge_peer() {
    local lines status=0 want
    wait "$peer_pid" || status=$?
    [ "$vmm" = hv ] || status=$((status / 2)) # QEMU's debug exit ends with twice the value and one
    [ "$status" = 0 ] || problems+=("the peer's exit status is $status")
    get "$1" file
    value=${value##*/}
    value=${value%.elf}
    want="^PASS: $value\$"
    mapfile -t lines <"$2.peer.console"
    any_line "$want" || problems+=("no line 'PASS: $value' on the peer's console: ${lines[*]: -1}")
}

run_with_hv() {
    local name=$1 seconds=$2 log=$3 result=''
    make_hv_command "$name" "$seconds" "$log"
    execute "$name" $((seconds + 5 * scale)) "$log"
    [ ! -e "$log.json" ] || result=$(<"$log.json")
    [[ ! $result =~ \"end\":\ *\"([a-z-]+)\" ]] || end=${BASH_REMATCH[1]}
}

run_with_qemu() {
    make_qemu_command "$1" "$2" "$3"
    execute "$1" "$2" "$3"
    translate_qemu "$3"
}

# One test, as a job of its own: $1 number, $2 name.
run_test() {
    local number=$1 name=$2 log=$work/$2 tap=$work/$1.tap
    local value seconds command=() problems=() status=0 end='' start=${EPOCHREALTIME/./}
    local args_key=args peer_pid=''
    case $vmm in
    qemu) get "$name" qemu ;;
    *) get "$name" skip ;;
    esac
    if [ -n "$value" ]; then
        echo "ok $number - $name # SKIP $value" >"$tap"
        return
    fi
    get "$name" timeout 10
    seconds=$value
    get "$name" expect_end
    if [ "$value" != deadline ]; then
        seconds=$((seconds * scale))
    elif [ "$vmm" = qemu ]; then
        seconds=$((seconds + 3)) # it takes its time to start
    else
        seconds=$((seconds + scale - 1)) # this time is always spent, so it grows less
    fi
    : >"$log.console"
    : >"$log.errors"
    get "$name" peer
    [ -z "$value" ] || start_peer "$name" "$seconds" "$log"
    "run_with_$vmm" "$name" "$seconds" "$log"
    if [ "$status" = 77 ] && [ "$end" = debug-exit ]; then
        value=$(sed -n 's/^SKIP: //p' "$log.console")
        echo "ok $number - $name # SKIP $value" >"$tap"
    else
        judge "$name" "$log"
        [ -z "$peer_pid" ] || judge_peer "$name" "$log"
        report "$number" "$name" "$log" >"$tap"
    fi
    echo "$(((${EPOCHREALTIME/./} - start) / 1000)) ms $name" >>"$work/times"
}
