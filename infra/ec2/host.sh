# The EC2 host from its first boot to its end: it fetches the data, trains in the trainer's image, uploads what came of
# it, and shuts itself down, whatever happens. infra/ec2/user_data.py writes the values of a run before this text.
#
# The folders and files are those of a SageMaker training job, so that the image runs as it is. What the host prints is
# on the instance's console and, every few seconds, in S3 at $RESULTS/<instance id>/host.log.
set -euo pipefail

GRACE_S=60        # from SIGTERM to SIGKILL for the trainer; AWS takes a spot instance away 120 s after its notice
END_S=20          # the same when the instance ends at once, and then at most as long for the last checkpoint
SPARE_MINUTES=30  # besides the time to train: to pull the image, fetch the data and upload the model
PULL_LIMIT_S=1200
UPLOAD_EVERY=2    # looks at the clock, of POLL_S each
export AWS_DEFAULT_REGION="$REGION" AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=5 AWS_METADATA_SERVICE_NUM_ATTEMPTS=5

STEP="begin" STATUS=Failed WHY=""
TIME_MINUTES=$((LIMIT_S / 60 + SPARE_MINUTES))
TRAINER="" WATCHER="" TEE=""
INSTANCE=unknown LIFE_CYCLE=unknown GPU=false TRAINING_S=0

say() { echo "host: $*"; }

