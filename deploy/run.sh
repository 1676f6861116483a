#!/usr/bin/env bash
# run.sh [PIPELINE_FILE]: starts elkhound on this host as a plain container, which outlives the drain of a Swarm node; again, it replaces the one that runs.
#
# A drained node loses its global services, elkhound's too, together with the applications whose last lines it should still ship; a plain container
# on the attachable network stays. Run it on every host, in place of log.yml and not beside it. The network is ELK_NET (default: elk_net) where there is such a
# one, else Docker's own. ELKHOUND_IMAGE, ELASTICSEARCH_URL, ELASTICSEARCH_INDEX and DOCKER_SOCKET are taken from the environment.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pipeline=${1:-$here/pipelines/logstash.conf}
name=${ELKHOUND_NAME:-elkhound}
image=${ELKHOUND_IMAGE:-elkhound:latest}
network=${ELK_NET:-elk_net}
root=$(docker info --format '{{.DockerRootDir}}')

die() { echo "run.sh: $*" >&2; exit 1; }

[ -r "$pipeline" ] || die "there is no pipeline file at $pipeline"
pipeline=$(cd "$(dirname "$pipeline")" && pwd)/$(basename "$pipeline")
docker network inspect "$network" >/dev/null 2>&1 || network=bridge
export ELASTICSEARCH_URL=${ELASTICSEARCH_URL:-http://elasticsearch:9200}
export ELASTICSEARCH_INDEX=${ELASTICSEARCH_INDEX:-logs}
docker run --rm --network none --env ELASTICSEARCH_URL --env ELASTICSEARCH_INDEX \
    --volume "$pipeline:/etc/elkhound/pipeline.conf:ro" "$image" -t -f /etc/elkhound/pipeline.conf ||
    die "$pipeline is not taken; what is wrong with it stands above"

# The one that runs gets the time to send what it holds, and the new one reads on from its cursors, which are in the volume.
if docker container inspect "$name" >/dev/null 2>&1; then
    docker stop --time 30 "$name" >/dev/null
    docker rm "$name" >/dev/null
fi
docker run --detach --name "$name" --hostname "$(hostname)" --restart unless-stopped --network "$network" \
    --user 0:0 --cap-drop ALL --security-opt no-new-privileges --read-only --memory 256m --stop-timeout 30 \
    --env ELASTICSEARCH_URL --env ELASTICSEARCH_INDEX --env LOG_FORMAT=json \
    --volume "${DOCKER_SOCKET:-/var/run/docker.sock}:/var/run/docker.sock" \
    --volume "$root/containers:$root/containers:ro" \
    --volume elkhound-state:/var/lib/elkhound \
    --volume "$pipeline:/etc/elkhound/pipeline.conf:ro" \
    "$image" -f /etc/elkhound/pipeline.conf >/dev/null
echo "$name runs on network $network; 'docker logs $name' shows what it says"
