# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of guest-tests/run
# Parts of guest-tests/run, which sources this file: reading tests.cfg, running one test, judging it.

names=()           # of the chosen tests, in order
declare -A conf=() # "NAME/KEY" -> value; the lines of a repeated key are joined by newlines

known_keys=' file smp mem args entry hv modules stdin stdin_kind stdout signal timeout groups marker expect
 expect_err expect_status expect_end qemu '

# get NAME KEY [DEFAULT]
get() {
    printf '%s' "${conf[$1/$2]-${3-}}"
}

# Whether a --filter names the test or one of its groups; without filters all are chosen.
is_chosen() {
    local glob word
    [ ${#filters[@]} -gt 0 ] || return 0
    for glob in "${filters[@]}"; do
        for word in "$1" $(get "$1" groups); do
            # shellcheck disable=SC2053 # a pattern, on purpose
            [[ $word != $glob ]] || return 0
        done
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
        ! is_chosen "$name" || names+=("$name")
    done
}

# The image of a test: a name is a guest of guest-tests/x86, anything with a slash a path.
image_of() {
    case $1 in
    */*) echo "$1" ;;
    *) echo "$out/x86/$1.elf" ;;
    esac
}

# Sets the array `command` for hv. In all make_* functions: $1 name, $2 seconds, $3 scratch prefix.
make_hv_command() {
    local args word
    args=$(get "$1" args)
    command=("$hv" run -k "$(image_of "$(get "$1" file)")" -m "$(get "$1" mem 32)"
        -c "$(get "$1" smp 1)" --timeout "$2" --result "$3.json")
    [ -z "$args" ] || command+=(--cmdline "$args")
    [ -z "$(get "$1" entry)" ] || command+=(--entry "$(get "$1" entry)")
    for word in $(get "$1" modules); do
        command+=(-i "$word")
    done
    for word in $(get "$1" hv); do
        command+=("$word")
    done
}

# The same machine under QEMU, as near as it comes. QEMU prefers Multiboot, and takes PVH only from
# an image without that header: such a copy is made by overwriting its magic number.
make_qemu_command() {
    local image at modules
    image=$(image_of "$(get "$1" file)")
    if [ "$(get "$1" entry)" = pvh ]; then
        cp "$image" "$3.elf"
        at=$(LC_ALL=C grep -obUaP -m 1 '\x02\xb0\xad\x1b' "$image" | head -n 1 | cut -d : -f 1)
        printf '\0\0\0\0' | dd of="$3.elf" bs=1 seek="$at" conv=notrunc status=none
        image=$3.elf
    fi
    modules=$(get "$1" modules)
    # shellcheck disable=SC2054 # the commas are QEMU's
    command=(qemu-system-x86_64 -machine "pc,accel=$qemu_accel" -cpu max -display none -no-reboot
        -nodefaults -serial stdio -m "$(get "$1" mem 32)" -smp "$(get "$1" smp 1)"
        -device isa-debug-exit,iobase=0xf4,iosize=4 -device pvpanic
        -chardev null,id=null -device isa-debugcon,iobase=0xe9,chardev=null
        -trace qemu_system_shutdown_request -d cpu_reset -D "$3.qemu"
        -kernel "$image" -append "$(get "$1" args) vmm=qemu")
    [ -z "$modules" ] || command+=(-initrd "${modules// /,}")
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

# Copies stdin to a file, but at most 1 MiB; the rest is read and dropped.
keep() {
    head -c 1048576 >"$1"
    cat >/dev/null
}

# Runs `command` for at most $2 seconds with the test's stdin and stdout; sets `status`.
execute() {
    local name=$1 limit=$2 log=$3 input
    local guard=(timeout --foreground -k 5 "$limit")
    [ -z "$(get "$name" signal)" ] ||
        guard=(timeout --foreground --preserve-status -s "$(get "$name" signal)" -k "$limit" 1)
    input=$(get "$name" stdin)
    case $(get "$name" stdout) in
    blocked) # a pipe that is open, but that nobody reads
        mkfifo "$log.fifo"
        "${guard[@]}" "${command[@]}" </dev/null 3<>"$log.fifo" >&3 2>"$log.errors" 3>&-
        status=$?
        return
        ;;
    closed)
        "${guard[@]}" "${command[@]}" </dev/null >&- 2>"$log.errors"
        status=$?
        return
        ;;
    esac
    case $(get "$name" stdin_kind pipe) in
    closed) "${guard[@]}" "${command[@]}" <&- 2>"$log.errors" | keep "$log.console" ;;
    file)
        printf '%b' "$input" >"$log.stdin"
        "${guard[@]}" "${command[@]}" <"$log.stdin" 2>"$log.errors" | keep "$log.console"
        ;;
    *)
        printf '%b' "$input" | "${guard[@]}" "${command[@]}" 2>"$log.errors" | keep "$log.console"
        status=${PIPESTATUS[1]}
        return
        ;;
    esac
    status=${PIPESTATUS[0]}
}

# Adds to the array `problems` what is not as the stanza expects.
judge() {
    local name=$1 log=$2 want
    want=$(get "$name" expect_status 0)
    [ "$status" = "$want" ] || problems+=("exit status $status, expected $want")
    want=$(get "$name" expect_end debug-exit)
    [ "$end" = "$want" ] || [ "$want" = any ] || problems+=("end '$end', expected '$want'")
    if [ "$(get "$name" marker yes)" = yes ] &&
        ! grep -aqx "PASS: $(get "$name" file)" "$log.console"; then
        problems+=("no line 'PASS: $(get "$name" file)' on the console")
    fi
    ! grep -aq '^FAIL: ' "$log.console" || problems+=("$(grep -a '^FAIL: ' "$log.console" | head -n 3)")
    while IFS= read -r want; do
        [ -z "$want" ] || grep -aqE -- "$want" "$log.console" ||
            problems+=("nothing on the console matches: $want")
    done <<<"$(get "$name" expect)"
    want=$(get "$name" expect_err)
    [ -z "$want" ] || [ "$vmm" = qemu ] || grep -aqE -- "$want" "$log.errors" ||
        problems+=("nothing on stderr matches: $want")
}

# Writes the report of test number $1 to its .tap file.
report() {
    local number=$1 name=$2 log=$3
    if [ ${#problems[@]} = 0 ]; then
        echo "ok $number - $name"
        return
    fi
    echo "not ok $number - $name"
    printf '%s\n' "${problems[@]}" | sed 's/^/# /'
    printf '%q ' "${command[@]}" | sed 's/^/#   /'
    echo
    tail -n 12 "$log.console" | cut -c 1-200 | tr -cd '\11\12\40-\176' | sed 's/^/# > /'
    tail -n 40 "$log.errors" | cut -c 1-200 | tr -cd '\11\12\40-\176' | sed 's/^/# ! /'
}

# One test, as a job of its own: $1 number, $2 name.
run_test() {
    local number=$1 name=$2 log=$out/log/$2 tap=$work/$1.tap
    local seconds command=() problems=() status=0 end='' reason start
    start=$(date +%s%N)
    reason=$(get "$name" qemu)
    if [ "$vmm" = qemu ] && [ -n "$reason" ]; then
        echo "ok $number - $name # SKIP $reason" >"$tap"
        return
    fi
    seconds=$(get "$name" timeout 10)
    [ "$(get "$name" expect_end)" = deadline ] || seconds=$((seconds * scale))
    rm -f "$log".{console,errors,json,qemu,elf,fifo,stdin}
    : >"$log.console"
    if [ "$vmm" = qemu ]; then
        make_qemu_command "$name" "$seconds" "$log"
        execute "$name" "$seconds" "$log"
        translate_qemu "$log"
    else
        make_hv_command "$name" "$seconds" "$log"
        execute "$name" $((seconds + 5 * scale)) "$log"
        end=$(sed -n 's/.*"end": *"\([a-z-]*\)".*/\1/p' "$log.json" 2>/dev/null | head -n 1)
    fi
    if [ "$status" = 77 ] && [ "$end" = debug-exit ]; then
        reason=$(sed -n 's/^SKIP: //p' "$log.console" | head -n 1)
        echo "ok $number - $name # SKIP $reason" >"$tap"
    else
        judge "$name" "$log"
        report "$number" "$name" "$log" >"$tap"
    fi
    rm -f "$log".{elf,fifo,stdin}
    echo "$((($(date +%s%N) - start) / 1000000)) ms $name" >>"$out/log/times"
}
