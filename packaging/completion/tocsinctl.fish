# SPDX-License-Identifier: LGPL-2.1-or-later
# fish completion of tocsinctl

set -l verbs status machines monitor top incidents explain policy hold reset-action attach record report decode plugins plugin sources watchdogs config
set -l kinds watchdog panic crashloaded memory-failure corrected stopped unresponsive notify-vmexit
set -l states debug inmigrate internal-error io-error paused postmigrate prelaunch finish-migrate \
    restore-vm running save-vm shutdown suspended watchdog guest-panicked colo

function __tocsinctl_machines
    tocsinctl machines 2>/dev/null | awk 'NR > 1 && !/^ / { print $1 }'
end

function __tocsinctl_incidents
    tocsinctl incidents 2>/dev/null | awk '$1 ~ /^[0-9]+$/ { print $1 }'
end

complete -c tocsinctl -f
complete -c tocsinctl -l socket -r -F -d 'Of tocsind'
complete -c tocsinctl -l json -d "Print tocsind's own answer"
complete -c tocsinctl -s h -l help -d 'Help'
complete -c tocsinctl -l version -d 'Version'

set -l first "not __fish_seen_subcommand_from $verbs"
complete -c tocsinctl -n $first -a status -d 'How tocsind is, and what it wants you to know'
complete -c tocsinctl -n $first -a machines -d 'The host and its guests; one of them in full'
complete -c tocsinctl -n $first -a monitor -d 'Events as they happen'
complete -c tocsinctl -n $first -a top -d 'Machines and incidents in a terminal, live'
complete -c tocsinctl -n $first -a incidents -d 'What happened, what was decided and done'
complete -c tocsinctl -n $first -a explain -d 'Why it was decided, or what would be decided now'
complete -c tocsinctl -n $first -a policy -d 'The action set in force for a machine'
complete -c tocsinctl -n $first -a hold -d 'Decide nothing for a machine during maintenance'
complete -c tocsinctl -n $first -a reset-action -d 'Drop what was set by set-action for this run'
complete -c tocsinctl -n $first -a attach -d 'Lines that make a guest call tocsind'
complete -c tocsinctl -n $first -a record -d 'Write what happens as a scenario'
complete -c tocsinctl -n $first -a report -d 'Report as a VMM does, and hear what is decided'
complete -c tocsinctl -n $first -a plugins -d 'The policy plugins and how they do'
complete -c tocsinctl -n $first -a plugin -d 'Start a process anew, or write a new plugin'
complete -c tocsinctl -n '__fish_seen_subcommand_from plugin' -a 'restart new'
complete -c tocsinctl -n '__fish_seen_subcommand_from report' -l panic -x -a 'plain hyper-v: s390:'
complete -c tocsinctl -n '__fish_seen_subcommand_from report' -l message -x
complete -c tocsinctl -n '__fish_seen_subcommand_from report' -l memory-failure -x -a 'guest hypervisor'
complete -c tocsinctl -n '__fish_seen_subcommand_from report' -l action -x -a 'none run pause reset shutdown poweroff'
complete -c tocsinctl -n '__fish_seen_subcommand_from report' -l watchdog
complete -c tocsinctl -n '__fish_seen_subcommand_from report' -l crashloaded
complete -c tocsinctl -n '__fish_seen_subcommand_from report' -l notify-vmexit
complete -c tocsinctl -n '__fish_seen_subcommand_from report' -l wait
complete -c tocsinctl -n '__fish_seen_subcommand_from plugin' -l c
complete -c tocsinctl -n '__fish_seen_subcommand_from plugin' -l python
complete -c tocsinctl -n '__fish_seen_subcommand_from plugin' -l sh
complete -c tocsinctl -n $first -a sources -d 'What of the kernel is listened to, or why not'
complete -c tocsinctl -n $first -a watchdogs -d 'The watchdog devices of the host and who keeps them alive'
complete -c tocsinctl -n $first -a decode -d 'Say what crash registers, a PSW or a log line mean'
complete -c tocsinctl -n $first -a config -d 'Errors of the configuration, or its effective values'

