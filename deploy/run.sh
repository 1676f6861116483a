#!/usr/bin/env bash
# run.sh [PIPELINE_FILE]: starts elkhound on this host as a plain container, which outlives the drain of a Swarm node; again, it replaces the one that runs.
#
# A drained node loses its global services, elkhound's too, together with the applications whose last lines it should still ship; a plain container
# on the attachable network stays. Run it on every host, in place of log.yml and not beside it. The network is ELK_NET (default: elk_net) where there is such a
# one, else Docker's own. ELKHOUND_NAME, ELKHOUND_IMAGE, ELKHOUND_USER (default: 0:0), ELASTICSEARCH_URL, ELASTICSEARCH_INDEX and DOCKER_SOCKET are taken from the
# environment.
set -euo pipefail
# shellcheck source=deploy/pipeline.sh
. "$(dirname "${BASH_SOURCE[0]}")/pipeline.sh"
name=${ELKHOUND_NAME:-elkhound}
network=${ELK_NET:-elk_net}
root=$(docker info --format '{{.DockerRootDir}}')
docker network inspect "$network" >/dev/null 2>&1 || network=bridge

# The one that runs gets the time to send what it holds, and the new one reads on from its cursors, which are in the volume.
if docker container inspect "$name" >/dev/null 2>&1; then
    docker stop --time 30 "$name" >/dev/null
    docker rm "$name" >/dev/null
fi
docker run --detach --name "$name" --hostname "$(hostname)" --restart unless-stopped --network "$network" \
    --user "${ELKHOUND_USER:-0:0}" --cap-drop ALL --security-opt no-new-privileges --read-only --memory 256m --stop-timeout 30 \
    --env ELASTICSEARCH_URL --env ELASTICSEARCH_INDEX --env LOG_FORMAT=json \
    --volume "${DOCKER_SOCKET:-/var/run/docker.sock}:/var/run/docker.sock" \
    --volume "$root/containers:$root/containers:ro" \
    --volume "$name-state:/var/lib/elkhound" \
    --volume "$PIPELINE_FILE:/etc/elkhound/pipeline.conf:ro" \
    "$ELKHOUND_IMAGE" -f /etc/elkhound/pipeline.conf >/dev/null
echo "$name runs on network $network; 'docker logs $name' shows what it says"
