#!/usr/bin/env bash
# log.sh [PIPELINE_FILE] [STACK]: deploys elkhound on every node of the Swarm, and rolls out changes of its pipeline file.
#
# The file (default: deploy/pipelines/logstash.conf) is checked with the image that will run it; a mistake ends this with its place and remedy, and
# the agents that run are left alone. Then the stack (default: log) is deployed with a config that is named by the file's content. ELKHOUND_IMAGE,
# ELASTICSEARCH_URL, ELASTICSEARCH_INDEX, ELK_NET, DOCKER_ROOT and DOCKER_SOCKET are taken from the environment. OVERLAY=log-proxy.yml puts that
# file on top of log.yml; give it each time.
set -euo pipefail
# shellcheck source=deploy/pipeline.sh
. "$(dirname "${BASH_SOURCE[0]}")/pipeline.sh"
stack=${2:-log}
# How many earlier pipeline files stay for `docker service rollback`.
kept=4

PIPELINE_CONFIG=$stack-pipeline-$(sha256sum <"$PIPELINE_FILE" | cut -c 1-12)
export PIPELINE_CONFIG
docker stack deploy -c "$here/log.yml" ${OVERLAY:+-c "$here/$OVERLAY"} "$stack"

# Configs that an agent or a rollback uses can't be removed, and are not.
docker config ls --quiet --filter "label=com.docker.stack.namespace=$stack" |
    xargs -r docker config inspect --format '{{.CreatedAt.Unix}} {{.Spec.Name}}' | sort -rn | tail -n "+$((kept + 2))" |
    cut -d ' ' -f 2 | grep "^$stack-pipeline-" | xargs -r -n 1 docker config rm >/dev/null 2>&1 || true
