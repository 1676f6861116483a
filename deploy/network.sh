#!/usr/bin/env bash
# network.sh: makes elk_net, the attachable network that all stacks share; once per Swarm, on a manager.
#
# With Weave Net's plugin installed and enabled the network is Weave's, else Docker's overlay; it says which. A network that is there
# already is left as it is. ELK_NET and ELK_SUBNET name another network and subnet.
set -euo pipefail
network=${ELK_NET:-elk_net}
subnet=${ELK_SUBNET:-10.32.200.0/24}

die() { echo "network.sh: $*" >&2; exit 1; }

state=$(docker info --format '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}') || die "no Docker engine answers; start it, or set DOCKER_HOST"
case $state in
    "active true") ;;
    "active false") die "this node is a worker; run it on a manager ('docker node ls' works there)" ;;
    *) die "this engine is in no Swarm; begin one with 'docker swarm init'" ;;
esac

if driver=$(docker network inspect --format '{{.Driver}}' "$network" 2>/dev/null); then
    attachable=$(docker network inspect --format '{{.Attachable}}' "$network")
    [ "$attachable" = true ] || die "$network is there, but not attachable: plain containers can't join it; remove it and run this again"
    echo "$network is there already (driver $driver)"
    exit
fi
weave=$(docker plugin ls --filter enabled=true --format '{{.Name}}' | grep -m 1 '^weaveworks/net-plugin' || true)
driver=${weave:-overlay}
docker network create --driver "$driver" --subnet "$subnet" --attachable "$network" >/dev/null
echo "made $network (driver $driver, subnet $subnet)"
