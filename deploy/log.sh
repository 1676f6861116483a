#!/usr/bin/env bash
# log.sh [PIPELINE_FILE] [STACK]: deploys elkhound on every node of the Swarm, and rolls out changes of its pipeline file.
#
# The file (default: deploy/pipelines/logstash.conf) is checked with the image that will run it; a mistake ends this with its place and remedy, and
# the agents that run are left alone. Then the stack (default: log) is deployed with a config that is named by the file's content. ELKHOUND_IMAGE,
# ELASTICSEARCH_URL, ELASTICSEARCH_INDEX, ELK_NET, DOCKER_ROOT and DOCKER_SOCKET are taken from the environment. STACK_FILE=log-proxy.yml takes another stack file.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PIPELINE_FILE=${1:-$here/pipelines/logstash.conf}
stack=${2:-log}
image=${ELKHOUND_IMAGE:-elkhound:latest}
# How many earlier pipeline files stay for `docker service rollback`.
kept=4

die() { echo "log.sh: $*" >&2; exit 1; }

[ -r "$PIPELINE_FILE" ] || die "there is no pipeline file at $PIPELINE_FILE"
PIPELINE_FILE=$(cd "$(dirname "$PIPELINE_FILE")" && pwd)/$(basename "$PIPELINE_FILE")
# Through standard input, since the engine may be another machine's; variables of the stack must be known to the check, too.
docker run --rm --interactive --network none --env ELASTICSEARCH_URL --env ELASTICSEARCH_INDEX --volume /var/lib/elkhound \
    "$image" -t -f /dev/stdin <"$PIPELINE_FILE" || die "$PIPELINE_FILE is not deployed; what is wrong with it stands above"

PIPELINE_CONFIG=$stack-pipeline-$(sha256sum <"$PIPELINE_FILE" | cut -c 1-12)
export PIPELINE_CONFIG
docker stack deploy -c "$here/${STACK_FILE:-log.yml}" "$stack"

# Configs that an agent or a rollback uses can't be removed, and are not.
docker config ls --quiet --filter "label=com.docker.stack.namespace=$stack" |
    xargs -r docker config inspect --format '{{.CreatedAt.Unix}} {{.Spec.Name}}' | sort -rn | tail -n "+$((kept + 2))" |
    cut -d ' ' -f 2 | grep "^$stack-pipeline-" | xargs -r -n 1 docker config rm >/dev/null 2>&1 || true