# One value of the instance's metadata, by IMDSv2. Fails where there is none, as spot/instance-action until a notice.
metadata() {
    local token
    token=$(curl --silent --fail --max-time 2 --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 300' \
        http://169.254.169.254/latest/api/token) || return 1
    curl --silent --fail --max-time 2 --header "X-aws-ec2-metadata-token: $token" \
        "http://169.254.169.254/latest/meta-data/$1"
}

send() { aws s3 cp --only-show-errors "$1" "$2" </dev/null; }

send_log() { send "$LOG" "$RESULTS/$INSTANCE/host.log" || say "the log could not be sent"; }

# Downloads a folder. Where it is refused, the AWS CLI's words are the reason, and name the policy that is missing.
fetch() {
    local said lacks=""
    aws s3 sync --only-show-errors "$1" "$2" 2>"$BASE/.refused" && return
    said=$(head -c 1000 "$BASE/.refused")
    head -n 20 "$BASE/.refused" # there is a line for each photo
    if [[ $1 != "${RESULTS%/models/*}"/* && $said == *AccessDenied* ]]; then # in a bucket of another account
        lacks=" The bucket's owner attaches the policy of ROLE=data-bucket (make explain)."
        [[ $said != *kms:* && $said != *ciphertext* ]] ||
            lacks=" The owner of the photos' key adds the statements of ROLE=data-key (make explain) to its policy."
    fi
    WHY="The host failed to fetch $1.${said:+ $said}$lacks"
    return 1
}

# The trainer replaces a checkpoint by a new file. Hard links hold the one that is complete now, so that an upload in
# parts never mixes two of them.
send_checkpoints() {
    local now links="$BASE/.checkpoints"
    now=$(cd "$BASE/checkpoints" && find . -type f ! -name '.*' -printf '%P %i %s %T@\n' | sort)
    [[ -n $now && $now != "$(cat "$BASE/.sent" 2>/dev/null)" ]] || return 0
    rm -rf "$links" && cp --archive --link "$BASE/checkpoints" "$links" &&
        limited aws s3 cp --only-show-errors --recursive --exclude '.*' "$links" "$RESULTS/checkpoints/" </dev/null &&
        echo "$now" >"$BASE/.sent"
}

# Runs a command, for END_S at most when the instance ends: the host must still say what came of it.
limited() {
    if [[ -e $BASE/.ends ]]; then timeout --signal KILL "$END_S" "$@"; else "$@"; fi
}

# Beside the training: asks for a spot notice, and sends the log and the checkpoints as they grow. It outlives a shutdown,
# which signals every process, since bash loses a child that ends just when a signal interrupts `wait`.
watch() {
    trap '' TERM
    local looks=0 ends_at=""
    while sleep "$POLL_S" >/dev/null 2>&1; do # it outlives this loop, and tee waits for all that may write
        if [[ ! -e $BASE/.interrupted ]] && metadata spot/instance-action >"$BASE/.notice"; then
            mv "$BASE/.notice" "$BASE/.interrupted"
            say "AWS takes this spot instance away: $(cat "$BASE/.interrupted")"
        fi
        [[ ! -e $BASE/.interrupted ]] || stop_training
        if [[ -e $BASE/.ends ]]; then
            ends_at=${ends_at:-$((SECONDS + END_S))}
            ((SECONDS < ends_at)) || kill -KILL "$TRAINER" 2>/dev/null || true
        fi
        looks=$((looks + 1))
        if ((looks % UPLOAD_EVERY == 0)); then
            send_log
            send_checkpoints || say "the checkpoints could not be sent"
        fi
    done
}

# Always the last: sends what there is, then ends the instance. Nothing in here may keep it from its end.
finish() {
    trap - EXIT
    trap '' TERM PIPE
    set +e
    if [[ -n $WATCHER ]]; then
        kill -KILL "$WATCHER" 2>/dev/null
        wait "$WATCHER" 2>/dev/null
    fi
    if [[ $STATUS == Failed && -e $BASE/.interrupted ]]; then
        interrupted
    elif [[ $STATUS == Failed ]]; then
        WHY=${WHY:-The host failed to $STEP.}
    fi
    [[ -d $BASE/checkpoints ]] && send_checkpoints
    if [[ $STATUS == Completed || $STATUS == Stopped ]]; then
        send_model || STATUS=Failed WHY="The host failed to upload the model."
    fi
    [[ -d $BASE/output/data ]] && tar -C "$BASE/output/data" -czf "$BASE/output.tar.gz" . &&
        send "$BASE/output.tar.gz" "$RESULTS/output/output.tar.gz"
    say "status=$STATUS seconds=$SECONDS${WHY:+ $WHY}"
    exec >&3 2>&1 # the log is complete: from here on only the console has more
    [[ -n $TEE ]] && timeout 30 tail --pid="$TEE" --sleep-interval 0.1 --follow /dev/null
    printf '%s' "$WHY" >"$BASE/.why"
    printf '{"status": "%s", "instance_id": "%s", "life_cycle": "%s", "gpu": %s, "training_s": %d, "host_s": %d}\n' \
        "$STATUS" "$INSTANCE" "$LIFE_CYCLE" "$GPU" "$TRAINING_S" "$SECONDS" >"$BASE/.result"
    send "$LOG" "$RESULTS/$INSTANCE/host.log"
    send "$BASE/.why" "$RESULTS/$INSTANCE/why"
    send "$BASE/.result" "$RESULTS/$INSTANCE/result.json"
    [[ $STATUS == Completed ]] && send "$BASE/.result" "$RESULTS/result.json"
    shutdown -h now
}

send_model() {
    [[ -n $(ls -A "$BASE/model") ]] || return 0
    (cd "$BASE/model" && tar -czf "$BASE/model.tar.gz" -- *) &&
        send "$BASE/model.tar.gz" "$RESULTS/output/model.tar.gz" || return 1
    [[ ! -e $BASE/TrainedModels/model.pth ]] ||
        send "$BASE/TrainedModels/model.pth" "$RESULTS/TrainedModels/model.pth"
}

# The instance ends: as at a spot notice, and sooner. The watch signals a trainer that is just being started.
interrupt() {
    local who="somebody ended the host"
    ((SECONDS < TIME_MINUTES * 60)) || who="the $TIME_MINUTES minutes of the host were over"
    touch "$BASE/.ends"
    [[ -e $BASE/.interrupted ]] || echo "$who" >"$BASE/.interrupted"
    [[ $STEP == train ]] || exit 1
    stop_training
}

interrupted() { STATUS=Interrupted WHY="It was interrupted: $(cat "$BASE/.interrupted")"; }

stop_training() { [[ -z $TRAINER ]] || kill -TERM "$TRAINER" 2>/dev/null || true; }

exec 3>&1
trap finish EXIT
mkdir -p "$BASE"/input/config "$BASE"/model "$BASE"/output "$BASE"/checkpoints "$BASE"/TrainedModels
trap interrupt TERM
# A shutdown signals every process, and ends what reads the console: tee outlives both, so that the log is whole.
exec > >(trap '' TERM && exec tee -p -a "$LOG") 2>&1
TEE=$!
STEP="set the end of its time"
shutdown -h "+$TIME_MINUTES" # whatever happens below

STEP="read its metadata"
INSTANCE=$(metadata instance-id) || { INSTANCE=unknown && exit 1; }
LIFE_CYCLE=$(metadata instance-life-cycle)
say "instance=$INSTANCE type=$(metadata instance-type) life_cycle=$LIFE_CYCLE run=$RUN"

STEP="install Docker"
if ! command -v docker >/dev/null; then
    dnf install --quiet --assumeyes docker
    systemctl start docker
fi
for _ in {1..30}; do
    docker info >/dev/null 2>&1 && break
    sleep 2
done

STEP="pull the image $IMAGE"
say "pulls $IMAGE"
send_log # the pull takes minutes
began=$SECONDS
aws ecr get-login-password | docker login --username AWS --password-stdin "${IMAGE%%/*}" >/dev/null
timeout "$PULL_LIMIT_S" docker pull --quiet "$IMAGE" >/dev/null
say "pulled in $((SECONDS - began)) s"
send_log

STEP="fetch the data"
for channel in $CHANNELS; do # <name>=<S3 URI>
    folder="$BASE/input/data/${channel%%=*}"
    fetch "${channel#*=}" "$folder"
    say "channel=${channel%%=*} files=$(find "$folder" -type f | wc -l)"
done
fetch "$RESULTS/checkpoints/" "$BASE/checkpoints/"
printf '%s' "$HYPERPARAMETERS" >"$BASE/input/config/hyperparameters.json"
printf '%s' "$INPUT_DATA_CONFIG" >"$BASE/input/config/inputdataconfig.json"
printf '%s' "$RESOURCE_CONFIG" >"$BASE/input/config/resourceconfig.json"

STEP="train"
gpus=()
if nvidia-smi >/dev/null 2>&1; then
    GPU=true
    gpus=(--gpus all)
fi
began=$SECONDS
# shellcheck disable=SC2086 # COMMAND is words without spaces
timeout --kill-after "$GRACE_S" "$LIMIT_S" \
    docker run --rm --name trainer "${gpus[@]}" --volume "$BASE:/opt/ml" "$IMAGE" $COMMAND &
TRAINER=$!
watch &
WATCHER=$!
code=0
wait "$TRAINER" || code=$?
while kill -0 "$TRAINER" 2>/dev/null; do # a signal to this script ends `wait`, but not the trainer
    code=0
    wait "$TRAINER" || code=$?
done
TRAINING_S=$((SECONDS - began))
docker kill trainer >/dev/null 2>&1 || true # where SIGKILL ended only its client

if [[ -e $BASE/.interrupted ]]; then
    interrupted
elif ((code == 124 || TRAINING_S >= LIMIT_S)); then
    STATUS=Stopped WHY="The training did not end within $LIMIT_S s."
elif ((code == 0)); then
    STATUS=Completed
else
    WHY=$(head -c 1024 "$BASE/output/failure" 2>/dev/null || true)
    WHY=${WHY:-The trainer ended with exit code $code.}
fi