complete -c tocsinctl -n '__fish_seen_subcommand_from machines policy hold reset-action' -a '(__tocsinctl_machines)'
complete -c tocsinctl -n '__fish_seen_subcommand_from hold' -a 'off 30min 2h'
complete -c tocsinctl -n '__fish_seen_subcommand_from reset-action' -a 'reboot shutdown panic watchdog'
complete -c tocsinctl -n '__fish_seen_subcommand_from monitor incidents explain record' -l machine -x -a '(__tocsinctl_machines)'
complete -c tocsinctl -n '__fish_seen_subcommand_from monitor' -l event -x -d 'Only these events'
complete -c tocsinctl -n '__fish_seen_subcommand_from monitor' -l after -x -d 'What came after this number first'
complete -c tocsinctl -n '__fish_seen_subcommand_from top' -l once -d 'Print the view once'
complete -c tocsinctl -n '__fish_seen_subcommand_from incidents' -a 'list show ack export'
complete -c tocsinctl -n '__fish_seen_subcommand_from show ack export explain' -a '(__tocsinctl_incidents)'
complete -c tocsinctl -n '__fish_seen_subcommand_from incidents explain' -l kind -x -a "$kinds"
complete -c tocsinctl -n '__fish_seen_subcommand_from incidents' -l status -x -a 'open held acting closed'
complete -c tocsinctl -n '__fish_seen_subcommand_from incidents' -l since -x -d 'A span or a UTC date'
complete -c tocsinctl -n '__fish_seen_subcommand_from incidents' -l until -x -d 'A span or a UTC date'
complete -c tocsinctl -n '__fish_seen_subcommand_from incidents' -l signature -x -d 'Equal crashes'
complete -c tocsinctl -n '__fish_seen_subcommand_from incidents' -l stop-code -x -d 'Of Windows'
complete -c tocsinctl -n '__fish_seen_subcommand_from incidents' -l reason -x -a 'disabled-wait extint-loop pgmint-loop opint-loop'
complete -c tocsinctl -n '__fish_seen_subcommand_from export' -F -l without-evidence -d 'Pack the rest'
complete -c tocsinctl -n '__fish_seen_subcommand_from incidents' -l group -d 'Count equal crashes'
complete -c tocsinctl -n '__fish_seen_subcommand_from incidents' -l before -x -d 'Only smaller numbers'
complete -c tocsinctl -n '__fish_seen_subcommand_from incidents' -l limit -x -d 'At most so many'
complete -c tocsinctl -n '__fish_seen_subcommand_from explain' -l panic -x -a 'plain hyper-v: s390:'
complete -c tocsinctl -n '__fish_seen_subcommand_from explain' -l s390 -x -d 'REASON,MASK,ADDR[,CORE]'
complete -c tocsinctl -n '__fish_seen_subcommand_from explain' -l memory-failure -x -a 'guest hypervisor'
complete -c tocsinctl -n '__fish_seen_subcommand_from explain' -l watchdog
complete -c tocsinctl -n '__fish_seen_subcommand_from explain' -l state -x -a "$states"
complete -c tocsinctl -n '__fish_seen_subcommand_from explain' -l action-required
complete -c tocsinctl -n '__fish_seen_subcommand_from explain' -l recursive
complete -c tocsinctl -n '__fish_seen_subcommand_from attach' -l print -d 'Show the lines'
complete -c tocsinctl -n '__fish_seen_subcommand_from decode' -l system-map -r -F -d "Of the guest's kernel"
complete -c tocsinctl -n '__fish_seen_subcommand_from config' -a 'check show'
complete -c tocsinctl -n '__fish_seen_subcommand_from config record' -l config -r -F -d 'This file alone'
complete -c tocsinctl -n '__fish_seen_subcommand_from record' -l seconds -x -d 'How long'
