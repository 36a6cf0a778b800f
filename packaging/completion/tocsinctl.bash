# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion of tocsinctl

_tocsinctl_machines() {
    tocsinctl "${socket[@]}" machines 2>/dev/null | awk 'NR > 1 && !/^ / { print $1 }'
}

_tocsinctl_incidents() {
    tocsinctl "${socket[@]}" incidents 2>/dev/null | awk '$1 ~ /^[0-9]+$/ { print $1 }'
}

_tocsinctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= i socket=() words=
    local verbs='attach config decode explain hold incidents machines monitor plugin plugins policy record report reset-action sources status top watchdogs'
    local kinds='watchdog panic crashloaded memory-failure corrected stopped unresponsive notify-vmexit'
    local states='debug inmigrate internal-error io-error paused postmigrate prelaunch finish-migrate
        restore-vm running save-vm shutdown suspended watchdog guest-panicked colo'
    local events='EVENTS_LOST GUEST_CRASHLOADED GUEST_PANICKED INCIDENT MACHINE
        MACHINE_UNRESPONSIVE MEMORY_FAILURE POWERDOWN RESET RESUME SHUTDOWN STOP SUSPEND SUSPEND_DISK
        VFIO_MIGRATION WAKEUP WATCHDOG'

    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --socket) socket=(--socket "${COMP_WORDS[++i]}") ;;
        -*) ;;
        *) [[ $verb ]] || verb=${COMP_WORDS[i]} ;;
        esac
    done

    case $prev in
    --socket | --config | --system-map)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return ;;
    --machine) words=$(_tocsinctl_machines) ;;
    --kind) words=$kinds ;;
    --status) words='open held acting closed' ;;
    --state) words=$states ;;
    --event) words=$events ;;
    --memory-failure) words='guest hypervisor' ;;
    --panic) words='plain hyper-v: s390:' ;;
    --action) words='none run pause reset shutdown poweroff' ;;
    --after | --message | --since | --until | --before | --limit | --s390 | --signature | --stop-code) return ;;
    --reason) words='disabled-wait extint-loop pgmint-loop opint-loop' ;;
    incidents) words='list show ack export --machine --kind --status --since --until --signature --stop-code --reason
        --before --limit --group' ;;
    config) words='check show' ;;
    show | ack | export) [[ $verb == incidents ]] && words=$(_tocsinctl_incidents) ;;
    *)
        case $verb in
        '') words="$verbs --socket --json --help --version" ;;
        machines | policy) words=$(_tocsinctl_machines) ;;
        hold) words="$(_tocsinctl_machines) off 30min 2h" ;;
        reset-action) words="$(_tocsinctl_machines) reboot shutdown panic watchdog" ;;
        monitor) words='--machine --event --after' ;;
        record) words='--machine --seconds --config' ;;
        top) words='--once' ;;
        incidents)
            case " ${COMP_WORDS[*]} " in
            *' show '* | *' ack '*) words=$(_tocsinctl_incidents) ;;
            *' export '*)
                mapfile -t COMPREPLY < <(compgen -f -W --without-evidence -- "$cur")
                return ;;
            *) words='--machine --kind --status --since --until --signature --stop-code --reason --before
                --limit --group' ;;
            esac ;;
        explain)
            words="$(_tocsinctl_incidents) --machine --panic --s390 --memory-failure --watchdog --kind
                --state --action-required --recursive" ;;
        attach) words='--print' ;;
        config) words='--config' ;;
        decode) words='--system-map' ;;
        report)
            words="$(_tocsinctl_machines) --panic --message --memory-failure --watchdog --crashloaded
                --notify-vmexit --action --wait" ;;
        plugin) words='restart new --c --python --sh' ;;
        esac
        [[ $verb ]] && words+=' --json --help' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _tocsinctl tocsinctl
