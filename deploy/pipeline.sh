# shellcheck shell=bash
# pipeline.sh: what log.sh and run.sh share; it is sourced by them, with their arguments. It finds the pipeline file (the first argument, default:
# deploy/pipelines/logstash.conf), and has it checked by the image that will run it. A mistake ends the script with its place and remedy.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PIPELINE_FILE=${1:-$here/pipelines/logstash.conf}
export ELKHOUND_IMAGE=${ELKHOUND_IMAGE:-elkhound:latest}
export ELASTICSEARCH_URL=${ELASTICSEARCH_URL:-http://elasticsearch:9200}
export ELASTICSEARCH_INDEX=${ELASTICSEARCH_INDEX:-logs}

die() { echo "$(basename "$0"): $*" >&2; exit 1; }

[ -r "$PIPELINE_FILE" ] || die "there is no pipeline file at $PIPELINE_FILE"
PIPELINE_FILE=$(cd "$(dirname "$PIPELINE_FILE")" && pwd)/$(basename "$PIPELINE_FILE")
# Through standard input, since the engine may be another machine's; variables of the pipeline must be known to the check, too.
docker run --rm --interactive --network none --env ELASTICSEARCH_URL --env ELASTICSEARCH_INDEX --volume /var/lib/elkhound \
    "$ELKHOUND_IMAGE" -t -f /dev/stdin <"$PIPELINE_FILE" || die "$PIPELINE_FILE is not deployed; what is wrong with it stands above"
