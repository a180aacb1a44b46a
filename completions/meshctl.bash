# Completion of meshctl for bash, generated from the tree of commands.

_meshctl() {
    local current="${COMP_WORDS[COMP_CWORD]}" first='' second='' place=0 skip='' word
    local words='' options='--help' names='' depth=0
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ -n $skip ]]; then skip=''; continue; fi
        case "$word" in
            --after|--allow|--args|--at|--bodies|--call|--connection|--count|--cron|--cwd|--data|--describe|--description|--env|--env-file|--event|--expires|--file|--filter|--for|--header|--hide|--id|--idle|--instructions|--keep|--key|--limit|--lines|--misfire|--mode|--name|--naming|--ordered-by|--org|--overlap|--owner|--pin|--port|--prompts|--publisher|--remove-env|--remove-header|--rename|--reset|--resources|--revoke|--role|--secret|--signature|--since|--source|--state|--subject|--subscription|--time|--to|--tools|--transport|--trust|--type|--tz|--url|--webhook) skip=1 ;;
            -*) ;;
            *)
                place=$((place + 1))
                [[ $place -eq 1 ]] && first="$word"
                [[ $place -eq 2 ]] && second="$word"
                ;;
        esac
    done
    COMPREPLY=()
    [[ -n $skip ]] && return
    case "$first $second" in
        ' ') words='status quickstart tui doctor metrics whoami version stdio help connect add-key tail-events connection org virtual key tool call event subscription delivery schedule webhook client vault config db daemon' ;;
        'connection ') words='list show add edit remove enable disable test' ;;
        'org ') words='list show create use rename remove' ;;
        'virtual ') words='list show create edit attach detach enable disable remove' ;;
        'key ') words='list show add edit rotate revoke' ;;
        'tool ') words='list show call diff approve' ;;
        'call ') words='list show tail' ;;
        'event ') words='tail publish list show retry replay cancel ack stats dead' ;;
        'subscription ') words='list show add pause resume sync edit rotate-secret remove test' ;;
        'delivery ') words='list show' ;;
        'schedule ') words='list show add pause resume edit remove next run' ;;
        'webhook ') words='list show add pause resume rotate edit remove' ;;
        'client ') words='list install uninstall' ;;
        'vault ') words='status verify unlock' ;;
        'config ') words='list get' ;;
        'db ') words='status migrate backup restore move' ;;
        'daemon ') words='start stop restart show logs install uninstall' ;;
        'help ') words='quickstart permissions virtuals pinning orgs events system-events schedules webhooks json backup secrets vault names flags environment exit-codes files' ;;
        'status '*) depth=1 options='--help' names='' ;;
        'quickstart '*) depth=1 options='--adopt --no-adopt --help' names='' ;;
        'tui '*) depth=1 options='--help' names='' ;;
        'doctor '*) depth=1 options='--help' names='' ;;
        'metrics '*) depth=1 options='--help' names='' ;;
        'whoami '*) depth=1 options='--help' names='' ;;
        'version '*) depth=1 options='--help' names='' ;;
        'stdio '*) depth=1 options='--key --help' names='connection' ;;
        'help '*) depth=1 options='--help' names='' ;;
        'connection list') depth=2 options='--help' names='' ;;
        'connection show') depth=2 options='--help' names='connection' ;;
        'connection add') depth=2 options='--header --env --cwd --transport --bodies --trust --help' names='' ;;
        'connect '*) depth=1 options='--header --env --cwd --transport --bodies --trust --help' names='' ;;
        'connection edit') depth=2 options='--name --url --header --remove-header --env --remove-env --cwd --bodies --trust --idle --help' names='connection' ;;
        'connection remove') depth=2 options='--help' names='connection' ;;
        'connection enable') depth=2 options='--help' names='connection' ;;
        'connection disable') depth=2 options='--help' names='connection' ;;
        'connection test') depth=2 options='--help' names='connection' ;;
        'org list') depth=2 options='--help' names='' ;;
        'org show') depth=2 options='--help' names='org' ;;
        'org create') depth=2 options='--help' names='' ;;
        'org use') depth=2 options='--help' names='org' ;;
        'org rename') depth=2 options='--help' names='org' ;;
        'org remove') depth=2 options='--help' names='org' ;;
        'virtual list') depth=2 options='--help' names='' ;;
        'virtual show') depth=2 options='--tokens --help' names='' ;;
        'virtual create') depth=2 options='--description --instructions --mode --naming --help' names='' ;;
        'virtual edit') depth=2 options='--name --description --instructions --mode --naming --help' names='' ;;
        'virtual attach') depth=2 options='--tools --no-tools --resources --no-resources --prompts --no-prompts --rename --describe --hide --pin --reset --help' names='' ;;
        'virtual detach') depth=2 options='--help' names='' ;;
        'virtual enable') depth=2 options='--help' names='' ;;
        'virtual disable') depth=2 options='--help' names='' ;;
        'virtual remove') depth=2 options='--help' names='' ;;
        'key list') depth=2 options='--help' names='' ;;
        'key show') depth=2 options='--help' names='key' ;;
        'key add') depth=2 options='--allow --role --expires --read-only --for --help' names='' ;;
        'add-key '*) depth=1 options='--allow --role --expires --read-only --for --help' names='' ;;
        'key edit') depth=2 options='--allow --revoke --role --no-role --read-only --no-read-only --expires --name --help' names='key' ;;
        'key rotate') depth=2 options='--help' names='key' ;;
        'key revoke') depth=2 options='--help' names='key' ;;
        'tool list') depth=2 options='--help' names='connection' ;;
        'tool show') depth=2 options='--help' names='connection' ;;
        'tool call') depth=2 options='--args --help' names='connection' ;;
        'tool diff') depth=2 options='--help' names='' ;;
        'tool approve') depth=2 options='--help' names='' ;;
        'call list') depth=2 options='--connection --failed --limit --help' names='' ;;
        'call show') depth=2 options='--help' names='' ;;
        'call tail') depth=2 options='--since --limit --no-follow --help' names='' ;;
        'event tail') depth=2 options='--since --after --limit --no-follow --filter --help' names='' ;;
        'tail-events '*) depth=1 options='--since --after --limit --no-follow --filter --help' names='' ;;
        'event publish') depth=2 options='--data --source --id --subject --time --at --cron --tz --help' names='' ;;
        'event list') depth=2 options='--type --source --limit --help' names='' ;;
        'event show') depth=2 options='--help' names='' ;;
        'event retry') depth=2 options='--help' names='' ;;
        'event replay') depth=2 options='--help' names='' ;;
        'event cancel') depth=2 options='--help' names='' ;;
        'event ack') depth=2 options='--for --help' names='' ;;
        'event stats') depth=2 options='--help' names='' ;;
        'event dead') depth=2 options='--all --subscription --limit --help' names='' ;;
        'subscription list') depth=2 options='--help' names='' ;;
        'subscription show') depth=2 options='--help' names='' ;;
        'subscription add') depth=2 options='--type --connection --webhook --call --args --name --filter --publisher --ordered-by --help' names='' ;;
        'subscription pause') depth=2 options='--help' names='' ;;
        'subscription resume') depth=2 options='--help' names='' ;;
        'subscription sync') depth=2 options='--help' names='connection' ;;
        'subscription edit') depth=2 options='--owner --help' names='' ;;
        'subscription rotate-secret') depth=2 options='--keep --help' names='' ;;
        'subscription remove') depth=2 options='--help' names='' ;;
        'subscription test') depth=2 options='--help' names='' ;;
        'delivery list') depth=2 options='--state --subscription --event --limit --help' names='' ;;
        'delivery show') depth=2 options='--help' names='' ;;
        'schedule list') depth=2 options='--limit --help' names='' ;;
        'schedule show') depth=2 options='--help' names='' ;;
        'schedule add') depth=2 options='--type --cron --tz --data --subject --misfire --overlap --help' names='' ;;
        'schedule pause') depth=2 options='--help' names='' ;;
        'schedule resume') depth=2 options='--help' names='' ;;
        'schedule edit') depth=2 options='--owner --help' names='' ;;
        'schedule remove') depth=2 options='--help' names='' ;;
        'schedule next') depth=2 options='--count --help' names='' ;;
        'schedule run') depth=2 options='--help' names='' ;;
        'webhook list') depth=2 options='--limit --help' names='' ;;
        'webhook show') depth=2 options='--help' names='' ;;
        'webhook add') depth=2 options='--signature --from-stdin --secret --type --help' names='' ;;
        'webhook pause') depth=2 options='--help' names='' ;;
        'webhook resume') depth=2 options='--help' names='' ;;
        'webhook rotate') depth=2 options='--from-stdin --secret --keep --help' names='' ;;
        'webhook edit') depth=2 options='--owner --help' names='' ;;
        'webhook remove') depth=2 options='--help' names='' ;;
        'client list') depth=2 options='--help' names='' ;;
        'client install') depth=2 options='--key --file --help' names='' ;;
        'client uninstall') depth=2 options='--file --help' names='' ;;
        'vault status') depth=2 options='--help' names='' ;;
        'vault verify') depth=2 options='--help' names='' ;;
        'vault unlock') depth=2 options='--from-stdin --help' names='' ;;
        'config list') depth=2 options='--env-file --help' names='' ;;
        'config get') depth=2 options='--env-file --help' names='' ;;
        'db status') depth=2 options='--env-file --help' names='' ;;
        'db migrate') depth=2 options='--env-file --help' names='' ;;
        'db backup') depth=2 options='--env-file --help' names='' ;;
        'db restore') depth=2 options='--env-file --help' names='' ;;
        'db move') depth=2 options='--to --env-file --help' names='' ;;
        'daemon start') depth=2 options='--port --env-file --foreground --help' names='' ;;
        'daemon stop') depth=2 options='--help' names='' ;;
        'daemon restart') depth=2 options='--env-file --help' names='' ;;
        'daemon show') depth=2 options='--help' names='' ;;
        'daemon logs') depth=2 options='--follow --lines --help' names='' ;;
        'daemon install') depth=2 options='--system --print --help' names='' ;;
        'daemon uninstall') depth=2 options='--help' names='' ;;
    esac
    if [[ $current == -* ]]; then
        words="$options --org --json --quiet --yes --no-start --debug --no-color --version"
    elif [[ -n $names && $place -eq $depth ]]; then
        words=$(meshctl completion names "$names" 2>/dev/null)
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}

complete -o default -F _meshctl meshctl
